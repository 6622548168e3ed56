"""A thread of the monitor that dies leaves a row that names what rested on it; the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.record import parts
from necp_validate.scenario import monitor as module
from necp_validate.scenario.monitor import Monitor
from necp_validate.stack import BrokerSample, wait_until


class Failing:
    """Answers a few times as it should, and then raises.

    Args:
        answer: what it answers.
        error: what it raises.
        right: how often it answers.
    """

    def __init__(self, answer: object, error: Exception, *, right: int = 2) -> None:
        self._answer = answer
        self._error = error
        self._right = right

    def __call__(self, *_: object) -> Any:
        if not self._right:
            raise self._error
        self._right -= 1
        return self._answer


class Fleet:
    """Stands for the event core's instances."""

    def cpu_s(self) -> float:
        return 0.0

    def running(self) -> list[Any]:
        return []


class Brokers:
    """Stands for a stack with one broker."""

    def __init__(self) -> None:
        self.sample: Callable[[], list[BrokerSample]] = lambda: [
            BrokerSample(broker=1, cpu_s=0, rss_bytes=0, read_ios=0, write_ios=0, read_bytes=0, write_bytes=0)
        ]

    def check_alive(self) -> None:
        """All is well."""

    def brokers(self) -> tuple[Any, ...]:
        """Nobody's process is known."""
        return ()


class Reader:
    """Stands for what asks brokers: whatever it is asked, it raises.

    Args:
        error: what.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., object]:
        return Failing(None, self._error, right=0)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for interval in ("_HOST_S", "_KAFKA_S", "_GROUPS_S", "_LEADERS_S"):
        monkeypatch.setattr(module, interval, 0.02)
    monkeypatch.setattr(module, "cluster_reader", lambda stack: Reader(OSError("no answer")))


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    begun: list[Monitor] = []

    def watch(stack: Brokers, **options: Any) -> Monitor:
        fleet: Any = Fleet()
        monitor = Monitor(tmp_path, cast(Any, stack), [Domain.COMBAT], fleet, close_up=True, **options)
        begun.append(monitor)
        monitor.start()
        return monitor

    yield watch
    for monitor in begun:
        monitor.stop()


def noted(run_dir: Path, count: int = 1) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Wait until so many failures are in the run; by component, what happened and what was left unwritten."""

    def found() -> dict[str, tuple[str, tuple[str, ...]]]:
        return {one.component: (one.problem, one.parts) for one in parts.SUITE_FAILURES.read(run_dir)}

    wait_until(lambda: len(found()) >= count, timeout_s=20, message="nothing was noted", backoff_s=0.01)
    return found()


def test_a_sampler_of_brokers_that_raises_is_noted_and_the_run_is_not_stopped(
    tmp_path: Path, watching: Callable[..., Monitor], capfd: pytest.CaptureFixture[str]
) -> None:
    stack = Brokers()
    stack.sample = Failing(stack.sample(), TypeError("unsupported operand"))
    monitor = watching(stack)
    ((component, (problem, unwritten)),) = noted(tmp_path).items()
    assert (component, unwritten) == ("monitor of host and brokers", ("host", "brokers"))
    assert problem.startswith("TypeError: unsupported operand (test_monitor.py, line ")
    assert monitor.broken is None
    assert len(parts.HOST.read(tmp_path)) == len(parts.BROKERS.read(tmp_path)) == 1
    monitor.stop()
    assert len(parts.SUITE_FAILURES.read(tmp_path)) == 1  # the others were asked to end
    assert capfd.readouterr() == ("", "")


def test_a_broker_that_died_stops_the_run_and_is_noted_as_well(
    tmp_path: Path, watching: Callable[..., Monitor]
) -> None:
    stack = Brokers()
    monitor = watching(stack, check=Failing(None, StackError("broker 1 died", detail="killed")))
    assert noted(tmp_path) == {"monitor of host and brokers": ("StackError: broker 1 died", ("host", "brokers"))}
    assert str(monitor.broken) == "broker 1 died\nkilled"


def test_brokers_that_answer_what_nobody_expects_end_two_threads(
    tmp_path: Path, watching: Callable[..., Monitor], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "cluster_reader", lambda stack: Reader(TypeError("not a number")))
    watching(Brokers())
    found = noted(tmp_path, 2)
    assert {component: unwritten for component, (_, unwritten) in found.items()} == {
        "monitor of lag and replicas": ("lag", "isr"),
        "monitor of groups and leaders": ("groups", "leaders"),
    }
    assert all(problem.startswith("TypeError: not a number") for problem, _ in found.values())
    assert capfd.readouterr() == ("", "")


def test_what_cannot_even_connect_is_noted(
    tmp_path: Path, watching: Callable[..., Monitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cluster_reader", Failing(None, ValueError("no such property"), right=0))
    watching(Brokers())
    assert set(noted(tmp_path, 2)) == {"monitor of lag and replicas", "monitor of groups and leaders"}


def test_brokers_that_do_not_answer_for_a_while_are_no_failure_of_the_suite(
    tmp_path: Path, watching: Callable[..., Monitor]
) -> None:
    monitor = watching(Brokers())
    wait_until(lambda: len(parts.HOST.read(tmp_path)) > 5, timeout_s=20, message="the host was not sampled")
    monitor.stop()
    assert parts.SUITE_FAILURES.read(tmp_path) == ()
    assert parts.ISR.read(tmp_path) == ()


def test_the_watch_over_the_gateway_is_noted_with_what_is_asked_of_it_in_the_end(
    tmp_path: Path, watching: Callable[..., Monitor]
) -> None:
    watching(Brokers(), gateways=Failing(None, TypeError("not a fleet")))  # it cannot be gone through
    ((component, (problem, unwritten)),) = noted(tmp_path).items()
    assert (component, unwritten) == ("monitor of the gateway", ("gateway", "gateway_record"))
    assert problem.startswith("TypeError: ")
