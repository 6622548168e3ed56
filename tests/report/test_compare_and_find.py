"""Runs side by side, found by path or id, and the command that repeats one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate
from histories import run_info

from necp_validate.core import UsageError
from necp_validate.report import text
from necp_validate.report.compare import compare
from necp_validate.report.reproduce import run_command
from necp_validate.report.runs import find_run
from necp_validate.scenario import load_scenario


def test_ratios_are_against_the_first_run(judged: dict[str, Path]) -> None:
    found = compare([judged["sound"], judged["lossy"]])
    rows = {(row.group, row.name): row for row in found.rows}
    slower = rows["end to end in steady", "combat P99"]
    assert slower.ratios[0] == 1
    assert slower.ratios[1] == pytest.approx(2, rel=0.05)
    assert rows["acked events/s in steady", "all"].ratios[1] == pytest.approx(1)


def test_changed_verdicts_are_listed_and_equal_ones_are_not(judged: dict[str, Path]) -> None:
    found = compare([judged["sound"], judged["lossy"]])
    changes = {change.name: change.verdicts for change in found.changes}
    assert changes["DUR-ACKED"] == ("pass", "fail")
    assert "nonmonotonic-poll" not in changes


def test_runs_are_judged_again_to_be_compared(judged: dict[str, Path], tmp_path: Path) -> None:
    """One that nobody judged has its verdict, too."""
    lossy = fabricate(tmp_path, Recipe(run_id="not-judged", lost=1))
    found = compare([judged["sound"], lossy])
    assert found.verdicts == ("pass", "fail")
    assert found.caveats == ()


def test_runs_that_are_not_like_the_first_are_said_those_alike_together(
    judged: dict[str, Path], tmp_path: Path
) -> None:
    others = [fabricate(tmp_path, Recipe(run_id=name, scale=0.5, host={"cpus": 8})) for name in ("one", "two")]
    found = compare([judged["sound"], *others])
    assert found.caveats == (
        "not like sound: one, two with scale 0.05 and not 0.1; CPUs 8 and not 2; "
        "another configuration (scale, traffic)",
    )


def test_one_run_is_not_enough(sound: Path) -> None:
    with pytest.raises(UsageError):
        compare([sound])


def test_a_run_is_found_by_path_id_or_last(tmp_path: Path) -> None:
    for age, name in enumerate(("newer", "older")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    assert find_run(tmp_path / "older") == tmp_path / "older"
    assert find_run("older", runs=tmp_path) == tmp_path / "older"
    assert find_run("last", runs=tmp_path) == tmp_path / "newer"
    with pytest.raises(UsageError) as caught:
        find_run("oldr", runs=tmp_path)
    assert 'did you mean "older"' in str(caught.value)


@pytest.mark.parametrize(
    ("scenario", "scale", "overrides", "options"),
    [
        ("smoke", 1.0, [], ""),
        ("peak-200", 0.25, [], " --scale 0.25"),
        (
            "smoke",
            0.5,
            ["traffic.combat.rate_eps=30000", "phases.surge.load=3"],
            " --scale 0.5 --set traffic.combat.rate_eps=30000 --set phases.surge.load=3",
        ),
    ],
)
def test_the_command_to_repeat_a_run_leads_to_its_configuration(
    scenario: str, scale: float, overrides: list[str], options: str
) -> None:
    stored = load_scenario(scenario, scale=scale, overrides=overrides)
    info = replace(run_info(), scenario=scenario, scale=stored.scale, stack={}, config=stored.to_config())
    assert run_command(info).replace(" --seed 1", "") == f"necp-validate run {scenario}{options}"


def test_a_scenario_of_the_users_own_is_repeated_by_its_name() -> None:
    info = run_info(scenario="mine", seed=5, stack={})
    assert run_command(info) == "necp-validate run mine --seed 5"


def test_a_run_on_kubernetes_is_repeated_by_its_session() -> None:
    info = run_info(scenario="chaos", scale=0.1, stack={"backend": "kubernetes"})
    assert run_command(info) == "nox -s k8s"


@pytest.mark.parametrize(
    ("words", "most", "brief"),
    [
        ("", 2, ""),
        ("one", 2, "one"),
        ("one; two; three", 2, "one; two; three"),
        ("one; two; three; four", 2, "one; two; and 2 more"),
        ("one; two; one; two; three", 1, "one; and 2 more"),
        ("one; two; one", 1, "one; two"),
    ],
)
def test_what_something_rests_on_is_told_once_and_briefly(words: str, most: int, brief: str) -> None:
    """And no single part is left out: to say that there is one more takes as much room."""
    assert text.brief(words, most) == brief


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.ms(0.4213), "0.421 ms"),
        (text.ms(16.06), "16.1 ms"),
        (text.ms(204.4), "204 ms"),
        (text.ms(1250), "1.25 s"),
        (text.ms(float("inf")), "never"),
        (text.ms(None), text.MISSING),
        (text.ms(float("nan")), text.MISSING),
        (text.percent(0.99999), ">99.9%"),
        (text.percent(1), "100.0%"),
        (text.count(1234567.4), "1,234,567"),
        (text.short_count(1_590_000), "1.59 M"),
        (text.short_count(26_500), "26.5 k"),
        (text.seconds(213), "3 min 33 s"),
        (text.seconds(3 * 3600 + 61), "3 h 01 min"),
        (text.gibibytes(2**30), "1.00 GiB"),
    ],
)
def test_figures_read_well(shown: str, expected: str) -> None:
    assert shown == expected
