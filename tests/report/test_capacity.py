"""The search for the highest scale at which everything holds: where it looks, what it says, what it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabricate import Recipe, fabricate

from necp_validate.core import SuiteError, UsageError, Verdict
from necp_validate.report import capacity
from necp_validate.report.capacity import Capacity, Probe, ProbeRun, check_range, find_capacity, search
from necp_validate.report.capacity_page import render, rows
from necp_validate.report.pipeline import judge
from necp_validate.scenario import load_scenario

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def asked(limit: float, *, low: float = 0.1, high: float = 2.0, precision: float = 0.05) -> list[float]:
    """The scales that are tried where everything holds up to a limit."""
    tried: list[float] = []

    def holds(scale: float) -> bool:
        tried.append(scale)
        return scale <= limit

    search(holds, low, high, precision)
    return tried


@pytest.mark.parametrize("limit", [0.1, 0.13, 0.27, 0.4, 0.77, 1.0, 1.99])
def test_the_limit_is_found_as_closely_as_asked_for(limit: float) -> None:
    tried = asked(limit)
    held, missed = max(s for s in tried if s <= limit), min(s for s in tried if s > limit)
    assert missed - held <= 0.05 + 1e-9
    assert len(tried) == len(set(tried)) <= 10
    assert max(tried) <= 2 * limit or max(tried) == 0.2, "never far above what holds"


def test_where_the_lowest_does_not_hold_nothing_else_is_tried() -> None:
    assert asked(0.05) == [0.1]


def test_where_the_highest_holds_the_search_ends_there() -> None:
    assert asked(9.0, high=0.7) == [0.1, 0.2, 0.4, 0.7]
    assert asked(9.0, high=0.1) == [0.1]


@pytest.mark.parametrize(("low", "high", "precision"), [(0, 1, 0.1), (2, 1, 0.1), (0.1, 1, 0)])
def test_a_range_without_sense_is_wrong_usage(low: float, high: float, precision: float) -> None:
    with pytest.raises(UsageError):
        check_range(low, high, precision)


def probe(scale: float, *verdicts: Verdict) -> Probe:
    runs = tuple(ProbeRun(run=f"r{i}", verdict=v, why=f"run {i} says so.") for i, v in enumerate(verdicts))
    return Probe(scale=scale, eps=26_500 * scale, runs=runs)


def found(*probes: Probe, **changes: Any) -> Capacity:
    return Capacity(scenario="capacity", repeats=2, probes=probes, **changes)


@pytest.mark.parametrize(
    ("result", "scale", "verdict"),
    [
        (found(probe(0.1, PASS, PASS), probe(0.2, PASS, FAIL)), 0.1, PASS),
        (found(probe(0.1, FAIL)), None, FAIL),
        (found(probe(0.1, UNKNOWN)), None, UNKNOWN),
        (found(), None, UNKNOWN),
        (found(probe(0.1, PASS, PASS), probe(0.2, FAIL), at_least=0.1), 0.1, PASS),
        (found(probe(0.1, PASS, PASS), probe(0.2, FAIL), at_least=0.2), 0.1, FAIL),
        (found(probe(0.1, PASS, PASS), probe(0.2, UNKNOWN), at_least=0.2), 0.1, UNKNOWN),
        (found(probe(0.1, PASS, PASS), at_least=0.2), 0.1, UNKNOWN),
        (found(probe(0.1, PASS, PASS), probe(0.4, PASS, PASS), probe(0.2, FAIL)), 0.1, PASS),
    ],
)
def test_what_follows_from_the_probes(result: Capacity, scale: float | None, verdict: Verdict) -> None:
    assert (result.held.scale if result.held else None) == scale
    assert result.verdict is verdict


def test_the_sentence_says_where_it_ends_and_why() -> None:
    said = found(probe(0.1, PASS, PASS), probe(0.2, PASS, FAIL), at_least=0.2).sentence
    assert said == (
        "Everything holds up to scale 0.1 (2,650 events/s); at 0.2 it is missed: run 1 says so; "
        "at least 0.2 is claimed."
    )
    assert "not finished" in found(probe(0.1, PASS, PASS), complete=False).sentence


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces stack and runs by fabricated ones, slower with the scale; ``limit`` is where the run loses events."""
    told: dict[str, Any] = {"limit": 0.3, "ups": 0, "runs": [], "backlog_at": (), "breaks_at": ()}

    def bring_up(*_: Any) -> object:
        told["ups"] += 1
        return object()

    def run_scenario(scenario: Any, *, stack: object, out: Path, on_event: Any) -> Path:
        number = len(told["runs"])
        told["runs"].append((scenario.scale, scenario.seed))
        if scenario.scale in told["breaks_at"]:
            raise SuiteError("a broker died")
        lost = 5 if scenario.scale > told["limit"] else 0
        backlog = 9 if scenario.scale in told["backlog_at"] else 0
        recipe = Recipe(scale=scenario.scale / 0.1, run_id=f"run-{number}", lost=lost, backlog=backlog)
        return fabricate(out, recipe)

    monkeypatch.setattr(capacity, "bring_up", bring_up)
    monkeypatch.setattr(capacity, "run_scenario", run_scenario)
    monkeypatch.setattr(capacity, "judge_and_report", lambda run_dir, on_event: judge(run_dir))
    return told


