"""Repeated runs against a baseline: the interval, what follows from it, and what cannot be told."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabricate import START_S, Recipe, fabricate, rewrite
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.core import UsageError, Verdict
from necp_validate.record import parts
from necp_validate.record.closing import close
from necp_validate.report.baseline import (
    COMPARED,
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
        recipes = [
            Recipe(
                run_id=f"{name}-{i}",
                slow=slow * (1 + 0.004 * i),
                seed=seed + i,
                start_s=START_S + 1000 * (seed + i),
            )
            for i in range(4)
        ]
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
    assert (equal.verdict, equal.of(Outcome.WORSE), equal.caveats) == (Verdict.PASS, (), ())
    assert {one.metric for one in equal.differences} == set(COMPARED)
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


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"scale": 0.5}, "with scale 0.05 and not 0.1"),
        ({"scenario": "peak-200", "scale": 0.1}, "with scenario peak-200 and not smoke"),
        ({"overrides": ("core.instances=2",)}, "with another configuration (core)"),
        ({"host": {"cpus": 8}}, "with CPUs 8 and not 2"),
        ({"host": {"memory_bytes": 8 * 2**30}}, "with memory 8 GiB and not 23 GiB"),
        ({"versions": {"necp-validate": "0.2.0"}}, "with version of necp-validate 0.2.0 and not 0.1.0"),
        ({"stack": {"backend": "docker"}}, "with stack docker and not local"),
        ({"stack": {"kafka_version": "3.9.1"}}, "with Kafka 3.9.1 and not 4.4.0"),
    ],
)
def test_runs_that_are_not_alike_are_compared_and_prove_nothing(
    stored: dict[str, list[Path]], tmp_path: Path, recipe: dict[str, Any], says: str
) -> None:
    """Even if nothing got worse: it is not the same that is compared."""
    others = [
        fabricate(tmp_path, Recipe(run_id=f"other-{i}", seed=90 + i, start_s=START_S + 100 * i + 7, **recipe))
        for i in range(4)
    ]
    found = compare_with_baseline(stored["before"], others, metrics=["failed_share", "lost"])
    assert found.of(Outcome.WORSE) == ()
    assert found.verdict is Verdict.UNKNOWN
    (caveat,) = found.caveats
    assert caveat.startswith("not like before-0: other-0, other-1, other-2, other-3 with ")
    assert says in caveat
    assert f"but that proves nothing: {caveat}" in found.sentence


def test_what_got_worse_is_a_fail_on_other_hosts_as_well(stored: dict[str, list[Path]], tmp_path: Path) -> None:
    recipe = {"slow": 1.3, "host": {"cpus": 1}}
    slower = [
        fabricate(tmp_path, Recipe(run_id=f"slower-{i}", seed=90 + i, start_s=START_S + 100 * i + 7, **recipe))
        for i in range(4)
    ]
    found = compare_with_baseline(stored["before"], slower, metrics=["e2e_p99"])
    assert (found.verdict, len(found.caveats)) == (Verdict.FAIL, 1)


class TestTheSameRunTwice:
    """It would be evidence for itself."""

    def test_in_both_is_refused(self, stored: dict[str, list[Path]]) -> None:
        before = stored["before"]
        with pytest.raises(UsageError, match="before-0 is both in the baseline and compared with it"):
            compare_with_baseline(before, before[:1])

    def test_a_copy_under_another_name_is_refused_on_either_side(
        self, stored: dict[str, list[Path]], tmp_path: Path
    ) -> None:
        copy = shutil.copytree(stored["before"][1], tmp_path / "another")
        rewrite(copy, parts.RUN, id="another", seed=99, started_us=START_S * 10**6 + 5)
        for baseline, runs, says in (
            (stored["before"], [copy], "both in the baseline and compared with it"),
            ([*stored["before"], copy], stored["same"], "there twice"),
            (stored["same"], [copy, *stored["before"]], "there twice"),
        ):
            with pytest.raises(UsageError, match=says) as caught:
                compare_with_baseline(baseline, runs)
            assert str(copy) in caught.value.message
            assert str(stored["before"][1]) in caught.value.message

    def test_it_ends_with_code_2(self, stored: dict[str, list[Path]]) -> None:
        one = str(stored["before"][0])
        done = CliRunner().invoke(app, ["compare", "--baseline", one, one])
        assert (done.exit_code, "both in the baseline" in done.stderr) == (2, True)


class TestFiguresThatDoNotCount:
    """A figure of a run counts only where all that is due for it is there, and adds up."""

    @pytest.fixture
    def copies(self, stored: dict[str, list[Path]], tmp_path: Path) -> list[Path]:
        return [Path(shutil.copytree(one, tmp_path / one.name)) for one in stored["same"]]

    def test_evidence_that_is_missing(self, stored: dict[str, list[Path]], copies: list[Path]) -> None:
        """Half of the samples of the brokers: of the others, nobody knows."""
        path = copies[0] / "metrics" / "brokers.csv"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[: len(lines) // 2]))
        close(copies[0])
        found = compare_with_baseline(stored["before"], copies, metrics=["broker_memory_max", "lost"])
        memory, lost = found.differences
        assert (len(memory.figures), memory.outcome) == (3, Outcome.TOO_FEW)
        assert (len(lost.figures), lost.outcome) == (4, Outcome.SAME)
        (caveat,) = found.caveats
        assert caveat.startswith("broker_memory_max in run of same-0 does not count: ")
        assert "seconds of samples of the brokers (metrics/brokers.csv)" in caveat
        assert found.verdict is Verdict.UNKNOWN

    def test_a_figure_that_no_run_has_evidence_for_is_said(
        self, stored: dict[str, list[Path]], copies: list[Path]
    ) -> None:
        for one in copies:
            rewrite(one, parts.DUE, brokers=("1", "2", "3", "4"))
        found = compare_with_baseline(
            stored["before"], copies, metrics=["broker_memory_max", "broker_cpu_mean", "lost"]
        )
        assert [one.metric for one in found.differences] == ["lost"]
        assert [caveat.partition(":")[0] for caveat in found.caveats] == [
            f"broker_memory_max in run and 1 more of same-{i} does not count" for i in range(4)
        ]
        assert found.verdict is Verdict.UNKNOWN

    def test_a_record_that_does_not_add_up(self, stored: dict[str, list[Path]], copies: list[Path]) -> None:
        (load,) = parts.LOADS.read(copies[0])
        counts = {
            phase: {domain: replace(one, acked=one.acked + 7, sent=one.sent + 7) for domain, one in by.items()}
            for phase, by in (load.phases or {}).items()
        }
        parts.LOADS.write(copies[0], replace(load, phases=counts))
        close(copies[0])
        found = compare_with_baseline(stored["before"], copies, metrics=["failed_share"])
        assert any("failed_share" in caveat and "same-0" in caveat for caveat in found.caveats)
        assert found.verdict is Verdict.UNKNOWN

    def test_a_record_that_was_changed_or_never_closed(self, stored: dict[str, list[Path]], copies: list[Path]) -> None:
        (copies[0] / "logs" / "core-0.log").write_text("all went well")
        (copies[1] / "manifest.json").unlink()
        found = compare_with_baseline(stored["before"], copies, metrics=["lost"])
        assert found.caveats == ("same-0: it was changed since it was closed", "same-1: it was never closed")
        assert found.verdict is Verdict.UNKNOWN


def test_wrong_input_is_told(stored: dict[str, list[Path]]) -> None:
    before = stored["before"]
    with pytest.raises(UsageError, match="no metric") as caught:
        compare_with_baseline(before, stored["same"], metrics=["e2e_p9"])
    assert 'did you mean "e2e_p9' in str(caught.value)
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
