"""Transactions: outputs and input offsets become visible together or not at all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event as Flag
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from necp_validate.reference.eventcore.handling import Output

log: Final = logging.getLogger(__name__)

CALL_TIMEOUT_S: Final = 5.0
RETRY_FOR_S: Final = 20.0
HUNG_AFTER_S: Final = 12.0
"""A call that should have ended by itself after CALL_TIMEOUT_S and has not by now never will."""
_PAUSE_S: Final = 0.1


def error_of(exception: KafkaException) -> KafkaError:
    """Give the error that an exception carries."""
    error: KafkaError = exception.args[0]
    return error


class Hung(Exception):
    """A call into the client library did not come back."""


def _within(limit_s: float, call: Callable[[], None]) -> None:
    """Make a call in a thread of its own, which is left behind if it does not come back.

    librdkafka waits without end, whatever timeout it was given, when the group's coordinator has been shut down in an
    orderly way (its issue 5511).

    Raises:
        Hung: no answer within ``limit_s`` seconds.
        KafkaException: the call's own.
    """
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
        except BaseException as exception:  # noqa: BLE001  # raised again where it belongs
            outcome.append(exception)
        else:
            outcome.append(None)

    thread = threading.Thread(target=run, name="send-offsets", daemon=True)
    thread.start()
    thread.join(limit_s)
    if not outcome:
        raise Hung
    if outcome[0] is not None:
        raise outcome[0]


def _unmixed(serve: Callable[[], int]) -> None:
    """Serve delivery reports; a fatal error of the client is raised as one.

    The client raises one (a broker's sequence numbers and its own do not meet any more) before it calls for the reports
    that are waiting. With an error raised already, the first thing done in these fails with a ``SystemError``; or it
    takes the error away, and the client fails with a ``SystemError`` in the end, for want of one.

    Raises:
        KafkaException: the fatal error.
    """
    try:
        serve()
    except SystemError as mixed:
        cause: BaseException = mixed
        while isinstance(cause, SystemError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, KafkaException):
            raise cause from None
        raise KafkaException(KafkaError(KafkaError._FATAL, str(mixed))) from mixed


class Transactions:
    """A transactional producer that is replaced after every transaction that was not committed.

    It must not be used again, even where librdkafka has aborted the transaction in an orderly way. A record that was
    appended to a partition whose leader was then cut off is never acknowledged; after the abort librdkafka counts on
    from the sequence number before it, with the same producer epoch. So the first record of the next transaction has
    a number that the partition has already: the broker takes it for a repetition, acknowledges it and does not append
    it, and the transaction is committed without it (seen in a log: number 45, abort marker, commit marker, number
    46). The successor gets a new epoch, in which numbers begin anew, and whatever the old one left open is aborted.

    Args:
        make: makes a producer with the transactional id; a newer one fences the older.
        stop: ends waiting for brokers.
    """

    def __init__(self, make: Callable[[], Producer], stop: Flag) -> None:
        self._make = make
        self._stop = stop
        self._producer: Producer | None = None

    def commit(self, outputs: Iterable[Output], offsets: Sequence[TopicPartition], group: Callable[[], Any]) -> bool:
        """Produce outputs and commit offsets in one transaction.

        Args:
            outputs: the records.
            offsets: next offsets of the input.
            group: gives the consumer's group metadata, by which a member that was expelled is fenced.

        Returns:
            Whether it is known to be committed. If not, it will be aborted, or its outcome is unknown: then what
            was written, read back with ``read_committed`` once the successor is ready, has the answer.
        """
        producer = self._ready()
        if producer is None:
            return False
        try:
            producer.begin_transaction()
            deliveries = _Deliveries()
            for output in outputs:
                _produce(producer, output, deliveries)
            if offsets:
                metadata = group()
                positions = list(offsets)
                self._retried(
                    lambda: _within(
                        HUNG_AFTER_S,
                        lambda: producer.send_offsets_to_transaction(positions, metadata, CALL_TIMEOUT_S),
                    )
                )
            _unmixed(lambda: producer.flush(RETRY_FOR_S))
            if reason := deliveries.missing():
                log.warning("economy: transaction not committed: %s", reason)
                self._producer = None
                return False
            self._retried(lambda: producer.commit_transaction(CALL_TIMEOUT_S))
        except KafkaException as exception:
            log.warning("economy: transaction not committed: %s", error_of(exception).str())
            self._producer = None
            return False
        except Hung:
            log.warning("economy: sending offsets never came back; the producer is replaced")
            self._producer = None
            return False
        return True

    def close(self) -> None:
        """Let go of the producer; a transaction that is open is aborted."""
        self._producer = None

    def _ready(self) -> Producer | None:
        """Give the producer; wait for the coordinator if it is a new one."""
        while self._producer is None and not self._stop.is_set():
            producer = self._make()
            try:
                self._retried(lambda producer=producer: producer.init_transactions(CALL_TIMEOUT_S))  # type: ignore[misc]
            except KafkaException as exception:
                log.warning("economy: no transactions yet: %s", error_of(exception).str())
                self._stop.wait(_PAUSE_S)
            else:
                self._producer = producer
        return self._producer

    def open(self) -> bool:
        """Fence older producers of the same id, and settle what they left open; False if stopped before."""
        return self._ready() is not None

    def _retried(self, call: Callable[[], None]) -> None:
        """Repeat a call that is said to be repeatable; it goes on where it was."""
        deadline = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                return call()
            except KafkaException as exception:
                error = error_of(exception)
                if not error.retriable() or error.txn_requires_abort() or time.monotonic() > deadline:
                    raise
                self._stop.wait(_PAUSE_S)


class _Deliveries:
    """What became of each record of a transaction: a commit alone does not tell."""

    def __init__(self) -> None:
        self._awaited = 0
        self._failures: list[str] = []

    def expect(self) -> None:
        """One more record was handed to the client."""
        self._awaited += 1

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take a delivery report."""
        self._awaited -= 1
        if error is not None:
            self._failures.append(f"{message.topic()}: {error.str()}")

    def missing(self) -> str:
        """Why the transaction is not whole; empty if every record was acknowledged."""
        if self._failures:
            return f"{len(self._failures)} records were not delivered, the first to {self._failures[0]}"
        return f"{self._awaited} records were not acknowledged in time" if self._awaited else ""


def _produce(producer: Producer, output: Output, deliveries: _Deliveries) -> None:
    while True:
        try:
            producer.produce(
                output.topic,
                output.value,
                output.key,
                output.partition,
                headers=output.headers,
                on_delivery=deliveries.report,
            )
        except BufferError:  # the local queue is full: make room
            _unmixed(lambda: producer.poll(0.05))
        else:
            deliveries.expect()
            return
