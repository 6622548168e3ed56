"""Writing accepted events: idempotent, acknowledged by all in-sync replicas, and answered for one by one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message

from necp_validate.reference.clients import Clients, place_of
from necp_validate.reference.publisher.wire import Event, Range, Run

log: Final = logging.getLogger(__name__)

DELIVERY_TIMEOUT_S: Final = 30.0
_ANSWER_S: Final = DELIVERY_TIMEOUT_S + 5.0
_FULL_PAUSE_S: Final = 0.01
_FAILED_STATE, _UNKNOWN_STATE = -1, -2


class _Broker(msgspec.Struct):
    nodeid: int
    state: str


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker]


_DECODE_STATISTICS: Final = msgspec.json.Decoder(_Statistics).decode


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of accepted events (see ``wire.Answer``)."""

    runs: list[Run]
    failed: list[Range]
    unknown: list[Range]
    error: str


class _Batch:
    """Follows the events of one batch until each has been answered for; reports come in the poll thread."""

    def __init__(self, count: int) -> None:
        self._places: list[tuple[int, int]] = [(_UNKNOWN_STATE, 0)] * count
        self._pending = count
        self._lock = Lock()
        self._error = ""
        self.done = Flag()

    def delivered(self, number: int, error: KafkaError | None, message: Message) -> None:
        """Take a delivery report."""
        if error is None:
            self._settle(number, place_of(message))
            return
        # Whatever the last attempt met, one before may have been written.
        self._error = self._error or str(error.str())
        self._settle(number, (_UNKNOWN_STATE, 0))

    def refused(self, number: int, error: KafkaError) -> None:
        """Take it that the client did not take an event: it was certainly not written."""
        self._error = self._error or str(error.str())
        self._settle(number, (_FAILED_STATE, 0))

    def _settle(self, number: int, place: tuple[int, int]) -> None:
        with self._lock:
            self._places[number] = place
            self._pending -= 1
            if not self._pending:
                self.done.set()

    def written(self) -> Written:
        """What has become of the events by now."""
        with self._lock:
            places = list(self._places)
        runs: list[Run] = []
        # At consecutive offsets of one partition, offset minus number stays the same.
        keyed = (
            (partition, offset - number if partition >= 0 else 0) for number, (partition, offset) in enumerate(places)
        )
        first = 0
        others: dict[int, list[Range]] = {_FAILED_STATE: [], _UNKNOWN_STATE: []}
        for (partition, shift), group in groupby(keyed):
            count = sum(1 for _ in group)
            if partition >= 0:
                runs.append((first, partition, first + shift, count))
            else:
                others[partition].append((first, count))
            first += count
        return Written(runs=runs, failed=others[_FAILED_STATE], unknown=others[_UNKNOWN_STATE], error=self._error)


class Sending:
    """The producer behind the publisher.

    Args:
        clients: makes the Kafka client.
        kafka: connection properties.
        instance: name of this instance.
        topic: where events go.
    """

    def __init__(self, clients: Clients, kafka: Mapping[str, str], instance: str, topic: str) -> None:
        self._topic = topic
        self._producer = clients.producer(
            {
                **producer_config(kafka, instance),
                "stats_cb": self._on_statistics,
                "error_cb": self._on_error,
                "logger": log,
            }
        )
        self._stop = Flag()
        self._thread = Thread(target=self._serve, name="reports", daemon=True)
        self.ready = False
        self.brokers_up = False

    def start(self) -> None:
        """Serve delivery reports from now on."""
        self._thread.start()

    def write(self, events: Sequence[Event]) -> Written:
        """Write events, and wait until each of them is answered for."""
        if not events:
            return Written(runs=[], failed=[], unknown=[], error="")
        batch = _Batch(len(events))
        deadline = time.monotonic() + DELIVERY_TIMEOUT_S
        for number, (key, value) in enumerate(events):
            self._produce(key, value, number, batch, deadline)
        batch.done.wait(_ANSWER_S)
        return batch.written()

    def _produce(self, key: bytes, value: bytes, number: int, batch: _Batch, deadline: float) -> None:
        report = partial(batch.delivered, number)
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=report)
            except BufferError:  # the local queue is full: brokers take nothing, or not fast enough
                if time.monotonic() > deadline:
                    return batch.refused(number, KafkaError(KafkaError._QUEUE_FULL))
                time.sleep(_FULL_PAUSE_S)
            except KafkaException as error:
                return batch.refused(number, error.args[0])
            else:
                return None

    def close(self, timeout_s: float) -> bool:
        """Wait for what is under way; tell whether all of it was answered for."""
        left = self._producer.flush(timeout_s)
        self._stop.set()
        return left == 0

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)
            if not self.ready:
                self._look()

    def _look(self) -> None:
        """Ready is who knows the topic's partitions, and so has logged in."""
        try:
            described = self._producer.list_topics(self._topic, timeout=2.0).topics[self._topic]
        except (KafkaException, KeyError) as error:
            log.warning("not ready: %s", error)
            return
        if described.error is None and described.partitions:
            self.ready = self.brokers_up = True

    def _on_statistics(self, text: str) -> None:
        brokers = _DECODE_STATISTICS(text).brokers.values()
        self.brokers_up = any(broker.state == "UP" and broker.nodeid >= 0 for broker in brokers)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("%s", error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.brokers_up = False


def producer_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the producer."""
    return {
        **kafka,
        "client.id": instance,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        # Batches come in by the request: what comes within so little goes together.
        "linger.ms": 5,
        "request.timeout.ms": 8_000,
        "socket.timeout.ms": 8_000,
        "delivery.timeout.ms": round(DELIVERY_TIMEOUT_S * 1_000),
        "queue.buffering.max.messages": 400_000,
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "topic.metadata.refresh.interval.ms": 5_000,
        "allow.auto.create.topics": False,
        "log.connection.close": False,
        "statistics.interval.ms": 2_000,
    }
