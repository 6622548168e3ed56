"""What the fresh reader found after the run (``history/readback.json``): records, receipts, ledger, leader epochs."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.core.intervals import IntervalSet
from necp_validate.record.values import Digest, Place, Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One of the worst cases that the fresh reader kept, located as well as it could: "" and -1 where it could not."""

    check: str
    detail: str
    topic: str
    partition: Place
    offset: Place

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
        low: where reading was to begin: the low watermark, or where the run began if that is later.
        high: high watermark, one above the last offset, when reading began.
        read: records read.
        position: offset up to which the reader got, records and markers of transactions alike.
        gaps: offsets between records that held no record (legal: transactions occupy offsets).
        out_of_order_offsets: records whose offset was not above the one before.
        offsets: offsets read, if the reader kept them; conservation is then checked offset by offset.
        cheats: those of them that hold a planted cheat, as far as senders say which those are.
    """

    topic: str
    partition: int
    low: int
    high: int
    read: int
    position: int | None = None
    gaps: int | None = None
    out_of_order_offsets: int | None = None
    offsets: IntervalSet | None = None
    cheats: IntervalSet | None = None


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
    duplicates: int
    out_of_order: int
    digest: Digest
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """An instance of the event core did not go on in a partition where it had left off.

    Args:
        instance: which one; no other had reported of the partition in between.
        after: last offset before.
        first: first offset after: beyond the next one if it went ahead, else it went back.
        from_us, to_us: when the handler had finished before and after, by its own clock.
    """

    instance: str
    after: Place
    first: int
    from_us: Signed
    to_us: Signed


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
        ended_early: outcomes that are said to be older, when a broker appended their receipt, than they may be by then;
            None if no broker says when it appended one. Those of a transaction end with it, and are not among them.
        rejected_at: offsets that were rejected.
    """

    topic: str
    partition: int
    accounted: IntervalSet
    processed: int
    rejected: int
    dead_lettered: int
    duplicate_outcomes: int
    jumps: tuple[Jump, ...] | None = None
    jumps_left_out: int | None = None
    late: IntervalSet | None = None
    ended_early: int | None = None
    rejected_at: IntervalSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersRead:
    """What a dead-letter topic holds, by what each record itself says it was, and whether that is borne out.

    Args:
        streams: sequence numbers by stream.
        repeated: records of an event that had one already.
        altered: records whose checksum is not that of their value, or whose key is not their stream's.
        unknown_records: records that are no event of any stream that was sent to the topic they come from.
    """

    topic: str
    streams: dict[str, IntervalSet]
    repeated: int
    altered: int
    unknown_records: int


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
        postings_sum: their sum, each weighted by who gives what to whom (``events.ledger.posting_weight``).
    """

    partition: int
    covered: IntervalSet
    covered_twice: int
    entries: int
    trades: int
    repeated: int
    torn: int
    unfounded: int
    overdrawn: int
    moved: dict[str, Signed]
    postings_sum: Signed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRead:
    """Leader epochs in the log of one partition.

    Args:
        highest: the newest.
        decreases: times that a record's epoch was below that of a record before it.
    """

    topic: str
    partition: int
    highest: Place
    decreases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesRead:
    """What became of the events, as far as topics say: the second part of what is read back.

    Args:
        outputs: the partitions of receipts, ledger and dead letters, what was due to be read of each and how far
            that went.
        receipts: what the receipts say, by partition of the events.
        dead_letters: records per dead-letter topic.
        letters: which events they are.
        totals: what the receipts say was dealt and moved, by domain and kind.
        ledger: the economy's ledger; ``None`` if it was not read.
    """

    outputs: tuple[PartitionRead, ...]
    receipts: tuple[ReceiptsRecord, ...]
    dead_letters: dict[str, int]
    letters: tuple[DeadLettersRead, ...]
    totals: dict[str, dict[str, Signed]]
    ledger: tuple[LedgerRead, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """``history/readback.json``: what a fresh reader (from where the run began, read-committed) found.

    Args:
        partitions: of the events' topics.
        streams: by stream id.
        elapsed_s, cpu_s, events_per_s, max_rss_bytes: what reading took; of several readers, the slowest one's time.
        bad_value: records whose checksum or envelope is wrong.
        bad_key: records whose Kafka key is not the one in the envelope.
        unknown_records: records that belong to no stream.
        others: records of other producers, in topics that are not this suite's alone; they are in no other figure.
        examples: the first cases of each kind of what is wrong.
        epochs: leader epochs in the log.
        receipts: as in `OutcomesRead`; none where there is no event core.
        outputs, dead_letters, letters, totals, ledger: as in `OutcomesRead`; ``None`` if they were not read.
    """

    events_read: int
    partitions: tuple[PartitionRead, ...]
    streams: dict[str, StreamRead]
    elapsed_s: float | None = None
    cpu_s: float | None = None
    events_per_s: float | None = None
    max_rss_bytes: int | None = None
    bad_value: int | None = None
    bad_key: int | None = None
    unknown_records: int | None = None
    others: int | None = None
    examples: tuple[Sighting, ...] | None = None
    epochs: tuple[EpochRead, ...] | None = None
    outputs: tuple[PartitionRead, ...] | None = None
    receipts: tuple[ReceiptsRecord, ...]
    dead_letters: dict[str, int] | None = None
    letters: tuple[DeadLettersRead, ...] | None = None
    totals: dict[str, dict[str, Signed]] | None = None
    ledger: tuple[LedgerRead, ...] | None = None
