"""What the fresh reader found after the run (``history/readback.json``): records, receipts, ledger, leader epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

from necp_validate.core.intervals import IntervalSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One of the worst cases that the fresh reader kept, located as well as it could."""

    check: str
    detail: str
    topic: str = ""
    partition: int = -1
    offset: int = -1

    @property
    def where(self) -> str:
        """``topic[partition]@offset`` as far as known."""
        where = self.topic
        if self.partition >= 0:
            where += f"[{self.partition}]"
        if self.offset >= 0:
            where += f"@{self.offset}"
        return where


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRead:
    """One partition as the fresh reader found it.

    Args:
        low, high: watermarks; ``high`` is one above the last offset.
        read: records read.
        gaps: offsets between records that held no record (legal: transactions occupy offsets).
        out_of_order_offsets: records whose offset was not above the one before.
        offsets: offsets read, if the reader kept them; conservation is then checked offset by offset.
    """

    topic: str
    partition: int
    low: int
    high: int
    read: int
    gaps: int = 0
    out_of_order_offsets: int = 0
    offsets: IntervalSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRead:
    """One stream as the fresh reader found it.

    Args:
        read: sequence numbers read at least once.
        duplicates: records whose sequence number had been read before.
        out_of_order: runs of records below a sequence number read before in the same partition, duplicates
            left out.
        digest: of where all records read lie, as in :class:`StreamRecord`.
        partitions: where the stream was found; more than one if its topic grew.
    """

    read: IntervalSet
    duplicates: int = 0
    out_of_order: int = 0
    digest: int = 0
    partitions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """An instance of the event core did not go on in a partition where it had left off.

    Args:
        instance: which one; no other had reported of the partition in between.
        after: last offset before.
        first: first offset after: beyond the next one if it went ahead, else it went back.
        from_us, to_us: when the handler had finished before and after.
    """

    instance: str
    after: int
    first: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptsRecord:
    """What the event core's receipts say of one partition.

    Args:
        accounted: offsets with at least one outcome.
        processed, rejected, dead_lettered: outcomes by kind, repeated ones included.
        duplicate_outcomes: outcomes for offsets that already had one.
        jumps: where an instance went ahead or back, the first few.
        jumps_left_out: how many more.
        late: offsets in receipts that came after a later one of the same instance: they were sent again.
    """

    topic: str
    partition: int
    accounted: IntervalSet
    processed: int = 0
    rejected: int = 0
    dead_lettered: int = 0
    duplicate_outcomes: int = 0
    jumps: tuple[Jump, ...] = ()
    jumps_left_out: int = 0
    late: IntervalSet = field(default_factory=IntervalSet)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRead:
    """What the ledger says of one partition of the economy's events.

    Args:
        partition: partition of the events, not of the ledger.
        covered: offsets of the batches that it has.
        covered_twice: offsets in batches that it had already; nothing else of these is counted.
        entries: events with something booked.
        trades: those of them that are trades with both legs.
        repeated: events read, or booked, a second time.
        torn: trades of which one leg is missing, or legs that do not match.
        unfounded: entries of events that their batch does not have, of nothing, or from an account to itself.
        overdrawn: payments that the account did not cover.
        moved: amounts moved by asset: the currency, and items.
    """

    partition: int
    covered: IntervalSet
    covered_twice: int = 0
    entries: int = 0
    trades: int = 0
    repeated: int = 0
    torn: int = 0
    unfounded: int = 0
    overdrawn: int = 0
    moved: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRead:
    """Leader epochs in the log of one partition.

    Args:
        highest: the newest.
        decreases: times that a record's epoch was below that of a record before it.
    """

    topic: str
    partition: int
    highest: int
    decreases: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """``history/readback.json``: what a fresh reader (from the beginning, read-committed) found.

    Args:
        streams: by stream id.
        bad_value: records whose checksum or envelope is wrong.
        bad_key: records whose Kafka key is not the one in the envelope.
        unknown_records: records that belong to no stream.
        dead_letters: records per dead-letter topic.
        totals: what the receipts say was dealt and moved, by domain and kind.
        ledger: the economy's ledger; ``None`` if it was not read.
        epochs: leader epochs in the log; ``None`` if they were not read.
        others: records of other producers, in topics that are not this suite's alone; they are in no other figure.
    """

    events_read: int
    partitions: tuple[PartitionRead, ...]
    streams: dict[str, StreamRead]
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    events_per_s: float = 0.0
    max_rss_bytes: int = 0
    bad_value: int = 0
    bad_key: int = 0
    unknown_records: int = 0
    examples: tuple[Sighting, ...] = ()
    receipts: tuple[ReceiptsRecord, ...] = ()
    dead_letters: dict[str, int] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    ledger: tuple[LedgerRead, ...] | None = None
    epochs: tuple[EpochRead, ...] | None = None
    others: int = 0