SMALL = ("phases.warmup.duration_s=5", "phases.steady.duration_s=10", "phases.surge.duration_s=10")


def look(tmp_path: Path, **changes: Any) -> Capacity:
    arguments: dict[str, Any] = {"low": 0.05, "high": 0.1, "precision": 0.03, "repeats": 2, **changes}
    return find_capacity(load_scenario("smoke", overrides=SMALL), out=tmp_path / "capacity", **arguments)


def test_a_scale_must_hold_in_every_repeat_each_with_a_seed_of_its_own(stack: dict[str, Any], tmp_path: Path) -> None:
    stack["limit"] = 0.07
    result = look(tmp_path)
    assert result.held is not None
    assert (result.held.scale, result.verdict) == (0.05, PASS)
    seed = load_scenario("smoke").seed
    runs = [(round(scale, 6), of) for scale, of in stack["runs"]]
    warm_up = (0.05, seed)
    # What was lost has no outcome: the scale after it gets a new stack.
    assert runs == [warm_up, (0.05, seed), (0.05, seed + 1), (0.1, seed), warm_up, (0.075, seed)]
    assert stack["ups"] == 2
    data = json.loads((tmp_path / "capacity" / "capacity.json").read_text())
    assert (data["scale"], data["verdict"], data["complete"], len(data["probes"])) == (0.05, "pass", True, 3)
    worst = data["probes"][1]["runs"][0]
    assert (worst["lost"], worst["verdict"]) == (5, "fail")
    assert set(worst["p99_ms"]) == {"combat", "economy", "social", "system", "all"}


def test_a_run_that_left_a_backlog_is_followed_by_a_new_stack(stack: dict[str, Any], tmp_path: Path) -> None:
    stack["backlog_at"] = (0.05,)
    look(tmp_path, repeats=1)
    assert stack["ups"] == 2
    assert [round(scale, 6) for scale, _ in stack["runs"]] == [0.05, 0.05, 0.05, 0.1]  # each stack warmed up first


def test_a_stack_of_somebody_else_is_not_warmed_up(stack: dict[str, Any], tmp_path: Path) -> None:
    look(tmp_path, repeats=1, stack=object())
    assert (stack["ups"], len(stack["runs"])) == (0, 2)


def test_a_run_that_broke_off_is_unknown_and_ends_nothing(stack: dict[str, Any], tmp_path: Path) -> None:
    stack["breaks_at"] = (0.1,)
    result = look(tmp_path, repeats=1)
    assert result.missed is not None
    assert (result.missed.scale, result.missed.verdict) == (0.1, UNKNOWN)
    assert "a broker died" in result.missed.runs[0].why
    assert stack["ups"] == 2


def test_the_page_has_every_run_and_its_curves(stack: dict[str, Any], tmp_path: Path) -> None:
    result = look(tmp_path, repeats=1)
    page = render(result)
    assert page.count("<svg") == 2  # none lost: no curve of it
    assert len(rows(result)) == 2
    assert all(run.run in page for one in result.probes for run in one.runs)
    stack["limit"] = 0.07
    assert render(look(tmp_path / "lossy", repeats=1)).count("<svg") == 3
    nothing = replace(result, probes=())
    assert "<svg" not in render(nothing)
