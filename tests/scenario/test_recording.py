"""How a run ended is in its `run.json`, whatever ended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import StackError, SuiteError
from necp_validate.record import read_history
from necp_validate.scenario.events import RunEvent, StageFinished, WarningRaised
from necp_validate.scenario.recording import RecordedRun


@pytest.fixture
def events() -> list[RunEvent]:
    return []


@pytest.fixture
def run(tmp_path: Path, events: list[RunEvent]) -> RecordedRun:
    return RecordedRun(tmp_path / "run", scenario="smoke", scale=1.0, seed=1, config={}, on_event=events.append)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (StackError("broker 2 died"), "failed", "broker 2 died"),
        (OSError("no space left"), "failed", "OSError: no space left"),
        (KeyboardInterrupt(), "interrupted", "interrupted"),
    ],
)
def test_what_ended_a_run_is_recorded(run: RecordedRun, error: BaseException, status: str, told: str) -> None:
    with pytest.raises(type(error)), run.recorded(), run.stage("load"):
        raise error
    ended = read_history(run.run_dir).run
    assert (ended.status, ended.error) == (status, told)


def test_a_run_that_could_not_be_read_back_goes_on_to_its_end(run: RecordedRun, events: list[RunEvent]) -> None:
    with run.recorded():
        with run.reading():
            raise SuiteError("it ended", detail="combat-3 has no leader", hint="see its log")
        with run.stage("teardown"):
            pass
    ended = read_history(run.run_dir).run
    assert (ended.status, ended.error) == ("unread", "it ended\ncombat-3 has no leader\nhint: see its log")
    assert [one.message for one in events if isinstance(one, WarningRaised)] == [
        "not everything could be read back: combat-3 has no leader"
    ]
    assert [one.stage for one in events if isinstance(one, StageFinished)] == ["teardown"]
    assert "teardown_s" in ended.stages


def test_a_run_that_came_to_its_end_is_finished(run: RecordedRun) -> None:
    with run.recorded(), run.reading():
        pass
    assert read_history(run.run_dir).run.status == "finished"
