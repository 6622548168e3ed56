"""Campaigns: what a stack cannot do is unknown at once, and the table says all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from necp_validate.chaos.experiment import Experiment, load_experiment
from necp_validate.cli.tables import campaign_table
from necp_validate.core import SuiteError, Verdict
from necp_validate.report.campaign import Trial, run_campaign, worst_of
from necp_validate.scenario import Scenario, load_scenario
from necp_validate.scenario.planning import backgrounds_of
from necp_validate.stack import Stack
from necp_validate.stack.protocol import StackDescription


class Unbreakable:
    """A stack that can do no fault."""

    def describe(self) -> StackDescription:
        return StackDescription(backend="external", kafka_version="", java_version="", brokers=(), security={})

    def describe_unavailable(self) -> Mapping[str, str]:
        return {"cut": "needs root and iptables"}


def test_what_the_stack_cannot_do_is_not_run_and_unknown(tmp_path: Path) -> None:
    stack = cast(Stack, Unbreakable())
    told: list[Trial] = []
    trials = run_campaign(
        load_scenario("chaos"),
        [load_experiment("leader-partition"), load_experiment("broker-kill")],
        stack=stack,
        repeat=2,
        out=tmp_path,
        on_trial=told.append,
    )
    assert [(trial.experiment, trial.seed, trial.why) for trial in trials] == [
        ("leader-partition", 1, "needs root and iptables"),
        ("broker-kill", 1, "needs a stack that can do: kill"),
        ("leader-partition", 2, "needs root and iptables"),
        ("broker-kill", 2, "needs a stack that can do: kill"),
    ]
    assert list(trials) == told
    assert worst_of(trials) is Verdict.UNKNOWN
    assert list(tmp_path.iterdir()) == []


def test_the_table_shows_verdict_effect_recovery_and_loss() -> None:
    trials = [
        Trial(
            experiment="broker-kill",
            seed=1,
            verdict=Verdict.PASS,
            why="",
            effective=True,
            recovery_s=12.34,
            lost=0,
            seconds=60.0,
            run_dir=Path("r"),
        ),
        Trial(
            experiment="disk-full",
            seed=1,
            verdict=Verdict.FAIL,
            why="it never came back",
            effective=True,
            recovery_s=math.inf,
            lost=1234,
            run_dir=Path("r"),
        ),
    ]
    console = Console(width=160, record=True, file=None)
    with console.capture() as captured:
        console.print(campaign_table(trials))
    lines = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert ["✓", "pass", "broker-kill", "1", "✓", "ok", "12.3", "s", "0", "60.0", "s"] in lines
    assert ["✗", "fail", "disk-full", "1", "✓", "ok", "never", "1,234"] in lines
    assert "disk-full: it never came back" in captured.get()
    assert "1 of 2 passed" in captured.get()


def test_each_experiment_is_played_under_its_own_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what breaks the gateway pays for players; all on one stack, with the seed of the trial."""
    played: list[tuple[str, str, int]] = []

    def run_scenario(scenario: Scenario, *, experiments: Sequence[Experiment], **_: object) -> Path:
        played.append((experiments[0].name, scenario.name, scenario.seed))
        raise SuiteError("not today")

    monkeypatch.setattr("necp_validate.report.campaign.run_scenario", run_scenario)
    experiments = [load_experiment("gateway-kill"), load_experiment("core-kill")]
    run_campaign(
        load_scenario("chaos", seed=5),
        experiments,
        backgrounds=backgrounds_of(experiments, None, lambda name: load_scenario(name, seed=5)),
        stack=cast(Stack, Unbreakable()),
        repeat=2,
        out=tmp_path,
    )
    assert played == [
        ("gateway-kill", "chaos-players", 5),
        ("core-kill", "chaos", 5),
        ("gateway-kill", "chaos-players", 6),
        ("core-kill", "chaos", 6),
    ]
