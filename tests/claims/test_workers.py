"""Load workers that are lost or leave, and clocks that are apart, make unknown what is uncertain, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histories import ack, handled, history_of, read

from necp_validate.claims import CHECKS, judge_claims
from necp_validate.claims.checks.load.workers import clock_words, clocks_apart_ms
from necp_validate.claims.metrics.measures import MEASURES, Question
from necp_validate.core import Verdict
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import (
    ClockEstimate,
    HdrHistogram,
    History,
    IntervalSet,
    LoadRecord,
    Phase,
    PhaseCounts,
    StreamRecord,
    WorkerRecord,
)

SOUND = [op for seq in range(5) for op in (ack(seq), read(seq), handled(seq))]
START_US = 1_790_000_000_000_000
STEADY = Phase(name="steady", kind="steady", start_us=START_US, end_us=START_US + 20_000_000)
LOST = LoadRecord(
    worker="w1",
    streams=(
        StreamRecord(
            stream="0000000b",
            domain="combat",
            topic="game.combat.events",
            key="match-0002",
            sent=100,
            acked=IntervalSet(),
            unknown=IntervalSet([(0, 99)]),
        ),
    ),
    planted={"combat": {"cheat": 3, "poison": 3}},
    lost_us=START_US + 1,
)


def of_two(history: History, *more: LoadRecord, **changes: Any) -> History:
    run = replace(history.run, config={**history.run.config, "load": {"processes": 2}})
    return replace(history, run=run, loads=(*history.loads, *more), **changes)


def verdicts(history: History, *names: str) -> list[Verdict]:
    return [CHECKS[name](history).verdict for name in names]


def test_one_process_that_told_everything_is_all_there_is() -> None:
    assert verdicts(history_of(*SOUND), "lost-worker", "lost-write") == [Verdict.PASS, Verdict.PASS]


def test_what_a_lost_worker_may_have_sent_is_neither_lost_nor_a_strangers() -> None:
    history = of_two(history_of(*SOUND), LOST)
    finding = CHECKS["lost-worker"](history)
    assert (finding.verdict, finding.count) == (Verdict.UNKNOWN, 100)
    assert missing_workers(history) == 1
    unknown = ("lost-write", "unseen", "duplicate", "unknown-record", "conservation", "late-schedule")
    assert set(verdicts(history, *unknown)) == {Verdict.UNKNOWN}


def test_a_loss_stays_a_loss_whoever_else_is_lost() -> None:
    """Seeded: an acked event of the worker that is there is missing in the log."""
    history = of_two(history_of(*SOUND, ack(5), ack(6), read(6), handled(6)), LOST)
    assert CHECKS["lost-write"](history).verdict is Verdict.FAIL


def test_a_worker_that_left_no_record_at_all_is_missed_too() -> None:
    assert CHECKS["lost-worker"](of_two(history_of(*SOUND))).verdict is Verdict.UNKNOWN


def test_one_that_was_interrupted_told_all_but_kept_no_schedule() -> None:
    workers = (WorkerRecord(worker="w0", host="a", state="left", heard_us=START_US),)
    history = replace(history_of(*SOUND), workers=workers)
    finding = CHECKS["lost-worker"](history)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.examples[0].detail == "interrupted on a"
    assert verdicts(history, "late-schedule", "lost-write") == [Verdict.UNKNOWN, Verdict.PASS]


def with_latency(p99_ms: float, *bounds_us: float | None) -> History:
    """A run in which every event of combat took so long, sent by workers whose clocks were so far apart."""
    histogram = HdrHistogram()
    histogram.record(round(p99_ms * 1000), 2_000)
    workers = tuple(
        WorkerRecord(
            worker=f"w{number}",
            state="finished",
            clocks=()
            if bound is None
            else (ClockEstimate(at_us=1, offset_us=bound - 100, uncertainty_us=100.0, samples=24),),
        )
        for number, bound in enumerate(bounds_us)
    )
    history = history_of(*SOUND)
    (load,) = history.loads
    load = replace(load, phases={"steady": {"combat": PhaseCounts(scheduled=2_000, sent=2_000, acked=2_000)}})
    return replace(
        history,
        loads=(load,),
        phases=(STEADY,),
        latency={("steady", "combat", "e2e"): histogram},
        workers=workers,
    )


def claim(history: History) -> tuple[Verdict, str]:
    (result,) = judge_claims(history, [], ["LAT-COMBAT"])
    return result.verdict, result.evidence


@pytest.mark.parametrize(
    ("p99_ms", "bounds_us", "verdict"),
    [
        (20.0, (), Verdict.PASS),
        (40.0, (), Verdict.FAIL),
        (20.0, (500.0, 300.0), Verdict.PASS),
        (40.0, (500.0, 300.0), Verdict.FAIL),
        (20.0, (500.0, 15_000.0), Verdict.UNKNOWN),  # may have been 35 ms
        (40.0, (500.0, 15_000.0), Verdict.UNKNOWN),  # may have been 25 ms
        (20.0, (500.0, None), Verdict.UNKNOWN),  # nobody knows how far apart
    ],
)
def test_a_latency_is_as_certain_as_the_clocks(
    p99_ms: float, bounds_us: tuple[float | None, ...], verdict: Verdict
) -> None:
    assert claim(with_latency(p99_ms, *bounds_us))[0] is verdict


def test_how_far_apart_clocks_were_is_said_beside_the_latency() -> None:
    history = with_latency(20.0, 500.0, 1_300.0)
    assert clocks_apart_ms(history) == pytest.approx(1.3)
    assert "clocks of 2 load workers within 1.30 ms of the master's" in claim(history)[1]
    assert clock_words(with_latency(20.0)) == ""
    assert np.isinf(clocks_apart_ms(with_latency(20.0, None)))


def test_a_latency_without_the_events_of_a_lost_worker_is_not_passed() -> None:
    verdict, evidence = claim(of_two(with_latency(20.0), LOST))
    assert verdict is Verdict.UNKNOWN
    assert "without the events of a load worker that was lost" in evidence


@pytest.mark.parametrize(("bounds_us", "low", "high"), [((), 20.0, 20.0), ((500.0, 3_000.0), 17.0, 23.0)])
def test_a_claim_of_the_users_own_is_as_certain_as_the_clocks(
    bounds_us: tuple[float, ...], low: float, high: float
) -> None:
    history = with_latency(20.0, *bounds_us)
    question = Question(history=history, phase=STEADY, domains=("combat",))
    found = MEASURES["e2e_p99"].measure(question)
    assert (found.low, found.high) == (pytest.approx(low, rel=0.02), pytest.approx(high, rel=0.02))
    assert bool(bounds_us) is any("clocks of" in note for note in found.notes)
