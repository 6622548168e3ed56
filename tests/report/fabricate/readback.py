"""What a fresh reader finds of a fabricated run: everything that was sent, but for what is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fabricate.load import BY_ACCOUNT, GOODS, MONEY, Load, totals, up_to
from fabricate.plan import LOST_FROM, PARTITIONS, Plan, topic_of
from necp_validate.events.topics import LEDGER_TOPIC, RECEIPTS_TOPIC
from necp_validate.record import (
    EpochRead,
    IntervalSet,
    LedgerRead,
    PartitionRead,
    Readback,
    ReceiptsRecord,
    StreamRead,
    parts,
)
from necp_validate.record.readback import DeadLettersRead


def write_readback(run: Path, plan: Plan, load: Load) -> None:
    """Write what was read of events, receipts, ledger and dead letters."""
    read: dict[str, StreamRead] = {}
    held = {(domain, number): 0 for domain in plan.domains for number in range(PARTITIONS)}
    gaps: dict[tuple[str, int], int] = {}
    for n, (partition, stream) in enumerate(load.streams):
        numbers, digest, lost = up_to(stream.sent), stream.digest, plan.recipe.lost
        if n == 0 and lost:
            numbers, digest = _without(lost, stream.sent), 0
            gaps[stream.domain, partition] = lost
        held[stream.domain, partition] += stream.sent
        read[stream.stream] = StreamRead(
            read=numbers, duplicates=0, out_of_order=0, digest=digest or 0, partitions=(partition,)
        )
    partitions = tuple(
        replace(
            _read(topic_of(domain), partition, high, gaps.get((domain, partition), 0)),
            cheats=up_to(0 if partition else load.planted[domain]["cheat"]),
        )
        for (domain, partition), high in held.items()
    )
    events_read = sum(part.read for part in partitions)
    receipts = tuple(_receipts(part, load.planted) for part in partitions)
    poison = {f"{topic_of(domain)}.dlt": load.planted[domain]["poison"] for domain in plan.domains}
    readback = Readback(
        events_read=events_read,
        partitions=partitions,
        streams=read,
        elapsed_s=14.2,
        cpu_s=13.1,
        events_per_s=events_read / 14.2,
        max_rss_bytes=180_000_000,
        bad_value=0,
        bad_key=0,
        unknown_records=0,
        others=0,
        examples=(),
        epochs=tuple(
            EpochRead(topic=part.topic, partition=part.partition, highest=0, decreases=0)
            for part in partitions
            if part.read
        ),
        outputs=(
            _read(RECEIPTS_TOPIC, 0, events_read // 40),
            _read(LEDGER_TOPIC, 0, events_read // 400),
            *(_read(topic, 0, count) for topic, count in poison.items()),
        ),
        receipts=receipts,
        dead_letters=poison,
        letters=tuple(_letters(topic, load) for topic in poison),
        totals=totals(plan.domains),
        ledger=tuple(_book(one) for one in receipts if one.topic == topic_of("economy")),
    )
    parts.READBACK.write(run, readback)


def _without(lost: int, count: int) -> IntervalSet:
    return IntervalSet([(0, LOST_FROM - 1), (LOST_FROM + lost, count - 1)])


def _read(topic: str, partition: int, high: int, gaps: int = 0) -> PartitionRead:
    """A partition that was read to its end; what is missing of it lies at `LOST_FROM`."""
    return PartitionRead(
        topic=topic,
        partition=partition,
        low=0,
        high=high,
        read=high - gaps,
        position=high,
        gaps=gaps,
        out_of_order_offsets=0,
        offsets=_without(gaps, high) if gaps else up_to(high),
    )


def _receipts(part: PartitionRead, planted: dict[str, dict[str, int]]) -> ReceiptsRecord:
    """An outcome of every record; all bad events of a domain are in its first partition."""
    assert part.offsets is not None
    cheats, poison = planted[part.topic.split(".")[1]].values() if part.partition == 0 else (0, 0)
    return ReceiptsRecord(
        topic=part.topic,
        partition=part.partition,
        accounted=part.offsets,
        processed=part.read - cheats - poison,
        rejected=cheats,
        dead_lettered=poison,
        duplicate_outcomes=0,
        jumps=(),
        jumps_left_out=0,
        late=IntervalSet(),
        ended_early=0,
        rejected_at=part.cheats,
    )


def _letters(topic: str, load: Load) -> DeadLettersRead:
    """All of the poison, and nothing else."""
    streams = {
        stream.stream: stream.planted["poison"]
        for _, stream in load.streams
        if f"{stream.topic}.dlt" == topic and "poison" in (stream.planted or {})
    }
    return DeadLettersRead(topic=topic, streams=streams, repeated=0, altered=0, unknown_records=0)


def _book(receipts: ReceiptsRecord) -> LedgerRead:
    """What the ledger has of one partition of the economy's events."""
    return LedgerRead(
        partition=receipts.partition,
        covered=receipts.accounted,
        covered_twice=0,
        entries=receipts.processed,
        trades=0,
        repeated=0,
        torn=0,
        unfounded=0,
        overdrawn=0,
        moved={"eddies": MONEY // PARTITIONS, "medkit": GOODS // PARTITIONS},
        postings_sum=BY_ACCOUNT // PARTITIONS,
    )
