"""What comes with the suite can be listed, and printed as a start for one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from necp_validate.chaos.experiment import all_experiment_names, load_experiment
from necp_validate.cli.app import app
from necp_validate.scenario.files import load_scenario, scenario_names


def call(*arguments: str, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert done.exit_code == exit_code, done.output
    return done.output


def test_all_are_listed() -> None:
    scenarios, experiments = call("scenarios"), call("experiments")
    assert all(name in scenarios for name in scenario_names())
    assert all(name in experiments for name in all_experiment_names())


@pytest.mark.parametrize("name", scenario_names())
def test_what_is_printed_of_a_scenario_is_the_scenario(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.toml").write_text(call("scenarios", name), encoding="utf-8")
    assert load_scenario(tmp_path / f"{name}.toml") == load_scenario(name)


def test_what_is_printed_of_an_experiment_is_the_experiment() -> None:
    assert json.loads(call("experiments", "security/breaker")) == load_experiment("security/breaker").document


def test_a_wrong_name_is_wrong_usage() -> None:
    assert 'did you mean "smoke"' in call("scenarios", "smok", exit_code=2)
    assert 'did you mean "broker-kill"' in call("experiments", "broker-kil", exit_code=2)
