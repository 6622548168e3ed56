"""Load workers that are lost or leave, and clocks that are apart, make unknown what is uncertain, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histories import (
    DEAD_LETTERED,
    REJECTED,
    START_S,
    ack,
    claim_of,
    counts_of,
    finding_of,
    handled,
    history_of,
    load_record,
    read,
    timed_history,
)

from necp_validate.claims.metrics.measures import MEASURES, Question
from necp_validate.core import Verdict
from necp_validate.evidence.load_workers import clock_words, clocks_apart_ms
from necp_validate.record import ClockEstimate, LoadRecord, Record, StreamRecord, WorkerRecord

SOUND = [op for seq in range(5) for op in (ack(seq), read(seq), handled(seq))]
START_US = START_S * 10**6
LOST = load_record(
    worker="w1",
    streams=(
        StreamRecord.unheard("0000000b", domain="combat", topic="game.combat.events", key="match-0002", sent=100),
    ),
    planted={"combat": {"cheat": 3, "poison": 3}},
    phases={"steady": {"combat": counts_of(scheduled=100, acked=0)}},
    lost_us=START_US + 1,
)


def worker(name: str, state: str = "finished", *clocks: ClockEstimate) -> WorkerRecord:
    return WorkerRecord(
        worker=name,
        host="a",
        namespace="",
        pid=1,
        cpus=2,
        state=state,
        heard_us=START_US,
        silences=0,
        clocks=clocks,
        received_bytes=1,
    )


def of_two(history: Record, *more: LoadRecord, **changes: Any) -> Record:
    run = replace(history.run, config={**history.run.config, "load": {"processes": 2}})
    return replace(history, run=run, loads=(*history.loads, *more), **changes)


def verdicts(history: Record, *names: str) -> list[Verdict]:
    return [finding_of(history, name).verdict for name in names]


def test_where_one_process_sent_the_load_nothing_is_to_be_said_of_workers() -> None:
    assert verdicts(history_of(*SOUND), "lost-worker", "lost-write") == [Verdict.NOT_APPLICABLE, Verdict.PASS]


def test_what_a_lost_worker_may_have_sent_is_neither_lost_nor_a_strangers() -> None:
    history = of_two(history_of(*SOUND), LOST)
    finding = finding_of(history, "lost-worker")
    assert (finding.verdict, finding.count) == (Verdict.UNKNOWN, 100)
    for name in ("lost-write", "unseen", "duplicate", "unknown-record", "conservation", "late-schedule"):
        assert finding_of(history, name).verdict is Verdict.UNKNOWN, name
    assert "1 of 2 records of load workers (history/load-*.json); missing: w1" in finding_of(history, "unseen").summary


def test_a_loss_stays_a_loss_whoever_else_is_lost() -> None:
    """Seeded: an acked event of the worker that is there is missing in the log."""
    history = of_two(history_of(*SOUND, ack(5), ack(6), read(6), handled(6)), LOST)
    assert finding_of(history, "lost-write").verdict is Verdict.FAIL


def test_a_worker_that_left_no_record_at_all_is_missed_too() -> None:
    finding = finding_of(of_two(history_of(*SOUND)), "lost-worker")
    assert finding.verdict is Verdict.UNKNOWN
    assert "1 of 2 load workers left no account" in finding.summary


def test_what_a_worker_without_a_record_planted_is_not_known() -> None:
    """More is dead-lettered than anybody is known to have planted."""
    ops = (ack(0), ack(1), read(0), read(1), handled(0), handled(1, 2))
    assert finding_of(history_of(*ops), "conservation").verdict is Verdict.FAIL
    assert finding_of(of_two(history_of(*ops)), "conservation").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("more", [(), (LOST,)], ids=["without a record", "lost"])
def test_what_is_rejected_or_set_aside_may_be_what_such_a_worker_planted(more: tuple[LoadRecord, ...]) -> None:
    """Of the others' events it is known; theirs are no honest events that were refused."""
    ops = [op for seq in range(4) for op in (ack(seq), read(seq))]
    ends = (handled(0), handled(1, REJECTED), handled(2, DEAD_LETTERED), handled(3, REJECTED))
    alone = history_of(*ops, *ends, planted={"cheat": 1, "poison": 1})
    assert alone.readback is not None
    letters = tuple(replace(one, unknown_records=not more) for one in alone.readback.letters or ())
    alone = replace(alone, readback=replace(alone.readback, letters=letters))
    assert verdicts(alone, "planted-cheats") == [Verdict.FAIL]
    assert verdicts(of_two(alone, *more), "planted-cheats", "planted-poison") == [Verdict.UNKNOWN, Verdict.UNKNOWN]


def test_one_that_was_interrupted_left_its_account_but_kept_no_schedule() -> None:
    history = replace(history_of(*SOUND), workers=(worker("w0", "left"),))
    finding = finding_of(history, "lost-worker")
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.examples[0].detail == "interrupted on a"
    assert verdicts(history, "late-schedule", "lost-write") == [Verdict.UNKNOWN, Verdict.PASS]


def with_latency(p99_ms: float, *bounds_us: float | None) -> Record:
    """A run in which every event of combat took so long, sent by workers whose clocks were so far apart."""
    workers = tuple(
        worker(
            f"w{number}",
            "finished",
            *(
                ()
                if bound is None
                else (ClockEstimate(at_us=1, offset_us=bound - 100, uncertainty_us=100.0, samples=24),)
            ),
        )
        for number, bound in enumerate(bounds_us)
    )
    return timed_history(eps={"combat": 100.0}, seconds=20, e2e_ms=p99_ms, workers=workers)


def claim(history: Record) -> tuple[Verdict, str]:
    result = claim_of(history, "LAT-COMBAT")
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
    lost = replace(LOST, worker="w1")
    verdict, evidence = claim(of_two(with_latency(20.0), lost))
    assert verdict is Verdict.UNKNOWN
    assert "1 of 2 records of load workers" in evidence


@pytest.mark.parametrize(("bounds_us", "low", "high"), [((), 20.0, 20.0), ((500.0, 3_000.0), 17.0, 23.0)])
def test_a_figure_is_as_certain_as_the_clocks(bounds_us: tuple[float, ...], low: float, high: float) -> None:
    history = with_latency(20.0, *bounds_us)
    question = Question(history=history, phase=history.phases[0], domains=("combat",))
    found = MEASURES["e2e_p99"].measure(question)
    assert (found.low, found.high) == (pytest.approx(low, rel=0.02), pytest.approx(high, rel=0.02))
    assert bool(bounds_us) is any("clocks of" in note for note in found.notes)
