"""Verdicts on experiments and drills: by their own steps, and by what came back when the fault was undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, claim_of, finding_of
from sound.faults import fault, faulted, gap, outcome, silence

from necp_validate.core import Verdict
from necp_validate.record import FaultRecord, Record


def tried(*, gaps: Any = (), **changes: Any) -> Record:
    """One experiment with one fault; by title, the fault names its experiment."""
    one = fault(experiment="The experiment broker-kill")
    history = faulted(one, gaps=gaps)
    config = {**history.run.config, "experiments": ["broker-kill"]}
    row = outcome(faults=(one.id,), **changes)
    return replace(history, run=replace(history.run, config=config), experiments=(row,))


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, Verdict.PASS, "after each, the steady state was back"),
        (
            {"status": "failed", "steady_after": False, "missed": ("lag: 9",)},
            Verdict.FAIL,
            "the steady state did not come back: lag: 9",
        ),
        (
            {"status": "failed", "steady_before": False, "missed": ("isr: 3",)},
            Verdict.UNKNOWN,
            "no steady state was seen to begin with: isr: 3",
        ),
        ({"steady_before": None}, Verdict.UNKNOWN, "no steady state was seen to begin with"),
        ({"steady_after": None}, Verdict.UNKNOWN, "nobody looked for the steady state"),
        ({"status": "interrupted", "steady_after": None}, Verdict.UNKNOWN, "broker-kill: interrupted"),
        ({"missed": ("lag: 9",)}, Verdict.UNKNOWN, "said to be steady before and after, and not: lag: 9"),
        ({"failed": ("start the broker: timed out",)}, Verdict.UNKNOWN, "completed: start the broker: timed out"),
    ],
)
def test_every_experiment_must_pass(changes: dict[str, Any], verdict: Verdict, reason: str) -> None:
    """By what the experiment itself found; and what nobody looked for was not found well."""
    history = tried(**changes)

    for result in (claim_of(history, "CHAOS-ALL"), finding_of(history, "experiment-outcome")):
        text = getattr(result, "evidence", None) or getattr(result, "summary", "")
        assert result.verdict is verdict
        where = [f"{one.where}: {one.detail}" for one in getattr(result, "examples", ())]
        assert reason in "; ".join([text, *where])


def test_an_experiment_needs_an_end_and_a_recovery_after_it() -> None:
    """What was not recorded, never undone or not recovered from is not passed."""
    unrecorded = claim_of(faulted(fault(), experiments=()), "CHAOS-ALL")
    assert unrecorded.verdict is Verdict.UNKNOWN
    assert "no experiments with a record of how they ended (history/experiments.jsonl)" in unrecorded.evidence

    in_force = claim_of(faulted(fault(until=None)), "CHAOS-ALL")
    assert (in_force.verdict, "broker-kill-1 was still in force at the end" in in_force.evidence) == (
        Verdict.UNKNOWN,
        True,
    )

    for silent in ({"gaps": (gap(15, 55),)}, {"outcome_gaps": (silence(15, 55),)}):
        slow = claim_of(faulted(fault(), **silent), "CHAOS-ALL")
        assert (slow.verdict, "came back 35.0 s after it was undone" in slow.evidence) == (Verdict.FAIL, True)
    assert "35.0 s after it was undone" not in claim_of(tried(gaps=(gap(15, 49),)), "CHAOS-ALL").evidence


def test_an_experiment_of_the_scenario_that_left_no_row_was_missed() -> None:
    """One of two came to its end; nobody knows of the other."""
    history = tried()
    config = {**history.run.config, "experiments": ["broker-kill", "core-kill"]}
    history = replace(history, run=replace(history.run, config=config))

    for text in (
        finding_of(history, "experiment-outcome").summary,
        finding_of(history, "fault-in-effect").summary,
        claim_of(history, "CHAOS-ALL").evidence,
    ):
        assert "1 of 2 experiments with a record of how they ended (history/experiments.jsonl)" in text
        assert "missing: core-kill" in text
    assert claim_of(history, "CHAOS-ALL").verdict is Verdict.UNKNOWN


def drill(kind: str = "consumers-paused", **changes: Any) -> FaultRecord:
    """A fault of an experiment that rehearses an emergency."""
    return fault(kind, claims=("OPS-ROLLBACK",), **changes)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("consumers-paused", "consumers paused, books reconciled, consumers resumed"),
        ("core-rollback", "version before scaled up"),
        ("certificate-renewal", "broker isolated, its certificate renewed"),
    ],
)
def test_a_drill_that_went_through_passes(kind: str, words: str) -> None:
    """And says which of the three it was; of books, there are none without the economy."""
    history = faulted(drill(kind))
    finding = finding_of(history, "emergency-drill")
    assert (finding.verdict, finding.measured) == (Verdict.PASS, words)

    result = claim_of(history, "OPS-ROLLBACK")
    assert result.verdict is Verdict.UNKNOWN, "no transaction of the economy was looked at"
    assert "torn-transaction: there is no economy traffic" in result.evidence


@pytest.mark.parametrize(
    ("record", "changes", "verdict", "reason"),
    [
        (drill(), {"failed": ("reconcile the books: 3 events",)}, Verdict.FAIL, "reconcile the books: 3 events"),
        (drill(), {"steady_after": False}, Verdict.FAIL, "the steady state did not come back"),
        (drill(), {"status": "interrupted"}, Verdict.UNKNOWN, "interrupted"),
        (drill(), None, Verdict.UNKNOWN, "how it ended was not recorded"),
        (drill(effective_us=None), {}, Verdict.UNKNOWN, "never seen to take effect"),
        (drill(until=None), {}, Verdict.UNKNOWN, "still in force at the end"),
        (drill("cut"), {}, Verdict.NOT_APPLICABLE, "no fault of this run belongs to a drill"),
    ],
)
def test_a_drill_is_judged_by_its_steps(
    record: FaultRecord, changes: dict[str, Any] | None, verdict: Verdict, reason: str
) -> None:
    """A step that fails fails the drill; what is not known leaves it unknown."""
    history = faulted(record)
    rows = () if changes is None else (replace(history.experiments[0], **changes),)

    finding = finding_of(replace(history, experiments=rows), "emergency-drill")

    texts = [finding.summary, *(f"{one.where}: {one.detail}" for one in finding.examples)]
    assert (finding.verdict, reason in "; ".join(texts)) == (verdict, True), finding


def test_a_drill_without_load_proves_nothing() -> None:
    """Nobody was served while it lasted."""
    history = faulted(drill())
    idle = tuple(replace(row, acked=0) if START_S + 9 <= row.t <= START_S + 21 else row for row in history.timeline)

    finding = finding_of(replace(history, timeline=idle), "emergency-drill")

    assert finding.verdict is Verdict.UNKNOWN
    assert "no event was acknowledged while it lasted" in finding.summary


@pytest.mark.parametrize("back_s", [49, 51, None])
def test_a_drill_after_which_the_core_stays_away_fails(back_s: float | None) -> None:
    """Thirty seconds are given from when it was undone."""
    finding = finding_of(faulted(drill(), outcome_gaps=(silence(15, back_s),)), "emergency-drill")

    if back_s == 49:
        assert finding.verdict is Verdict.PASS
        return
    assert finding.verdict is Verdict.FAIL
    took = "never" if back_s is None else "31.0 s"
    assert finding.examples[0].detail == f"event core, combat came back {took} after it was undone"
