"""What became of the events sent to one topic: acknowledged where, failed, or neither."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, Message

from necp_validate.core.histogram import HdrHistogram
from necp_validate.core.intervals import IntervalSet
from necp_validate.external.plan import PlannedPhase, TopicPlan
from necp_validate.ledger.client_errors import Fate, SendErrors, fate_of
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.ledger.latency import Counters
from necp_validate.ledger.stream_account import StreamAccount
from necp_validate.ledger.unavailability import OutcomeWatch
from necp_validate.record.model import LoadRecord, PhaseCounts, TimelineRow

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
        self.account = StreamAccount(plan.stream, domain=plan.topic, topic=plan.topic, key=plan.key)
        self.errors = SendErrors(plan.topic)
        self.outcomes = OutcomeWatch(plan.topic)
        self.not_monotonic = self.acked_twice = 0
        self.examples: list[str] = []
        self._counts = [Counters() for _ in phases]
        self.ack = [HdrHistogram() for _ in phases]
        self.late = [HdrHistogram() for _ in phases]
        self.end = [HdrHistogram() for _ in phases]
        self.answered = IntervalSet()
        self.last_ended_us: dict[int, int] = {}
        self.max_gap_us = [0] * len(phases)
        self._last_ack_us: int | None = None
        self._last: dict[int, tuple[int, int]] = {}  # by partition: offset and number of the latest ack
        self._row = _Row()

    def handed_over(self, phase: int, intended_us: int, now_us: int) -> int:
        """Number an event that is given to the client now."""
        seq = self.account.begin()
        self._counts[phase].sent += 1
        self._row.counts.sent += 1
        self.late[phase].record(now_us - intended_us)
        self._row.late.record(now_us - intended_us)
        return seq

    def due(self, phase: int) -> None:
        """An event has become due."""
        self._counts[phase].scheduled += 1
        self._row.counts.scheduled += 1

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
            self._lost(seq, phase, error.name(), fate_of(error.name()), error.str(), now_us)
            return
        partition, offset = place_of(message)
        self.account.ack(seq, 1, partition, offset)
        self._counts[phase].acked += 1
        self._row.counts.acked += 1
        self.ack[phase].record(now_us - intended_us)
        self._row.ack.record(now_us - intended_us)
        if self._last_ack_us is not None:
            self.max_gap_us[phase] = max(self.max_gap_us[phase], now_us - self._last_ack_us)
        self._last_ack_us = now_us
        if seq not in self.answered:
            self.outcomes.waiting(1, now_us)
        if offset < 0:
            self._counts[phase].unplaced += 1
            return
        before_offset, before_seq = self._last.get(partition, (-1, -1))
        self.acked_twice += offset == before_offset
        self.not_monotonic += offset < before_offset or seq < before_seq
        self._last[partition] = (max(offset, before_offset), max(seq, before_seq))

    def ended(self, seq: int, phase: int, intended_us: int, now_us: int) -> None:
        """The target's answer to an event has been seen; a second one counts for nothing."""
        if self.answered.add(seq, seq):
            return
        if seq in self.account.acked:
            self.outcomes.ended(1, now_us)
        self._counts[phase].witnessed += 1
        self.end[phase].record(now_us - intended_us)
        self._row.end.record(now_us - intended_us)
        self._row.ended += 1
        self.last_ended_us[phase] = max(self.last_ended_us.get(phase, 0), now_us)

    def close(self, now_us: int) -> None:
        """Nothing more will be heard: what was not answered for may be there or not."""
        self.outcomes.close(now_us)
        for of in self._counts:
            unheard = of.sent - of.acked - of.failed - of.unknown
            of.unknown += unheard
            self._row.counts.unknown += unheard

    @property
    def unanswered(self) -> int:
        """Acknowledged events without an answer."""
        return self.account.acked.difference(self.answered).count

    def _lost(self, seq: int, phase: int, name: str, fate: Fate, why: str, now_us: int) -> None:
        of, row = self._counts[phase], self._row.counts
        if fate is Fate.FAILED:
            self.account.fail(seq)
            of.failed += 1
            row.failed += 1
        else:
            of.unknown += 1
            row.unknown += 1
        self.errors.add(name, fate, 1, now_us)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{self.plan.topic} event {seq}: {why}")

    def refused(self, seq: int, phase: int, name: str, why: str) -> None:
        """The client itself did not take an event."""
        self._counts[phase].refused += 1
        self._row.counts.refused += 1
        self._lost(seq, phase, name, Fate.FAILED, why, time.time_ns() // 1000)

    def row(self, t: float, phase: str) -> TimelineRow:
        """What happened since the row before."""
        row, self._row = self._row, _Row()
        return TimelineRow(
            t=t,
            domain=self.plan.topic,
            phase=phase,
            scheduled=row.counts.scheduled,
            sent=row.counts.sent,
            acked=row.counts.acked,
            failed=row.counts.failed,
            unknown=row.counts.unknown,
            refused=row.counts.refused,
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
        return self._counts[phase].counts()


def topics_record(
    worker: str, books: Sequence[TopicBook], phases: Sequence[str], settings: Mapping[str, str]
) -> LoadRecord:
    """What a sender knows of its events, once its books are closed.

    Args:
        worker: its name.
        books: one for each topic.
        phases: their names.
        settings: of its client.
    """
    watched = [book for book in books if book.plan.output]
    ended = {
        name: [book.last_ended_us[place] for book in books if place in book.last_ended_us]
        for place, name in enumerate(phases)
    }
    return LoadRecord(
        worker=worker,
        streams=tuple(book.account.record() for book in books),
        guarantees={book.plan.topic: dict(settings) for book in books},
        planted={},
        phases={n: {book.plan.topic: book.counts(place) for book in books} for place, n in enumerate(phases)},
        inconsistent_offsets=sum(book.acked_twice for book in books),
        offset_not_monotonic=sum(book.not_monotonic for book in books),
        send_errors=tuple(error for book in books for error in book.errors.records()),
        max_gap_ms={
            n: {book.plan.topic: book.max_gap_us[place] / 1000 for book in books} for place, n in enumerate(phases)
        },
        outcome_gaps=tuple(gap for book in watched for gap in book.outcomes.gaps) if watched else None,
        unmatched_receipts=sum(book.unanswered for book in watched) if watched else None,
        last_ended_us={name: max(times) for name, times in ended.items() if times},
        examples=tuple(text for book in books for text in book.examples),
    )


class _Row:
    """What happened in the second that is running."""

    __slots__ = ("ack", "counts", "end", "ended", "late")

    def __init__(self) -> None:
        self.counts, self.ended = Counters(), 0
        self.ack, self.late, self.end = HdrHistogram(), HdrHistogram(), HdrHistogram()


def _ms(histogram: HdrHistogram, q: float) -> float | None:
    return histogram.percentile(q) / 1000 if histogram.total else None
