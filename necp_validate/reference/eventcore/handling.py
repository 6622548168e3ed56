"""What a domain's handler is, and how one partition's batch of records goes through it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from necp_validate.events.base import Event, EventData, InvalidEvent
from necp_validate.events.receipts import Outcome, Run

Handle = Callable[[Event[EventData]], str | None]
"""Takes one event; says why it is rejected, or None if it was processed."""

Headers = list[tuple[str, str | bytes | None]]
WHOLE_BYTES: Final = 1_000_000
"""An invalid record of up to so many bytes, librdkafka's own limit for producers, is dead-lettered whole.

Brokers take 48,588 more by default, which leaves room for what is said of it.
"""
CUT_BYTES: Final = 900_000
"""Of a larger one, which only a batch that compresses well brings in, so much of the value is kept."""

KEY_MISMATCH: Final = "the record's key is not the event's"


class Record(Protocol):
    """A record as the Kafka client hands it over."""

    def partition(self) -> int | None:
        """Partition it was read from."""

    def offset(self) -> int | None:
        """Offset in the partition."""

    def key(self) -> bytes | None:
        """Key."""

    def value(self) -> bytes | None:
        """Value."""

    def headers(self) -> Any:
        """Headers as pairs in their order, if there are any (the library's stubs allow more than it ever gives)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A record to be produced.

    Args:
        topic: where to.
        partition: where to.
        key: key.
        value: value.
        headers: headers.
        acknowledged: called once the brokers have it.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)
    acknowledged: Callable[[], None] | None = None


class Counts:
    """Counts by name, kept by partition: a partition's batch is in one thread, several partitions are in several."""

    def __init__(self) -> None:
        self._by_partition: dict[int, dict[str, int]] = {}

    def of(self, partition: int) -> dict[str, int]:
        """The counts that the batches of a partition add to."""
        return self._by_partition.setdefault(partition, {})

    def take(self) -> dict[str, int]:
        """The sums over all partitions since the last time; only while no batch is being handled."""
        totals: dict[str, int] = {}
        for counts in self._by_partition.values():
            for name, count in counts.items():
                totals[name] = totals.get(name, 0) + count
            counts.clear()
        return totals


class Handler(Protocol):
    """The rules and the state of one domain. State belongs to a partition and leaves with it."""

    def open(self, partition: int) -> Handle:
        """Give the function that takes a batch of events from ``partition``, one by one."""
        ...

    def drop(self, partition: int) -> None:
        """Forget the state of a partition that is somebody else's now."""
        ...

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take what is to be produced, and the totals, since the last time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An invalid record as it came, and what is wrong with it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    detail: str


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """What became of one partition's batch.

    Args:
        partition: the partition.
        first_offset: of the batch.
        last_offset: of the batch.
        done_us: when all of it had been handled (epoch, microseconds).
        runs: outcomes.
        dead_letters: the invalid records.
        rejected: number of rejected events by reason.
        sent_us: intended send times of the valid events, in their order.
    """

    partition: int
    first_offset: int
    last_offset: int
    done_us: int = 0
    runs: list[Run] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    sent_us: list[int] = field(default_factory=list)


def handle_batch(
    partition: int,
    records: Sequence[Record],
    decode: Callable[[bytes], Event[EventData]],
    handle: Handle,
    *,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
) -> BatchResult:
    """Decode and handle the records of one partition in their order; nothing in them makes it fail.

    Args:
        partition: the partition.
        records: at least one record without an error, in the order of offsets.
        decode: decoder of the domain's events.
        handle: from the domain's handler.
        now_us: clock.
    """
    outcomes: list[Outcome] = []
    append = outcomes.append
    processed, rejected = Outcome.PROCESSED, Outcome.REJECTED
    result = BatchResult(
        partition=partition,
        first_offset=records[0].offset() or 0,
        last_offset=records[-1].offset() or 0,
    )
    timed = result.sent_us.append
    for record in records:
        try:
            event = decode(record.value() or b"")
            if event.key.encode() != record.key():
                raise InvalidEvent("malformed", KEY_MISMATCH)
            timed(event.ts)
            reason = handle(event)
        except InvalidEvent as error:
            append(Outcome.DEAD_LETTERED)
            result.dead_letters.append(_dead_letter(record, error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 (whatever an event provokes, it must not stop the others)
            append(Outcome.DEAD_LETTERED)
            result.dead_letters.append(_dead_letter(record, "handler-failed", repr(error)))
        else:
            if reason is None:
                append(processed)
            else:
                append(rejected)
                result.rejected[reason] += 1
    result.done_us = now_us()
    result.runs = merge_runs(partition, records, outcomes, result.done_us)
    return result


def merge_runs(partition: int, records: Sequence[Record], outcomes: Sequence[Outcome], done_us: int) -> list[Run]:
    """Merge the outcomes of consecutive records into runs."""
    runs: list[Run] = []
    start, count = 0, len(outcomes)
    if outcomes.count(outcomes[0]) == count:  # nearly always, and much faster than looking at each
        return [(partition, records[0].offset() or 0, records[-1].offset() or 0, outcomes[0], done_us)]
    while start < count:
        outcome = outcomes[start]
        end = start
        while end + 1 < count and outcomes[end + 1] is outcome:
            end += 1
        runs.append((partition, records[start].offset() or 0, records[end].offset() or 0, outcome, done_us))
        start = end + 1
    return runs


def dead_letter_outputs(result: BatchResult, *, source_topic: str, topic: str, partition: int) -> list[Output]:
    """Make the dead-letter records of a batch: key, value and headers as they came, byte for byte, unless it is huge.

    What is said of it follows in further headers, behind its own: a reader takes the last of a name.
    """
    return [
        _output(letter, topic, partition, [("source-topic", source_topic), ("source-partition", str(result.partition))])
        for letter in result.dead_letters
    ]


def _output(letter: DeadLetter, topic: str, partition: int, source: Headers) -> Output:
    said: Headers = [
        ("reason", letter.reason),
        ("detail", letter.detail[:500]),
        *source,
        ("source-offset", str(letter.offset)),
    ]
    key, value, headers = letter.key, letter.value, letter.headers
    size = len(key or b"") + len(value or b"") + sum(len(name) + len(content or b"") for name, content in headers)
    if size > WHOLE_BYTES:
        said += [("cut-from-bytes", str(size)), ("cut-from-sha256", hashlib.sha256(value or b"").hexdigest())]
        key, value, headers = key and key[:1_000], value and value[:CUT_BYTES], []
    return Output(topic=topic, partition=partition, key=key, value=value, headers=[*headers, *said])


def _dead_letter(record: Record, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(
        offset=record.offset() or 0,
        key=record.key(),
        value=record.value(),
        headers=list(record.headers() or ()),
        reason=reason,
        detail=detail,
    )


def merge_counts(totals: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts to totals, by name."""
    for name, count in more.items():
        totals[name] = totals.get(name, 0) + count
