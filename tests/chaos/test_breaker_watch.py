"""The watch over circuit breakers keeps what it sees; if it dies, that is in the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from necp_validate.chaos import breaker_watch
from necp_validate.chaos.breaker_watch import BreakerWatch
from necp_validate.record import parts
from necp_validate.stack import wait_until
from necp_validate.stack.fleet import CoreFleet

BREAKER = {
    "state": "closed",
    "openings": 0,
    "trials": 0,
    "tried_events": 0,
    "window_events": 0,
    "window_failures": 0,
    "ratio_at_opening": None,
    "failure_threshold": 0.5,
    "recovery_timeout_s": 30.0,
    "monitoring_window_s": 60.0,
}


class Core:
    """An instance with one breaker; all of its answers but the first few lack a figure.

    Args:
        whole: how many do not.
    """

    name = "core-0"

    def __init__(self, whole: float) -> None:
        self._left = whole

    def health(self) -> Mapping[str, Any]:
        self._left -= 1
        breaker = BREAKER if self._left >= 0 else {"state": "closed"}
        return {"domains": {"social": {"breaker": breaker}}}


def watch_of(run_dir: Path, monkeypatch: pytest.MonkeyPatch, whole: float) -> BreakerWatch:
    monkeypatch.setattr(breaker_watch, "_EVERY_S", 0.02)
    core = Core(whole)

    class Fleet:
        def running(self) -> list[Core]:
            return [core]

    return BreakerWatch(cast(CoreFleet, Fleet()), run_dir)


def test_a_watch_that_dies_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    watch = watch_of(tmp_path, monkeypatch, whole=3)
    watch.start()
    wait_until(lambda: bool(parts.SUITE_FAILURES.read(tmp_path)), timeout_s=20, message="nothing was noted")
    watch.stop()
    (failure,) = parts.SUITE_FAILURES.read(tmp_path)
    assert (failure.component, failure.parts) == ("watch over circuit breakers", ("breakers",))
    assert failure.problem.startswith("KeyError: 'openings' (")
    assert parts.BREAKERS.read(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_one_that_is_ended_looks_once_more_and_leaves_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(tmp_path, monkeypatch, whole=float("inf"))
    watch.start()
    before = len(parts.BREAKERS.read(tmp_path))
    watch.stop()
    watch.stop()
    assert len(parts.BREAKERS.read(tmp_path)) > before
    assert parts.SUITE_FAILURES.read(tmp_path) == ()
