"""Every event's outcome is booked from delivery reports, however they come in."""

from __future__ import annotations

import numpy as np

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.rdkafka import Deliveries
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import ProducerAccount, load_record
from necp_validate.ledger.stream_account import StreamAccount
from necp_validate.record import LoadRecord, OutcomeGap, PhaseCounts

TIMED_OUT, TOO_LARGE, QUEUE_FULL = -192, 10, -184


def reports(*rows: tuple[int, int, int, int, int], maybe: bool = False) -> Deliveries:
    """Delivery reports, each (error, partition, offset, tag, place in the flush); a failure may hide a write."""
    err, partition, offset, tag, place = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Deliveries(
        err=err.astype(np.int32),
        partition=partition,
        offset=offset,
        opaque=tag * MAX_FLUSH + place,
        maybe_written=(err != 0) & maybe if err.any() else None,
    )


def flush_at(tag: int, count: int, offset: int, *, partition: int = 3, err: int = 0) -> list[tuple[int, ...]]:
    return [(err, partition, offset + i, tag, i) for i in range(count)]


class Fixture:
    def __init__(self) -> None:
        self.recorder = Recorder(["steady", "surge"], [0, 1_000_000], ["combat"])
        self.book = ProducerAccount("combat", "game.combat.events", self.recorder)
        self.stream: StreamAccount = self.book.open_stream("0a1b2c3d", "match-0001")

    def send(self, count: int, intended_us: int = 500_000) -> int:
        tag, _ = self.book.begin(self.stream, count, intended_us)
        self.book.handed_over(tag, np.zeros(count, dtype=np.int32), count)
        return tag

    def counts(self, phase: str = "steady") -> PhaseCounts:
        return self.recorder.counts_by_phase()[phase]["combat"]

    def record(self) -> LoadRecord:
        return load_record("w0", [self.book], self.recorder, guarantees={}, planted={}, sees_outcomes=True)


def test_flushes_are_numbered_without_holes_and_acked_by_runs() -> None:
    f = Fixture()
    first, second = f.send(3), f.send(2)
    both = reports(*flush_at(first, 3, 10), *flush_at(second, 2, 13))  # type: ignore[arg-type]
    assert f.book.settle(both, 600_000) == [(first, 3), (second, 2)]
    assert f.stream.acked.to_list() == [[0, 4]]
    assert (f.stream.partition, f.stream.max_acked_offset) == (3, 14)
    assert f.book.pending[3].take(10, 14) == [(10, 12, 500_000), (13, 14, 500_000)]
    assert f.counts() == PhaseCounts(
        scheduled=0, sent=5, acked=5, failed=0, unknown=0, refused=0, unplaced=0, witnessed=0, moved=0, watched=0
    )
    assert f.book.not_monotonic == 0


def test_the_phase_is_that_of_the_intended_time() -> None:
    f = Fixture()
    tag = f.send(2, intended_us=999_999)
    f.book.settle(reports(*flush_at(tag, 2, 0)), 1_500_000)  # type: ignore[arg-type]
    assert (f.counts("steady").acked, f.counts("surge").acked) == (2, 0)


def test_a_timed_out_event_is_unknown_and_a_refused_one_failed() -> None:
    f = Fixture()
    tag = f.send(4)
    rows = [(0, 3, 7, tag, 0), (TIMED_OUT, 3, -1001, tag, 1), (TOO_LARGE, 3, -1001, tag, 2), (0, 3, 8, tag, 3)]
    f.book.settle(reports(*rows), 600_000)
    assert f.stream.acked.to_list() == [[0, 0], [3, 3]]
    assert f.stream.unknown.to_list() == [[1, 1]]
    assert f.stream.failed.to_list() == [[2, 2]]
    assert f.counts() == PhaseCounts(
        scheduled=0, sent=4, acked=2, failed=1, unknown=1, refused=0, unplaced=0, witnessed=0, moved=0, watched=0
    )
    assert any("_MSG_TIMED_OUT" in text for text in f.book.examples)
    errors = [(one.error, one.fate, one.count) for one in f.record().send_errors or ()]
    assert errors == [("MSG_SIZE_TOO_LARGE", "failed", 1), ("_MSG_TIMED_OUT", "unknown", 1)]


def test_what_an_earlier_attempt_may_have_written_is_unknown_whatever_the_last_one_met() -> None:
    f = Fixture()
    tag = f.send(2)
    f.book.settle(reports((TOO_LARGE, 3, -1001, tag, 0), maybe=True), 600_000)
    f.book.settle(reports((TOO_LARGE, 3, -1001, tag, 1)), 600_000)
    assert (f.stream.unknown.to_list(), f.stream.failed.to_list()) == ([[0, 0]], [[1, 1]])


