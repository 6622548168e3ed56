"""Repeated runs against a baseline: the interval, what follows from it, and what cannot be told."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate

from necp_validate.core import UsageError, Verdict
from necp_validate.report.baseline import (
    Outcome,
    compare_with_baseline,
    find_runs,
    outcome_of,
    write_json,
)
from necp_validate.report.baseline_page import render
from necp_validate.report.shift import Shift, fewest_runs, shift, u_ways


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (3, 3), (4, 3)])
def test_the_ways_to_order_two_sets_are_all_counted(m: int, n: int) -> None:
    """Against every order there is."""
    counted = [0] * (m * n + 1)
    for places in itertools.combinations(range(m + n), m):
        counted[sum(place - i for i, place in enumerate(places))] += 1
    assert u_ways(m, n) == counted


def test_the_interval_is_the_one_of_the_books() -> None:
    """Hollander and Wolfe, example 4.1 and 4.3: permeability of the human chorioamnion, estimate -0.305."""
    at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    earlier = [1.15, 0.88, 0.90, 0.74, 1.21]
    found = shift(at_term, earlier, 0.96)
    assert found.estimate == pytest.approx(-0.305)
    assert (found.low, found.high) == (pytest.approx(-0.76), pytest.approx(0.15))


@pytest.mark.parametrize(("m", "n"), [(3, 3), (1, 20), (2, 7)])
def test_too_few_figures_give_no_interval(m: int, n: int) -> None:
    assert shift([1.0] * m, [9.0] * n, 0.95).low is None


def test_four_and_four_are_enough_for_95_percent_and_three_for_90() -> None:
    assert (fewest_runs(0.95), fewest_runs(0.90)) == (4, 3)
    found = shift([1, 2, 3, 4], [11, 12, 13, 14], 0.95)
    assert (found.estimate, found.low, found.high) == (10, 7, 13)
    assert found.confidence == pytest.approx(1 - 2 / 70)


def test_what_never_came_to_an_end_is_worse_than_anything() -> None:
    found = shift([1, 2, 3, 4], [math.inf] * 4, 0.95)
    assert (found.low, found.estimate) == (math.inf, math.inf)
    assert outcome_of(found, 1.0, higher_is_better=False) is Outcome.WORSE
    assert shift([math.inf] * 4, [math.inf] * 4, 0.95).estimate == 0


@pytest.mark.parametrize(
    ("estimate", "low", "high", "outcome"),
    [
        (10, 6, 14, Outcome.WORSE),
        (-10, -14, -6, Outcome.BETTER),
        (10, -1, 21, Outcome.SAME),
        (3, 2, 4, Outcome.SAME),
        (10, None, None, Outcome.TOO_FEW),
    ],
)
def test_worse_is_what_is_certain_and_large(estimate: float, low: float, high: float, outcome: Outcome) -> None:
    found = Shift(estimate=estimate, low=low, high=high)
    assert outcome_of(found, 5, higher_is_better=False) is outcome
    turned = {Outcome.WORSE: Outcome.BETTER, Outcome.BETTER: Outcome.WORSE}
    assert outcome_of(found, 5, higher_is_better=True) is turned.get(outcome, outcome)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Four runs as they were, four as they are, and four that are slower; made once."""
    root = tmp_path_factory.mktemp("baseline")
    runs = {}
    for name, slow, seed in (("before", 1.0, 10), ("same", 1.0, 20), ("slow", 1.3, 30)):
        recipes = [Recipe(run_id=f"{name}-{i}", slow=slow * (1 + 0.004 * i), seed=seed + i) for i in range(4)]
        runs[name] = [fabricate(root / name, recipe) for recipe in recipes]
    return runs


def test_slower_runs_are_found_and_equal_ones_are_not(stored: dict[str, list[Path]]) -> None:
    slower = compare_with_baseline(stored["before"], stored["slow"], metrics=["e2e_p99", "throughput"])
    assert slower.verdict is Verdict.FAIL
    assert {one.name for one in slower.of(Outcome.WORSE)} == {
        f"e2e_p99 in {p}" for p in ("steady", "surge", "recovery")
    }
    worst = slower.of(Outcome.WORSE)[0]
    assert worst.relative(worst.estimate) == pytest.approx(0.3, abs=0.05)
    assert "e2e_p99 in steady" in slower.sentence
    equal = compare_with_baseline(stored["before"], stored["same"])
    assert (equal.verdict, equal.of(Outcome.WORSE)) == (Verdict.PASS, ())
    faster = compare_with_baseline(stored["slow"], stored["before"], metrics=["e2e_p99"])
    assert (faster.verdict, len(faster.of(Outcome.BETTER))) == (Verdict.PASS, 3)


def test_three_runs_cannot_tell_and_say_how_many_can(stored: dict[str, list[Path]]) -> None:
    found = compare_with_baseline(stored["before"][:3], stored["slow"][:3])
    assert found.verdict is Verdict.UNKNOWN
    assert "4 on each side are the fewest" in found.sentence
    assert compare_with_baseline(stored["before"][:3], stored["slow"][:3], confidence=0.9).verdict is Verdict.FAIL


def test_domains_are_compared_by_themselves_where_asked(stored: dict[str, list[Path]]) -> None:
    found = compare_with_baseline(stored["before"], stored["slow"], metrics=["e2e_p99"], by_domain=True)
    assert "e2e_p99 combat in steady" in {one.name for one in found.differences}


def test_runs_of_another_scale_are_compared_with_a_warning(stored: dict[str, list[Path]], tmp_path: Path) -> None:
    other = fabricate(tmp_path, Recipe(run_id="other", scale=0.5))
    assert compare_with_baseline(stored["before"], [other]).caveats[0].startswith("scale differs")


def test_wrong_input_is_told(stored: dict[str, list[Path]]) -> None:
    before = stored["before"]
    with pytest.raises(UsageError, match="no metric") as caught:
        compare_with_baseline(before, stored["same"], metrics=["e2e_p9"])
    assert 'did you mean "e2e_p9' in str(caught.value)
    with pytest.raises(UsageError, match="both in the baseline"):
        compare_with_baseline(before, before[:1])
    with pytest.raises(UsageError, match="confidence"):
        compare_with_baseline(before, stored["same"], confidence=1.0)
    with pytest.raises(UsageError):
        find_runs(["nowhere"])


def test_a_folder_stands_for_its_runs(stored: dict[str, list[Path]]) -> None:
    folder = stored["before"][0].parent
    assert find_runs([str(folder)]) == stored["before"]
    assert find_runs([str(stored["before"][1]), str(folder)])[0] == stored["before"][1]


def test_json_and_page_say_the_same(stored: dict[str, list[Path]], tmp_path: Path) -> None:
    found = compare_with_baseline(stored["before"], stored["slow"], metrics=["e2e_p99", "drain_time"])
    write_json(tmp_path / "out" / "comparison.json", found)
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (data["verdict"], len(data["differences"])) == ("fail", 4)
    page = render(found)
    assert "<svg" in page
    assert page.count("worse") >= 3
    assert "http" not in page.replace("http://www.w3.org", "")
