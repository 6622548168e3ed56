"""The instrumented producer: what was sent, what was acknowledged, where, and how late."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import numpy as np

from necp_validate.clients.flush import FlushTemplate
from necp_validate.clients.rdkafka import BatchProducer, ClientEvents
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import TAGS, ProducerAccount
from necp_validate.ledger.stream_account import StreamAccount

_REST_S = 0.5  # between two clients of which the second fails like the first


class EventProducer:
    """Sends flushes of one domain and accounts for every event by its delivery report.

    A partition takes one batch at a time: what is due while one is under way waits here, and goes as one batch once
    that is answered. librdkafka does the same for an idempotent producer, but its broker thread polls without a pause
    meanwhile (``rd_kafka_toppar_producer_serve`` asks to be woken at once for messages that it may not send yet),
    which costs more CPU than everything else it does. A stream's partition is learned from its first report.

    Not thread-safe: one owner sends and polls.

    Args:
        domain: the domain's name.
        topic: where its events go.
        config: librdkafka properties, security included.
        recorder: takes counters and latencies.
        at_once_one_in: as in `ProducerAccount`.
    """

    def __init__(
        self, domain: str, topic: str, config: Mapping[str, str], recorder: Recorder, *, at_once_one_in: int = 0
    ) -> None:
        self.config = dict(config)
        self.book = ProducerAccount(domain, topic, recorder, at_once_one_in=at_once_one_in)
        self.events = ClientEvents(errors=[])
        self._client = BatchProducer(config, topic)
        self._recorder = recorder
        self._lane = np.full(TAGS, -1, dtype=np.int64)  # by tag, the partition that a flush was counted under
        self._in_flight: dict[int, int] = {}
        self._held: dict[int, deque[tuple[StreamAccount, FlushTemplate, int]]] = {}
        self._held_events = 0
        self._rests_until = 0.0

    def send(self, stream: StreamAccount, flush: FlushTemplate, intended_us: int) -> None:
        """Send one flush, counting latency from ``intended_us`` (epoch, microseconds)."""
        recorder, phase = self._recorder, self._recorder.phase_of(intended_us)
        recorder.count(self.book.domain, phase, "scheduled", flush.count)
        recorder.latency(self.book.domain, "late", phase, time.time_ns() // 1000 - intended_us, flush.count)
        if self._client.failed or self._in_flight.get(stream.partition):
            self._held.setdefault(stream.partition, deque()).append((stream, flush, intended_us))
            self._held_events += flush.count
        else:
            self._hand_over(stream, flush, intended_us)

    def _hand_over(self, stream: StreamAccount, flush: FlushTemplate, intended_us: int) -> None:
        tag, first = self.book.begin(stream, flush.count, intended_us)
        for kind, places in flush.planted.items():
            stream.plant(kind, (first + place for place in places))
        messages = flush.stamp(intended_us, first, tag)
        taken = self._client.produce(messages)
        self.book.handed_over(tag, messages["err"], taken)
        self._lane[tag] = lane = stream.partition
        if lane >= 0:
            self._in_flight[lane] = self._in_flight.get(lane, 0) + taken

    def poll(self) -> int:
        """Account for the delivery reports that have come in; returns how many."""
        count = 0
        while (deliveries := self._client.poll(self.events)) is not None:
            count += len(deliveries.err)
            for tag, events in self.book.settle(deliveries, time.time_ns() // 1000):
                self._answered(tag, events)
        if self._client.failed:
            self._replace()
        return count

    def _replace(self) -> None:
        """Go on with another client once the failed one has reported all that it had, as a service would restart."""
        self._client.give_up()
        if self._client.queued or time.monotonic() < self._rests_until:
            return
        self._rests_until = time.monotonic() + _REST_S
        self._client.close()
        self._client = BatchProducer(self.config, self.book.topic)
        self._in_flight.clear()
        held, self._held, self._held_events = self._held, {}, 0
        for waiting in held.values():
            for one in waiting:
                self._hand_over(*one)

    def _answered(self, tag: int, events: int) -> None:
        """Reports of a flush came in; once its partition has nothing under way, what waits for it goes."""
        lane = int(self._lane[tag])
        if lane < 0:
            return
        self._in_flight[lane] -= events
        if not self._client.failed and not self._in_flight[lane]:
            for held in self._held.pop(lane, ()):
                self._held_events -= held[1].count
                self._hand_over(*held)

    def set_password(self, password: str) -> None:
        """Log in with another password from now on."""
        self.config["sasl.password"] = password
        self._client.set_password(self.config["sasl.username"], password)

    @property
    def queued(self) -> int:
        """Events waiting for their partition, on their way, or reported and not yet polled."""
        return self._held_events + self._client.queued

    def close(self) -> None:
        """Free the client, and close the account."""
        self._client.close()
        self.book.close(time.time_ns() // 1000)
