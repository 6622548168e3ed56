"""A simulated run on topics of the user's own, through the accounting of real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError

from necp_validate.external.accounting import RecordAccounting
from necp_validate.external.book import TopicBook, topics_record
from necp_validate.external.identity import HEADER, Identity, crc, stream_of
from necp_validate.external.plan import Course, PlannedPhase, TopicPlan
from necp_validate.record import HostSample, Phase, TimelineRow, parts
from necp_validate.scenario.due import due_of_topics
from necp_validate.scenario.model import Phase as PlannedByScenario
from necp_validate.scenario.model import PhaseKind, Scenario
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.simulated.scenario import START_US, at, finished_run

TOPIC, PARTITIONS = "orders", 3
RATE_EPS = 20.0
_ACK_US = 4_000
WORKER, JUDGED = "0", ("DUR-ACKED",)
SCENARIO = Scenario(
    name="selftest-topics",
    stack="external",
    traffic={},
    topics={TOPIC: RATE_EPS},
    phases=(PlannedByScenario(name="steady", kind=PhaseKind.STEADY, duration_s=20),),
    judge=JUDGED,
)
_PHASE = PlannedPhase(name="steady", kind="steady", duration_s=20, load=1)


@dataclass(slots=True)
class TopicRecord:
    """A record as it lies in the log; a defect may change any of it."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the client says of an event.

    Args:
        at_us: when it says so; None: never.
        refused: whether a broker refused it; else it lies where the report says.
    """

    seq: int
    intended_us: int
    at_us: int | None
    partition: int
    offset: int
    refused: bool = False


class _Message:
    """A client's message: the two figures of it that are looked at."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def partition(self) -> int:
        return self._report.partition

    def offset(self) -> int:
        return self._report.offset


@dataclass(slots=True)
class TopicRun:
    """A sound run, until a defect is seeded.

    Args:
        plan: of the topic.
        log: the records, each partition's in the order of their offsets.
        reports: one for each event, by number.
        never_sent: events that are due in the end and never sent.
    """

    plan: TopicPlan
    log: list[TopicRecord] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    never_sent: int = 0

    def middle(self) -> TopicRecord:
        """A record from the middle of the run."""
        return self.log[len(self.log) // 2]

    def contents(self) -> Contents:
        """Account for what was sent and for what lies in the log: the parts of the record."""
        accounting = RecordAccounting({TOPIC: self.plan.stream})
        ends: dict[tuple[str, int], tuple[int, int]] = {(TOPIC, number): (0, 0) for number in range(PARTITIONS)}
        for record in sorted(self.log, key=lambda one: (one.partition, one.offset)):
            place = (TOPIC, record.partition)
            accounting.add(place, record.offset, record.key, record.value, record.headers)
            ends[place] = (0, record.offset + 1)
        book, rows = self._played()
        phase = Phase(
            name=_PHASE.name,
            kind=_PHASE.kind,
            start_us=START_US,
            end_us=at(_PHASE.duration_s),
            target_eps={TOPIC: RATE_EPS},
        )
        positions = {place: end for place, (_, end) in ends.items()}
        config = {**SCENARIO.to_config(), "judge": list(JUDGED)}
        return {
            parts.RUN: finished_run("selftest-topics", SCENARIO.name, config, backend="external"),
            parts.DUE: due_of_topics({TOPIC: PARTITIONS}),
            parts.PHASES: [phase],
            parts.LATENCY: {WORKER: {(_PHASE.name, TOPIC, kind): getattr(book, kind)[0] for kind in ("ack", "late")}},
            parts.LOADS: [topics_record(WORKER, [book], [_PHASE.name], {"acks": "all"})],
            parts.TIMELINE: {WORKER: rows},
            parts.READBACK: accounting.readback(ends, positions, elapsed_s=1.0, cpu_s=1.0),
            parts.HOST: [HostSample(t=START_US / 1e6 + s, cpu_busy_pct=40.0, cpu_steal_pct=0.0) for s in range(21)],
        }

    def _played(self) -> tuple[TopicBook, list[TimelineRow]]:
        """Let everything happen to the book of the topic; a row every second."""
        book, rows = TopicBook(self.plan, [_PHASE], START_US), []
        happenings = [(one.intended_us, 0, one) for one in self.reports]
        happenings += [(one.at_us, 1, one) for one in self.reports if one.at_us is not None]
        happenings.sort(key=lambda one: one[:2])
        end_us = at(_PHASE.duration_s)
        for now_us in range(at(1), end_us + 1_000_001, 1_000_000):
            while happenings and happenings[0][0] < now_us:
                _happen(book, *happenings.pop(0)[1:])
            if now_us == end_us:
                for _ in range(self.never_sent):
                    book.due(0)
            if now_us > end_us:
                book.close(now_us)
            rows.append(book.row(now_us / 1e6, _PHASE.name))
        return book, rows


def _happen(book: TopicBook, what: int, report: Report) -> None:
    if what == 0:
        book.due(0)
        book.handed_over(0, report.intended_us, report.intended_us)
        return
    error: Any = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if report.refused else None
    message: Any = _Message(report)
    book.delivered(report.seq, 0, report.intended_us, error, message, now_us=report.at_us)


def new_topic_run() -> TopicRun:
    """A sound run: every event acknowledged, and there as it was sent."""
    plan = TopicPlan(
        topic=TOPIC, stream=stream_of("selftest", TOPIC), rate_eps=RATE_EPS, values=[b'{"order":1}', b'{"order":2}']
    )
    run, course = TopicRun(plan=plan), Course(RATE_EPS, [_PHASE])
    ends = [0] * PARTITIONS
    for seq in range(course.total):
        intended_us = at(course.due_s(seq))
        key, value, partition = f"necp-{seq % 7}".encode(), plan.values[seq % 2], seq % 7 % PARTITIONS
        identity = Identity(stream=plan.stream, seq=seq, value_crc=crc(value), key_crc=crc(key))
        record = TopicRecord(partition, ends[partition], key, value, [(HEADER, identity.encode())])
        ends[partition] += 1
        run.log.append(record)
        report = Report(
            seq=seq,
            intended_us=intended_us,
            at_us=intended_us + _ACK_US,
            partition=partition,
            offset=record.offset,
        )
        run.reports.append(report)
    return run
