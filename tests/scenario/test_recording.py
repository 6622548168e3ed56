"""How a run ended is in its `run.json`, whatever ended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import StackError, SuiteError
from necp_validate.record import parts, read_record
from necp_validate.record.closing import Changes, changes_since
from necp_validate.record.self_watch import noting
from necp_validate.scenario.events import RunEvent, StageFinished, WarningRaised
from necp_validate.scenario.reading import ProcessDied
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
    ended = read_record(run.run_dir).run
    assert (ended.status, ended.error) == (status, told)


def test_a_run_that_could_not_be_read_back_goes_on_to_its_end(run: RecordedRun, events: list[RunEvent]) -> None:
    with run.recorded():
        with run.reading():
            raise SuiteError("it ended", detail="combat-3 has no leader", hint="see its log")
        with run.stage("teardown"):
            pass
    ended = read_record(run.run_dir).run
    assert (ended.status, ended.error) == ("unread", "it ended\ncombat-3 has no leader\nhint: see its log")
    assert [one.message for one in events if isinstance(one, WarningRaised)] == [
        "not everything could be read back: combat-3 has no leader"
    ]
    assert [one.stage for one in events if isinstance(one, StageFinished)] == ["teardown"]
    assert "teardown_s" in ended.stages


def test_a_run_whose_reader_died_has_failed(run: RecordedRun) -> None:
    with pytest.raises(ProcessDied), run.recorded(), run.reading():
        raise ProcessDied("the reader ended with exit code -9")
    ended = read_record(run.run_dir).run
    assert (ended.status, ended.error) == ("failed", "the reader ended with exit code -9")


def test_a_run_that_came_to_its_end_is_finished(run: RecordedRun) -> None:
    with run.recorded(), run.reading():
        pass
    assert read_record(run.run_dir).run.status == "finished"


def test_each_failure_of_the_suite_itself_is_a_warning_when_the_run_is_closed(
    run: RecordedRun, events: list[RunEvent]
) -> None:
    failed = noting(run.run_dir, "monitor of host and brokers", parts.HOST, parts.BROKERS)
    with run.recorded():
        failed("TypeError: not a number (monitor.py, line 117)")
        noting(run.run_dir, "watch over alerts", parts.ALERTS)("it ended before it was asked to")
    assert [one.message for one in events if isinstance(one, WarningRaised)] == [
        "a part of the suite failed, what rests on it is unknown: "
        "monitor of host and brokers: TypeError: not a number (monitor.py, line 117)",
        "a part of the suite failed, what rests on it is unknown: watch over alerts: it ended before it was asked to",
    ]
    assert changes_since(run.run_dir) == Changes()
    assert "history/suite-failures.jsonl" in (run.run_dir / "manifest.json").read_text(encoding="utf-8")
