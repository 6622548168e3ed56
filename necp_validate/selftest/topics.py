"""A simulated run on topics of the user's own, through the accounting of real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from necp_validate.external.accounting import RecordAccounting
from necp_validate.external.book import TopicBook
from necp_validate.external.identity import HEADER, Identity, crc, stream_of
from necp_validate.external.plan import Course, PlannedPhase, TopicPlan
from necp_validate.record import HistoryWriter, LoadRecord, Phase, RunInfo
from necp_validate.selftest.course import START_US

TOPIC, PARTITIONS = "orders", 3
RATE_EPS = 20.0
_ACK_US = 4_000
_PHASE = PlannedPhase(name="steady", kind="steady", duration_s=20, load=1)


@dataclass(slots=True)
class TopicRecord:
    """A record as it lies in the log; a defect may change any of it."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class _Report:
    """A delivery report: the two figures of a client's message that are looked at."""

    def __init__(self, record: TopicRecord) -> None:
        self._record = record

    def partition(self) -> int:
        return self._record.partition

    def offset(self) -> int:
        return self._record.offset


@dataclass(slots=True)
class TopicRun:
    """A sound run, until a defect is seeded.

    Args:
        log: the records, each partition's in the order of their offsets.
        book: what the producer was told, before any defect.
    """

    book: TopicBook
    log: list[TopicRecord] = field(default_factory=list)

    def middle(self) -> TopicRecord:
        """A record from the middle of the run."""
        return self.log[len(self.log) // 2]

    def write(self, run_dir: Path) -> None:
        """Account for what lies in the log, and leave a run directory."""
        accounting = RecordAccounting({TOPIC: self.book.plan.stream})
        ends: dict[tuple[str, int], tuple[int, int]] = {}
        for record in sorted(self.log, key=lambda one: (one.partition, one.offset)):
            place = (TOPIC, record.partition)
            accounting.add(place, record.offset, record.key, record.value, record.headers)
            ends[place] = (0, record.offset + 1)
        writer = HistoryWriter(run_dir)
        phase = Phase(
            name=_PHASE.name,
            kind=_PHASE.kind,
            start_us=START_US,
            end_us=START_US + round(_PHASE.duration_s * 1e6),
            target_eps={TOPIC: RATE_EPS},
        )
        config: dict[str, Any] = {"topics": {TOPIC: RATE_EPS}, "phases": [{"name": _PHASE.name, "load": 1.0}]}
        writer.save_run(RunInfo(id=run_dir.name, scenario="topics", scale=1, seed=1, config=config, status="finished"))
        writer.save_phases([phase])
        writer.save_latency("0", {(_PHASE.name, TOPIC, kind): getattr(self.book, kind)[0] for kind in ("ack", "late")})
        writer.save_load(
            LoadRecord(
                worker="0",
                streams=(self.book.record(),),
                guarantees={TOPIC: {"acks": "all", "enable.idempotence": "true"}},
                phases={_PHASE.name: {TOPIC: self.book.counts(0)}},
                inconsistent_offsets=self.book.acked_twice,
                offset_not_monotonic=self.book.not_monotonic,
                max_gap_ms={_PHASE.name: {TOPIC: self.book.max_gap_us[0] / 1000}},
            )
        )
        writer.save_readback(accounting.readback(ends, elapsed_s=1.0, cpu_s=1.0))


def new_topic_run() -> TopicRun:
    """A sound run: every event acknowledged, and there as it was sent."""
    plan = TopicPlan(
        topic=TOPIC, stream=stream_of("selftest", TOPIC), rate_eps=RATE_EPS, values=[b'{"order":1}', b'{"order":2}']
    )
    run, course = TopicRun(book=TopicBook(plan, [_PHASE], START_US)), Course(RATE_EPS, [_PHASE])
    ends = [0] * PARTITIONS
    for seq in range(course.total):
        intended_us = START_US + round(course.due_s(seq) * 1e6)
        key, value, partition = f"necp-{seq % 7}".encode(), plan.values[seq % 2], seq % 7 % PARTITIONS
        identity = Identity(stream=plan.stream, seq=seq, value_crc=crc(value), key_crc=crc(key))
        record = TopicRecord(partition, ends[partition], key, value, [(HEADER, identity.encode())])
        ends[partition] += 1
        run.log.append(record)
        run.book.due(0)
        run.book.handed_over(0, intended_us, intended_us)
        report: Any = _Report(record)
        run.book.delivered(seq, 0, intended_us, None, report, now_us=intended_us + _ACK_US)
    return run
