"""What `fuzz --machines` tells, and its exit codes."""

from __future__ import annotations

from unittest import mock

import pytest
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.cli.machines import play_machines
from necp_validate.core.errors import UsageError
from necp_validate.reference.eventcore import combat


def test_sound_handlers_are_told_and_pass() -> None:
    told: list[str] = []
    assert play_machines("combat", max_time_s=0.0, seed=4, tell=told.append, examples=20) == 0
    (line,) = told
    assert line.startswith("combat   seed 4 ")
    assert " 20 stories of each length in " in line
    assert line.endswith(": as the model says")


def test_a_story_that_goes_wrong_is_told_with_its_reproduction() -> None:
    told: list[str] = []
    with mock.patch.object(combat, "check_move", return_value=None):
        assert play_machines("combat", max_time_s=0.0, seed=4, tell=told.append, examples=20) == 1
    assert "    state = CombatMachine()" in told
    assert any("MoveV1" in line and "ended as processed, expected rejected" in line for line in told)
    assert told[-1] == "reproduce: necp-validate fuzz --machines combat --seed 4 --max-time 0"


def test_an_unknown_machine_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match='no machine "economics"') as caught:
        play_machines("economics", max_time_s=0.0, seed=None, tell=print)
    assert caught.value.hint == 'did you mean "economy"? machines: economy, combat, social, system, or all'


def test_the_command_plays_them() -> None:
    """And says what is wrong with its use."""
    result = CliRunner().invoke(app, ["fuzz", "--machines", "economics"])
    assert result.exit_code == 2
