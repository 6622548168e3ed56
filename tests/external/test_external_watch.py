"""The watch over an external cluster: a thread of it that dies is in the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.external import watch as module
from necp_validate.external.watch import Watch
from necp_validate.record import parts
from necp_validate.stack import wait_until

NOWHERE = {"bootstrap.servers": "127.0.0.1:9"}


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(module, "_HOST_S", 0.02)
    monkeypatch.setattr(module, "_KAFKA_S", 0.02)
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.1)
    watch = Watch(tmp_path, NOWHERE, {}, ["orders"])
    yield watch
    watch.stop()


def failures(run_dir: Path) -> list[tuple[str, tuple[str, ...]]]:
    wait_until(lambda: bool(parts.SUITE_FAILURES.read(run_dir)), timeout_s=20, message="nothing was noted")
    return [(one.component, one.parts) for one in parts.SUITE_FAILURES.read(run_dir)]


def test_a_sampler_of_the_host_that_raises_is_noted(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = iter([0.0, 0.0, 0.0])
    monkeypatch.setattr(watch, "_load_cpu_s", lambda: next(calls))
    watch.start()
    assert failures(tmp_path) == [("watch over the host", ("host",))]
    assert len(parts.HOST.read(tmp_path)) == 2
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_asked_of_the_cluster_is_noted_and_a_cluster_that_does_not_answer_is_not(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.start()
    wait_until(lambda: len(parts.HOST.read(tmp_path)) > 20, timeout_s=20, message="the host was not sampled")
    assert parts.SUITE_FAILURES.read(tmp_path) == ()
    monkeypatch.setattr(watch, "_admin", None)
    assert failures(tmp_path) == [("watch over the cluster", ("lag", "isr", "drain"))]
