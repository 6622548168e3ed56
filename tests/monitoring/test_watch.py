"""Alerts that come and go are rows; a watch that ends early is one, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from necp_validate.core import StackError
from necp_validate.monitoring import watch as module
from necp_validate.monitoring.watch import AlertWatch
from necp_validate.record import parts
from necp_validate.stack import wait_until


def alert(name: str, state: str = "firing", since: str = "2026-11-24T22:00:00.25Z", **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, **labels}, "state": state, "activeAt": since, "value": "1e+00"}


class Answers:
    def __init__(self, *answers: Sequence[Mapping[str, Any]] | None) -> None:
        self._answers = list(answers)

    def __call__(self) -> Sequence[Mapping[str, Any]]:
        answer = self._answers.pop(0)
        if answer is None:
            raise StackError("no answer")
        return answer


def watched(tmp_path: Path, *answers: Sequence[Mapping[str, Any]] | None) -> tuple[AlertWatch, list[tuple[str, str]]]:
    watch = AlertWatch(tmp_path, Answers(*answers), lambda: None)
    for _ in answers:
        watch.look()
    return watch, [(row.name, row.state) for row in parts.ALERTS.read(tmp_path)]


def test_each_change_of_an_alert_is_one_row(tmp_path: Path) -> None:
    pending, firing = alert("A", "pending", severity="high"), alert("A", severity="high")
    watch, rows = watched(tmp_path, [], [pending], [firing], [firing], [])
    assert rows == [("A", "pending"), ("A", "firing"), ("A", "resolved")]
    assert (watch.looks, watch.missed, watch.firing("A")) == (5, 0, False)


def test_labels_tell_alerts_of_one_name_apart(tmp_path: Path) -> None:
    one, two = alert("A", broker="1"), alert("A", broker="2")
    watch, rows = watched(tmp_path, [one], [one, two], [two])
    assert rows == [("A", "firing"), ("A", "firing"), ("A", "resolved")]
    assert watch.firing("A")
    assert [dict(row.labels) for row in parts.ALERTS.read(tmp_path)] == [
        {"broker": "1"},
        {"broker": "2"},
        {"broker": "1"},
    ]


def test_an_alert_that_came_back_between_two_looks_is_a_new_one(tmp_path: Path) -> None:
    _, rows = watched(tmp_path, [alert("A")], [alert("A", since="2026-11-24T22:00:09Z")])
    assert rows == [("A", "firing"), ("A", "firing")]


def test_no_answer_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    watch, rows = watched(tmp_path, [alert("A")], None, [alert("A")])
    assert rows == [("A", "firing")]
    assert (watch.looks, watch.missed) == (3, 1)


def test_times_are_prometheus_own(tmp_path: Path) -> None:
    watched(tmp_path, [alert("A", since="2026-11-24T22:00:00.123456789Z")])
    (row,) = parts.ALERTS.read(tmp_path)
    assert row.active_us % 1_000_000 == 123_456
    assert row.value == 1.0


def test_a_watch_that_dies_leaves_alerts_and_metrics_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0.02)
    nameless = {"state": "firing", "labels": {}}
    watch = AlertWatch(tmp_path, Answers([], None, [nameless]), lambda: None)
    watch.start()
    wait_until(lambda: bool(parts.SUITE_FAILURES.read(tmp_path)), timeout_s=20, message="nothing was noted")
    watch.stop()
    (failure,) = parts.SUITE_FAILURES.read(tmp_path)
    assert (failure.component, failure.parts) == ("watch over alerts", ("alerts", "monitoring"))
    assert failure.problem.startswith("KeyError: 'alertname' (")
    assert (watch.looks, watch.missed) == (3, 1)
    assert capfd.readouterr() == ("", "")
