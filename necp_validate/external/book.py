"""What became of the events sent to one topic: acknowledged where, failed, or neither."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, Message

from necp_validate.core.histogram import HdrHistogram
from necp_validate.core.intervals import IntervalSet
from necp_validate.external.plan import PlannedPhase, TopicPlan
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.ledger.readback import digest_of
from necp_validate.record.model import PhaseCounts, StreamRecord, TimelineRow

REFUSED: Final = frozenset(
    {
        KafkaError._PURGE_QUEUE,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)
"""Errors after which nothing was written for certain; after any other it may have been."""

_MASK: Final = 2**64 - 1
_EXAMPLES: Final = 10


class TopicBook:
    """Accounts for one topic; everything is called from one thread.

    Args:
        plan: of the topic.
        phases: of the run.
        start_us: when the load began.
    """

    def __init__(self, plan: TopicPlan, phases: Sequence[PlannedPhase], start_us: int) -> None:
        self.plan = plan
        self.start_us = start_us
        self.acked, self.failed = IntervalSet(), IntervalSet()
        self.sent = self.digest = self.not_monotonic = self.acked_twice = 0
        self.highest = -1
        self.examples: list[str] = []
        count = len(phases)
        self.scheduled_in, self.sent_in, self.acked_in, self.failed_in = ([0] * count for _ in range(4))
        self.ack = [HdrHistogram() for _ in phases]
        self.late = [HdrHistogram() for _ in phases]
        self.end = [HdrHistogram() for _ in phases]
        self.answered = IntervalSet()
        self.last_ended_us: dict[int, int] = {}
        self.max_gap_us = [0] * count
        self._last_ack_us: int | None = None
        self._last: dict[int, tuple[int, int]] = {}  # by partition: offset and number of the latest ack
        self._row = _Row()

    def handed_over(self, phase: int, intended_us: int, now_us: int) -> None:
        """An event was given to the client."""
        self.sent += 1
        self.sent_in[phase] += 1
        self.late[phase].record(now_us - intended_us)
        self._row.sent += 1
        self._row.late.record(now_us - intended_us)

    def due(self, phase: int) -> None:
        """An event has become due."""
        self.scheduled_in[phase] += 1
        self._row.scheduled += 1

    def delivered(
        self,
        seq: int,
        phase: int,
        intended_us: int,
        error: KafkaError | None,
        message: Message,
        *,
        now_us: int | None = None,
    ) -> None:
        """The client says what became of an event; now, if not told otherwise."""
        now_us = time.time_ns() // 1000 if now_us is None else now_us
        if error is not None:
            self._lost(seq, phase, error)
            return
        partition, offset = place_of(message)
        self.acked.add(seq, seq)
        self.acked_in[phase] += 1
        self._row.acked += 1
        self.ack[phase].record(now_us - intended_us)
        self._row.ack.record(now_us - intended_us)
        if self._last_ack_us is not None:
            self.max_gap_us[phase] = max(self.max_gap_us[phase], now_us - self._last_ack_us)
        self._last_ack_us = now_us
        if offset < 0:
            return
        self.digest = (self.digest + digest_of(seq, offset, partition, 1)) & _MASK
        self.highest = max(self.highest, offset)
        before_offset, before_seq = self._last.get(partition, (-1, -1))
        self.acked_twice += offset == before_offset
        self.not_monotonic += offset < before_offset or seq < before_seq
        self._last[partition] = (max(offset, before_offset), max(seq, before_seq))

    def ended(self, seq: int, phase: int, intended_us: int, now_us: int) -> None:
        """The target's answer to an event has been seen; a second one counts for nothing."""
        if self.answered.add(seq, seq):
            return
        self.end[phase].record(now_us - intended_us)
        self._row.end.record(now_us - intended_us)
        self._row.ended += 1
        self.last_ended_us[phase] = max(self.last_ended_us.get(phase, 0), now_us)

    @property
    def unanswered(self) -> int:
        """Acknowledged events without an answer."""
        return self.acked.difference(self.answered).count

    def _lost(self, seq: int, phase: int, error: KafkaError) -> None:
        if error.code() in REFUSED:
            self.failed.add(seq, seq)
            self.failed_in[phase] += 1
            self._row.failed += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{self.plan.topic} event {seq}: {error.str()}")

    def refused(self, seq: int, phase: int, why: str) -> None:
        """The client itself did not take an event."""
        self.failed.add(seq, seq)
        self.failed_in[phase] += 1
        self._row.failed += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{self.plan.topic} event {seq}: {why}")

    def row(self, t: float, phase: str) -> TimelineRow:
        """What happened since the row before."""
        row, self._row = self._row, _Row()
        return TimelineRow(
            t=t,
            domain=self.plan.topic,
            phase=phase,
            scheduled=row.scheduled,
            sent=row.sent,
            acked=row.acked,
            failed=row.failed,
            processed=row.ended if self.plan.output else None,
            e2e_p50_ms=_ms(row.end, 50),
            e2e_p99_ms=_ms(row.end, 99),
            ack_p50_ms=_ms(row.ack, 50),
            ack_p99_ms=_ms(row.ack, 99),
            late_p99_ms=_ms(row.late, 99),
            late_max_ms=row.late.max / 1000 if row.late.total else None,
        )

    def counts(self, phase: int) -> PhaseCounts:
        """The events of a phase, by their intended time."""
        return PhaseCounts(
            scheduled=self.scheduled_in[phase],
            sent=self.sent_in[phase],
            acked=self.acked_in[phase],
            failed=self.failed_in[phase],
        )

    def record(self) -> StreamRecord:
        """Everything, as the history has it."""
        given = IntervalSet([(0, self.sent - 1)]) if self.sent else IntervalSet()
        return StreamRecord(
            stream=self.plan.stream,
            domain=self.plan.topic,
            topic=self.plan.topic,
            key=self.plan.key,
            sent=self.sent,
            acked=self.acked,
            failed=self.failed,
            unknown=given.difference(self.acked).difference(self.failed),
            digest=self.digest,
            max_acked_offset=self.highest,
        )


class _Row:
    """What happened in the second that is running."""

    __slots__ = ("ack", "acked", "end", "ended", "failed", "late", "scheduled", "sent")

    def __init__(self) -> None:
        self.scheduled = self.sent = self.acked = self.failed = self.ended = 0
        self.ack, self.late, self.end = HdrHistogram(), HdrHistogram(), HdrHistogram()


def _ms(histogram: HdrHistogram, q: float) -> float | None:
    return histogram.percentile(q) / 1000 if histogram.total else None
