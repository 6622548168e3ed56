"""What became of the events sent to one topic: acknowledged, failed for certain, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from necp_validate.core.intervals import IntervalSet
from necp_validate.external.book import TopicBook
from necp_validate.external.plan import PlannedPhase, TopicPlan
from necp_validate.record import OutcomeGap
from necp_validate.record.model import NO_EVENTS

HISTOGRAM = 0.01  # the precision of its buckets
PHASES = [
    PlannedPhase(name="steady", kind="steady", duration_s=10, load=1),
    PlannedPhase(name="surge", kind="surge", duration_s=10, load=2),
]


class Report:
    """A delivery report, with the two figures that are looked at."""

    def __init__(self, partition: int, offset: int) -> None:
        self._place = partition, offset

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]


def _book(output: str = "") -> TopicBook:
    return TopicBook(
        TopicPlan(topic="orders", stream="00000001", rate_eps=1, values=[b"v"], output=output), PHASES, start_us=0
    )


def _hand_over(book: TopicBook, count: int, phase: int = 0) -> None:
    for _ in range(count):
        book.due(phase)
        book.handed_over(phase, intended_us=1_000, now_us=2_000)


def _deliver(book: TopicBook, seq: int, place: tuple[int, int], *, phase: int = 0, now_us: int = 5_000) -> None:
    report: Any = Report(*place)
    book.delivered(seq, phase, 1_000, None, report, now_us=now_us)


def _fail(book: TopicBook, seq: int, code: int) -> None:
    report: Any = Report(0, -1)
    book.delivered(seq, 0, 1_000, KafkaError(code), report)


def test_every_event_is_acknowledged_failed_or_unknown() -> None:
    book = _book()
    _hand_over(book, 4)
    _deliver(book, 0, (0, 7))
    _fail(book, 1, KafkaError.MSG_SIZE_TOO_LARGE)
    _fail(book, 2, KafkaError._MSG_TIMED_OUT)
    book.close(9_000)
    record = book.account.record()
    assert record.acked == IntervalSet([(0, 0)])
    assert record.failed == IntervalSet([(1, 1)])
    assert record.unknown == IntervalSet([(2, 3)])
    assert [text.partition(":")[0] for text in book.examples] == ["orders event 1", "orders event 2"]
    counts = book.counts(0)
    assert counts == replace(NO_EVENTS, scheduled=4, sent=4, acked=1, failed=1, unknown=2, refused=0)
    assert [(one.error, one.fate) for one in book.errors.records()] == [
        ("MSG_SIZE_TOO_LARGE", "failed"),
        ("_MSG_TIMED_OUT", "unknown"),
    ]


def test_what_the_client_does_not_take_has_failed() -> None:
    book = _book()
    _hand_over(book, 1)
    book.refused(0, 0, "_QUEUE_FULL", "Local: Queue full")
    assert book.counts(0) == replace(NO_EVENTS, scheduled=1, sent=1, acked=0, failed=1, unknown=0, refused=1)
    assert (book.counts(0).offered, book.account.unknown.count) == (0, 0)
    assert book.examples == ["orders event 0: Local: Queue full"]


def test_latency_counts_from_when_the_event_was_due() -> None:
    book = _book()
    _hand_over(book, 1)
    _deliver(book, 0, (0, 0), now_us=51_000)
    assert book.ack[0].total == 1
    assert book.ack[0].max == pytest.approx(50_000, rel=HISTOGRAM)
    assert book.late[0].max == pytest.approx(1_000, rel=HISTOGRAM)


def test_events_are_counted_in_the_phase_in_which_they_were_due() -> None:
    book = _book()
    _hand_over(book, 1, phase=0)
    _hand_over(book, 2, phase=1)
    _deliver(book, 1, (0, 0), phase=1)
    assert [book.counts(place).sent for place in (0, 1)] == [1, 2]
    assert [book.counts(place).acked for place in (0, 1)] == [0, 1]


def test_a_partition_that_goes_back_is_seen() -> None:
    book = _book()
    _hand_over(book, 4)
    _deliver(book, 0, (0, 5))
    _deliver(book, 1, (0, 4))
    assert book.not_monotonic == 1
    _deliver(book, 2, (1, 0))
    assert book.not_monotonic == 1
    _deliver(book, 3, (1, 0))
    assert book.acked_twice == 1


def test_the_longest_silence_is_between_two_acks() -> None:
    book = _book()
    _hand_over(book, 3)
    for seq, now_us in enumerate((10_000, 25_000, 30_000)):
        _deliver(book, seq, (0, seq), now_us=now_us)
    assert book.max_gap_us == [15_000, 0]


def test_an_answer_counts_once() -> None:
    book = _book(output="orders.done")
    _hand_over(book, 2)
    _deliver(book, 0, (0, 0))
    _deliver(book, 1, (0, 1))
    book.ended(0, 0, 1_000, 31_000)
    book.ended(0, 0, 1_000, 99_000)
    assert (book.end[0].total, book.unanswered) == (1, 1)
    assert book.end[0].max == pytest.approx(30_000, rel=HISTOGRAM)
    assert book.last_ended_us == {0: 31_000}


def test_a_row_tells_what_happened_since_the_one_before() -> None:
    book = _book()
    _hand_over(book, 2)
    _deliver(book, 0, (0, 0))
    first, second = book.row(1.0, "steady"), book.row(2.0, "steady")
    assert (first.scheduled, first.sent, first.acked, first.processed) == (2, 2, 1, None)
    assert (second.scheduled, second.sent, second.acked, second.ack_p50_ms) == (0, 0, 0, None)
    assert _book(output="orders.done").row(1.0, "steady").processed == 0


def test_answers_that_do_not_come_are_a_silence() -> None:
    book = _book(output="orders.done")
    _hand_over(book, 2)
    _deliver(book, 0, (0, 0), now_us=5_000)
    book.ended(0, 0, 1_000, 1_505_000)
    _deliver(book, 1, (0, 1), now_us=2_000_000)
    book.close(4_000_000)
    assert book.outcomes.gaps == [
        OutcomeGap(domain="orders", from_us=5_000, to_us=1_505_000),
        OutcomeGap(domain="orders", from_us=2_000_000, to_us=None),
    ]


def test_an_ack_that_does_not_say_where_is_counted_apart() -> None:
    book = _book()
    _hand_over(book, 2)
    _deliver(book, 0, (0, -1001))
    _deliver(book, 1, (0, 3))
    assert (book.counts(0).acked, book.counts(0).unplaced, book.account.unplaced) == (2, 1, 1)
