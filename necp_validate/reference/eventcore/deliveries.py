"""Which offsets may be committed: those whose outputs and receipts the brokers have acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Protocol

from confluent_kafka import KafkaError, Message

from necp_validate.reference.eventcore.handling import Headers, Output


class Sender(Protocol):
    """The part of a producer that is needed here."""

    def produce(
        self,
        topic: str,
        value: str | bytes | None = None,
        key: str | bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Queue one record."""

    def poll(self, timeout: float = -1) -> int:
        """Serve delivery reports."""


class _Flight:
    """Outputs sent together, and the offsets that they account for."""

    def __init__(self, offsets: Mapping[int, int], pending: int) -> None:
        self.offsets = offsets
        self.pending = pending


class Deliveries:
    """Sends outputs and follows them until they are acknowledged.

    A failed delivery is sent again: what has been handled is accounted for, or its offset is never committed.

    Args:
        sender: the producer; its delivery reports may come in any thread.
        on_failure: told of every failed delivery.
    """

    def __init__(self, sender: Sender, *, on_failure: Callable[[str], None] = lambda _: None) -> None:
        self._sender = sender
        self._on_failure = on_failure
        self._lock = Lock()
        self._flights: deque[_Flight] = deque()

    def send(self, outputs: Iterable[Output], offsets: Mapping[int, int]) -> None:
        """Send outputs; once all are acknowledged, ``offsets`` (next offset by partition) are committable."""
        records = list(outputs)
        flight = _Flight(dict(offsets), len(records))
        with self._lock:
            self._flights.append(flight)
        for record in records:
            self._produce(record, flight)

    def acknowledged(self) -> dict[int, int]:
        """Take the offsets that have become committable; later sends wait for earlier ones."""
        ready: dict[int, int] = {}
        with self._lock:
            while self._flights and self._flights[0].pending == 0:
                ready.update(self._flights.popleft().offsets)
        return ready

    @property
    def outstanding(self) -> int:
        """Number of sends that are not acknowledged yet."""
        with self._lock:
            return sum(flight.pending > 0 for flight in self._flights)

    def _produce(self, record: Output, flight: _Flight) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                if record.acknowledged is not None:
                    record.acknowledged()
                with self._lock:
                    flight.pending -= 1
                return
            self._on_failure(f"{record.topic}: {error.str()}")
            self._produce(record, flight)

        while True:
            try:
                self._sender.produce(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    on_delivery=delivered,
                    headers=record.headers,
                )
            except BufferError:  # the local queue is full: make room, which reports serve for
                self._sender.poll(0.05)
            else:
                return
