"""Receipts joined with what this process sent, also where others write to the same partitions."""

from __future__ import annotations

import numpy as np
import pytest

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.rdkafka import Deliveries
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import ProducerAccount
from necp_validate.ledger.receipt_join import ReceiptJoin
from necp_validate.record import AT_ONCE, OutcomeGap

S = 1_000_000
TOPIC = "game.combat.events"


class Fixture:
    """Flushes of one server to partition 0, and receipts of the event core."""

    def __init__(self) -> None:
        self.recorder = Recorder(["steady"], [0], ["combat"])
        self.account = ProducerAccount("combat", TOPIC, self.recorder)
        self.join = ReceiptJoin(self.recorder, {"combat": self.account})
        self.stream = self.account.open_stream("00000000", "match-0000")

    def ack(self, first: int, count: int, *, at_us: int = S, offsets: list[int] | None = None) -> None:
        tag, _ = self.account.begin(self.stream, count, at_us)
        self.account.handed_over(tag, np.zeros(count, dtype=np.int32), count)
        place = np.arange(count, dtype=np.int64)
        offset = np.array(offsets, dtype=np.int64) if offsets else first + place
        opaque = tag * MAX_FLUSH + place
        report = Deliveries(err=np.zeros(count, dtype=np.int32), partition=place * 0, offset=offset, opaque=opaque)
        self.account.settle(report, at_us)

    def receipt(
        self,
        first: int,
        last: int,
        *,
        at_us: int = 2 * S,
        partition: int = 0,
        done_us: int = 2 * S,
        appended_us: int | None = None,
    ) -> None:
        runs = [(partition, first, last, Outcome.PROCESSED, done_us)]
        self.join.saw(
            Receipt(instance="core-0", domain="combat", topic=TOPIC, sent_us=1, transactional=False, runs=runs),
            at_us,
            appended_us,
        )


@pytest.fixture
def f() -> Fixture:
    fixture = Fixture()
    fixture.ack(10, 5)
    return fixture


def test_own_events_end_although_the_run_goes_on_with_somebody_elses(f: Fixture) -> None:
    """Else the load would wait for half a minute for events of players, which it never gets acknowledged."""
    f.receipt(8, 30)
    assert (f.join.waiting, f.join.early) == (0, 1)


def test_what_is_acknowledged_after_its_receipt_ends_too(f: Fixture) -> None:
    f.receipt(10, 19)
    f.ack(17, 3)
    assert f.join.waiting == 3
    f.join.retry(3 * S)
    assert (f.join.waiting, f.join.early) == (0, 0), "nothing of it can come any more"
    f.receipt(10, 19)
    assert f.recorder.histograms[0, "combat", "e2e"].total == 8


def test_a_partition_that_only_others_write_to_is_forgotten_in_time(f: Fixture) -> None:
    f.receipt(0, 9, partition=3)
    f.receipt(12, 40)
    assert (f.join.waiting, f.join.early) == (2, 2)
    f.join.retry(33 * S)
    assert f.join.early == 0


def test_an_ack_without_an_offset_is_waited_for_no_longer() -> None:
    """Which receipt is its own cannot be seen: the load would wait for it to the very end."""
    f = Fixture()
    f.ack(0, 2, offsets=[40, -1001])
    assert f.join.waiting == 1
    f.receipt(40, 40)
    assert f.join.waiting == 0


def test_an_end_after_its_receipt_is_no_end(f: Fixture) -> None:
    f.receipt(10, 14, at_us=2 * S, done_us=9 * S)
    assert f.join.ends_from_future == 5
    assert f.recorder.last_ended_us == {0: 2 * S}


def test_a_silence_of_outcomes_is_told_by_when_they_are_seen_not_by_what_they_say(f: Fixture) -> None:
    """Acked at 1 s, seen at 4 s, said to have ended at 1.1 s; nothing waits until 10 s, and then it is quick."""
    f.receipt(10, 14, at_us=4 * S, done_us=1_100_000)
    f.ack(15, 1, at_us=10 * S)
    f.receipt(15, 15, at_us=10 * S + 900_000)
    f.account.close(20 * S)
    assert f.account.outcomes.gaps == [OutcomeGap(domain="combat", from_us=S, to_us=4 * S)]


