"""Fuzzed events through real brokers: sent with delivery reports, and what the event core makes of them read back."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from necp_validate.clients.reader import end_offsets
from necp_validate.core import StackError, SuiteError
from necp_validate.events.topics import (
    AUDIT_TOPIC,
    CHAT_TOPIC,
    LEDGER_TOPIC,
    RECEIPTS_TOPIC,
    VERIFIER_PRINCIPAL,
    Domain,
)
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.judging import Sent
from necp_validate.fuzz.observed import Observed
from necp_validate.ledger.client_errors import Fate, fate_of
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.record.self_watch import WatchedThread
from necp_validate.stack import Stack

OUTPUTS: Final = (
    RECEIPTS_TOPIC,
    LEDGER_TOPIC,
    CHAT_TOPIC,
    AUDIT_TOPIC,
    *(domain.dead_letter_topic for domain in Domain),
)
_PRODUCER: Final[Mapping[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 20,
    "queue.buffering.max.kbytes": 65_536,
}
_CONSUMER: Final[Mapping[str, Any]] = {
    "group.id": "necp-verifier",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "queued.max.messages.kbytes": 16_384,
    "fetch.message.max.bytes": 1_048_576,
}
_LOG: Final = logging.getLogger("necp_validate.fuzz.kafka")
"""What the clients say of their connections; a broker that goes away at the end is no news for a person."""
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False
_FLUSH_S: Final = 60.0


class CaseSender:
    """Sends cases as the domains' own services would, and keeps where each of them lies.

    ``refused`` are those that were certainly not written; those that are ``lost``, with the error, may have been.

    Args:
        stack: whose brokers take them.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._producers: dict[Domain, Producer] = {}
        self.sent: list[Sent] = []
        self.refused: list[Case] = []
        self.lost: list[tuple[Case, str]] = []
        self.not_acked: Counter[tuple[str, str]] = Counter()  # by topic: failed, unknown, refused

    def send(self, domain: Domain, cases: Iterable[Case]) -> None:
        """Queue cases, in their order; waits while the queue is full."""
        producer = self._producer(domain)
        for case in cases:
            report = partial(self._reported, case, domain.topic)
            headers: Any = list(case.headers) or None
            while True:
                try:
                    producer.produce(domain.topic, case.value, case.key, headers=headers, on_delivery=report)
                except BufferError:
                    producer.poll(0.1)
                except KafkaException as error:
                    self.not_acked[domain.topic, "refused"] += 1
                    self._not_acked(case, domain.topic, error.args[0], Fate.FAILED)
                    break
                else:
                    break
            producer.poll(0)

    def flush(self, *, on_wait: Callable[[], None] = lambda: None) -> None:
        """Wait until everything is acknowledged.

        Raises:
            StackError: it was not, in a minute without any progress.
        """
        for domain, producer in self._producers.items():
            waiting, deadline = len(producer), time.monotonic() + _FLUSH_S
            while left := producer.flush(0.5):
                on_wait()
                if left < waiting:
                    waiting, deadline = left, time.monotonic() + _FLUSH_S
                elif time.monotonic() > deadline:
                    raise StackError(f"{left} events of {domain.topic} were not acknowledged in {_FLUSH_S:g} s")

    def close(self) -> None:
        """Let go of the connections; may be called more than once."""
        self._producers.clear()

    def _producer(self, domain: Domain) -> Producer:
        if domain not in self._producers:
            config: dict[str, Any] = dict(self._stack.client_config(domain.service))
            self._producers[domain] = Producer({**config, **_PRODUCER, "logger": _LOG})
        return self._producers[domain]

    def _reported(self, case: Case, topic: str, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._not_acked(case, topic, error, fate_of(error.name()))
            return
        partition, offset = place_of(message)
        self.sent.append(Sent(case=case, topic=topic, partition=partition, offset=offset))

    def _not_acked(self, case: Case, topic: str, error: KafkaError, fate: Fate) -> None:
        self.not_acked[topic, fate.value] += 1
        if fate is Fate.FAILED:
            self.refused.append(case)
        else:
            self.lost.append((case, error.str()))


class OutputReader:
    """Reads every output of the event core from now on, in a thread of its own, into `observed`.

    Args:
        stack: whose brokers have them.
        topics: which outputs.
    """

    def __init__(self, stack: Stack, topics: Iterable[str] = OUTPUTS) -> None:
        self.observed = Observed()
        self._topics = tuple(topics)
        self._config: dict[str, str] = dict(stack.client_config(VERIFIER_PRINCIPAL))
        begin = end_offsets(self._config, self._topics)
        self._ends: dict[tuple[str, int], int] = {}
        self._consumer = Consumer({**self._config, **_CONSUMER, "logger": _LOG})
        self._consumer.assign(
            [TopicPartition(topic, number, at) for topic, ends in begin.items() for number, at in enumerate(ends)]
        )
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = WatchedThread(self._run, name="necp-fuzz-outputs", asked=self._stop)
        self._thread.start()

    def check(self) -> None:
        """Do nothing while the outputs are being read.

        Raises:
            SuiteError: they are not any more: what is missing of them is this reader's failure, not the event core's.
        """
        if self._thread.problem:
            raise SuiteError("the event core's outputs cannot be read any more", detail=self._thread.problem)

    def fresh(self) -> Observed:
        """Put a new `observed` in the place of the one so far, which is returned."""
        with self._lock:
            before, self.observed = self.observed, Observed()
        return before

    @contextmanager
    def locked(self) -> Iterator[Observed]:
        """What was read so far, while nothing is added to it."""
        with self._lock:
            yield self.observed

    def wait(self, done: Callable[[Observed], bool], timeout_s: float) -> bool:
        """Wait until a condition on what was read holds; False if it does not in time.

        Raises:
            SuiteError: nothing more is read.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check()
            with self._lock:
                if done(self.observed):
                    return True
            time.sleep(0.05)
        self.check()
        return False

    def read_to_end(self, timeout_s: float) -> bool:
        """Wait until everything that is in the topics now was read; False if it was not in time.

        Raises:
            SuiteError: nothing more is read.
        """
        ends = {
            (topic, number): end
            for topic, numbers in end_offsets(self._config, self._topics).items()
            for number, end in enumerate(numbers)
        }
        return self.wait(lambda _: all(self._ends.get(where, -1) >= end for where, end in ends.items()), timeout_s)

    def close(self) -> None:
        """End the thread and let go of the connection; may be called more than once."""
        self._thread.stop(10)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for message in self._consumer.consume(1_000, 0.2):
                    self._take(message)
        finally:
            self._consumer.close()

    def _take(self, message: Message) -> None:
        topic, number, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        error, headers = message.error(), message.headers() or []
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        with self._lock:
            if error is None:
                self.observed.take(topic, number, offset, message.key(), message.value(), pairs)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ends[topic, number] = offset
            elif error.fatal() or error.code() in (
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError._AUTO_OFFSET_RESET,
            ):
                raise KafkaException(error)