def test_what_the_client_did_not_take_failed() -> None:
    f = Fixture()
    tag, _ = f.book.begin(f.stream, 3, 500_000)
    f.book.handed_over(tag, np.array([0, QUEUE_FULL, QUEUE_FULL], dtype=np.int32), 1)
    assert f.stream.failed.to_list() == [[1, 2]]
    assert f.counts() == PhaseCounts(
        scheduled=0, sent=3, acked=0, failed=2, unknown=0, refused=2, unplaced=0, witnessed=0, moved=0, watched=0
    )
    assert f.counts().offered == 1


def test_events_without_a_report_are_unknown_at_the_end_in_their_phase_and_in_the_last_row() -> None:
    f = Fixture()
    tag = f.send(5)
    late = f.send(1, intended_us=1_500_000)
    f.book.settle(reports(*flush_at(tag, 2, 0)), 600_000)  # type: ignore[arg-type]
    f.recorder.row("combat", 1_000_000)
    f.book.settle(reports((TIMED_OUT, 3, -1001, late, 0)), 1_900_000)
    f.book.close(2_000_000)
    assert f.stream.unknown.to_list() == [[2, 5]]
    assert (f.counts("steady").unknown, f.counts("surge").unknown) == (3, 1)
    row = f.recorder.row("combat", 2_000_000)
    assert (row.sent, row.acked, row.failed, row.unknown) == (0, 0, 0, 4)


def test_an_offset_given_twice_is_noticed() -> None:
    f = Fixture()
    one, two = f.send(2), f.send(2)
    f.book.settle(reports(*flush_at(one, 2, 10)), 600_000)  # type: ignore[arg-type]
    f.book.settle(reports(*flush_at(two, 2, 11)), 600_000)  # type: ignore[arg-type]
    assert (f.book.inconsistent, f.book.not_monotonic) == (1, 0)
    assert "acknowledged at offset 11" in f.book.examples[0]


def test_an_offset_below_those_before_is_out_of_order() -> None:
    f = Fixture()
    for tag, offset in ((f.send(2), 10), (f.send(2), 20), (f.send(2), 12)):
        f.book.settle(reports(*flush_at(tag, 2, offset)), 600_000)  # type: ignore[arg-type]
    assert (f.book.inconsistent, f.book.not_monotonic) == (0, 1)


def test_outcomes_that_do_not_come_are_a_silence_from_the_first_ack_on() -> None:
    f = Fixture()
    for at_us in (600_000, 900_000):
        f.book.settle(reports(*flush_at(f.send(2), 2, at_us)), at_us)  # type: ignore[arg-type]
    f.book.close(4_000_000)
    assert f.record().outcome_gaps == (OutcomeGap(domain="combat", from_us=600_000, to_us=None),)


def test_the_digest_tells_where_events_lie() -> None:
    """Equal for any grouping of the same reports; different once one event lies elsewhere."""

    def digest(*chunks: list[tuple[int, ...]]) -> int:
        f = Fixture()
        f.send(4)
        for chunk in chunks:
            f.book.settle(reports(*chunk), 600_000)  # type: ignore[arg-type]
        return f.stream.digest

    rows = flush_at(0, 4, 20)
    assert digest(rows) == digest(rows[:1], rows[1:]) == digest(rows[2:], rows[:2])
    moved = [*rows[:3], (0, 3, 24, 0, 3)]
    assert digest(rows) != digest(moved)


def test_an_ack_without_an_offset_is_an_ack_and_waits_for_no_receipt() -> None:
    f = Fixture()
    first, second, third = f.send(2), f.send(3), f.send(1)
    # The client counts on from -2, as one batch, and so past zero.
    adrift = [*flush_at(first, 2, -2), *flush_at(second, 3, 0)]
    f.book.settle(reports(*adrift, *flush_at(third, 1, 40)), 600_000)  # type: ignore[arg-type]
    assert f.stream.acked.to_list() == [[0, 5]]
    assert (f.stream.unplaced, f.stream.max_acked_offset, f.book.not_monotonic) == (5, 40, 0)
    assert f.book.pending[3].take(-5, 50) == [(40, 40, 500_000)]
    assert f.book.watch.acked_below_known == 0
    assert f.counts().unplaced == 5
    assert [stream.unplaced for stream in f.record().streams] == [5]
    assert f.record().unmatched_receipts == 1, "the receipts of the others cannot be recognised"


def test_only_what_follows_on_an_unknown_offset_is_unknown() -> None:
    f = Fixture()
    first, second = f.send(1), f.send(2)
    f.book.settle(reports(*flush_at(first, 1, -1001), *flush_at(second, 2, 0, partition=4)), 600_000)  # type: ignore[arg-type]
    assert (f.stream.unplaced, f.stream.acked.count) == (1, 3)
    assert f.book.pending[4].take(0, 1) == [(0, 1, 500_000)]