# The brokers' word on when an outcome was written ----------------------------------------------------------------


def reported(f: Fixture, *, ended_ms: int, appended_ms: int | None, came_ms: int) -> tuple[float, int, int]:
    """Five events due at 1 s; in ms after that: their end by the core, its append, its arrival.

    Returns:
        The latency in milliseconds that counts, and how many ends are witnessed and moved.
    """
    f.receipt(
        *(10, 14),
        at_us=S + 1_000 * came_ms,
        done_us=S + 1_000 * ended_ms,
        appended_us=None if appended_ms is None else S + 1_000 * appended_ms,
    )
    counters = f.recorder.counters[0, "combat"]
    return f.recorder.histograms[0, "combat", "e2e"].mean / 1_000, counters.witnessed, counters.moved


def test_an_end_a_tick_before_its_append_is_believed(f: Fixture) -> None:
    """Combat writes its outcomes every 100 ms, and 50 ms more are allowed."""
    latency_ms, *counts = reported(f, ended_ms=5, appended_ms=154, came_ms=200)
    assert latency_ms == pytest.approx(5, rel=0.02)
    assert counts == [5, 0]


def test_a_core_that_sleeps_before_it_writes_is_as_slow_as_its_receipts(f: Fixture) -> None:
    """It says 5 ms, and a broker has its outcome after 350: 200 ms are the least that it took."""
    latency_ms, *counts = reported(f, ended_ms=5, appended_ms=350, came_ms=360)
    assert latency_ms == pytest.approx(200, rel=0.02)
    assert counts == [5, 5]


def test_an_end_that_no_broker_bears_witness_to_is_the_cores_word_alone(f: Fixture) -> None:
    latency_ms, *counts = reported(f, ended_ms=5, appended_ms=None, came_ms=900)
    assert latency_ms == pytest.approx(5, rel=0.02)
    assert counts == [0, 0]


def test_a_broker_whose_clock_is_ahead_moves_no_end_beyond_the_arrival(f: Fixture) -> None:
    latency_ms, *counts = reported(f, ended_ms=5, appended_ms=9_000, came_ms=40)
    assert latency_ms == pytest.approx(40, rel=0.02)
    assert counts == [5, 5]


# Events whose outcome is written at once ---------------------------------------------------------------------------


def at_once_ms(f: Fixture, **times: int | None) -> tuple[int, float, int]:
    """How many of five events due at 1 s were written at once, after how long, and how many were to be."""
    f.account.at_once_one_in = 2
    f.ack(20, 5)
    f.receipt(20, 24, **times)  # type: ignore[arg-type]
    histogram = f.recorder.histograms[0, "combat", AT_ONCE]
    return histogram.total, histogram.mean / 1_000, f.recorder.counters[0, "combat"].watched


def test_of_outcomes_that_are_written_at_once_the_append_counts_and_not_what_the_core_says(f: Fixture) -> None:
    count, mean_ms, watched = at_once_ms(f, at_us=S + 900_000, done_us=S + 5_000, appended_us=S + 250_000)
    assert 2 <= count == watched <= 3
    assert mean_ms == pytest.approx(250, rel=0.01)


def test_an_append_by_a_clock_that_is_ahead_was_at_the_latest_when_it_came(f: Fixture) -> None:
    _, mean_ms, _ = at_once_ms(f, at_us=S + 100_000, done_us=S + 5_000, appended_us=2 * S)
    assert mean_ms == pytest.approx(100, rel=0.01)


def test_without_a_time_of_append_it_is_not_known(f: Fixture) -> None:
    count, _, watched = at_once_ms(f, at_us=S + 100_000, done_us=S + 5_000, appended_us=None)
    assert count == 0 < watched


def test_a_receipt_that_overtakes_its_acknowledgement_counts_by_its_append(f: Fixture) -> None:
    f.account.at_once_one_in = 1
    f.receipt(20, 20, at_us=S + 300_000, done_us=S + 5_000, appended_us=S + 200_000)
    f.ack(20, 1)
    f.join.retry(9 * S)
    assert f.recorder.histograms[0, "combat", AT_ONCE].mean == pytest.approx(200_000, rel=0.01)
