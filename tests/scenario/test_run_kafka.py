"""The whole path on real brokers: a small scenario to its verdict, and an interrupted one that leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from contract import adds_up, not_recorded, wrong_fields
from taking_away import not_judged, unnoticed

from necp_validate.core import Verdict
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, PlannedPhase
from necp_validate.load.schedule import Schedule
from necp_validate.load.traffic import key_of
from necp_validate.record.reader import read_record
from necp_validate.report.pipeline import judge_and_report
from necp_validate.scenario import monitor
from necp_validate.scenario.events import LoadTick, RunEvent, WarningRaised
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import LocalStack
from necp_validate.stack.docker_engine import why_not_docker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SCENARIO = """
description = "a few seconds at a low rate"
judge = ["DUR-ACKED", "EVT-REGISTRY", "EVT-COMBAT", "EVT-ECONOMY", "OPS-HEALTH"]

[traffic.combat]
rate_eps = 500
run_length = 20
tick_hz = 10
cheat_share = 0.02
poison_share = 0.01

[traffic.economy]
rate_eps = 200
run_length = 10
tick_hz = 10
poison_share = 0.01

[traffic.social]
rate_eps = 50
run_length = 5
tick_hz = 5
poison_share = 0.02

[traffic.system]
rate_eps = 50
run_length = 5
tick_hz = 5
poison_share = 0.02

[[phases]]
name = "warmup"
kind = "warmup"
duration_s = 3
ramp_s = 1

[[phases]]
name = "steady"
kind = "steady"
duration_s = {steady_s}

[[phases]]
name = "surge"
kind = "surge"
duration_s = 4
load = 2.0

[thresholds]
longest_gap_ms = 30000
drain_s = 60
"""

NOT_THERE = {
    "RunInfo.error": "it came to its end",
    "LoadRecord.lost_us": "no worker was lost",
}


STEADY_S = 5


def start(tmp_path: Path, *arguments: str, stack: str = "local") -> subprocess.Popen[str]:
    scenario = tmp_path / "small.toml"
    scenario.write_text(SCENARIO.format(steady_s=STEADY_S), encoding="utf-8")
    command = [sys.executable, "-m", "necp_validate", "run", str(scenario), "--out", str(tmp_path / "runs")]
    command += ["--stack", stack, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def schedules() -> Iterator[tuple[Domain, Schedule, int]]:
    """The schedule of each domain, from the scenario itself."""
    scenario = tomllib.loads(SCENARIO.format(steady_s=STEADY_S))
    phases = [PlannedPhase(**{"load": 1.0, **phase}) for phase in scenario["phases"]]
    for domain, one in scenario["traffic"].items():
        traffic = DomainTraffic(topic="", client={}, **{"cheat_share": 0.0, **one})
        yield Domain(domain), Schedule(traffic, phases, f"1/{domain}"), one["run_length"]


def the_run(tmp_path: Path) -> Path:
    (run_dir,) = (tmp_path / "runs").iterdir()
    return run_dir


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run directory of a small scenario in one process, which each test leaves as it is, and the run's output."""
    folder = tmp_path_factory.mktemp("alone")
    output, _ = start(folder, "--workers", "1").communicate(timeout=240)
    return the_run(folder), output


@pytest.mark.parametrize(
    "processes", [pytest.param(1, id="alone"), pytest.param(2, marks=pytest.mark.docker, id="docker")]
)
def test_a_small_scenario_accounts_for_every_event(
    request: pytest.FixtureRequest, tmp_path: Path, processes: int
) -> None:
    """Alone, and with Locust's master and workers, in containers if there is an engine: nothing lost or doubled.

    The same events whoever sends them: each stream is as long, and as many events are planted.
    """
    stack = "docker" if processes > 1 and not why_not_docker() else "local"
    apart = ["--in-namespaces"] if stack == "docker" and os.geteuid() == 0 else []
    if processes == 1:
        run_dir, output = request.getfixturevalue("alone")
    else:
        run = start(tmp_path, "--workers", str(processes), *apart, stack=stack)
        output, _ = run.communicate(timeout=240)
        run_dir = the_run(tmp_path)
    verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))
    checks = {check["name"]: check for check in verdict["checks"]}
    claims = {claim["id"]: claim["verdict"] for claim in verdict["claims"]}
    must_hold = ("lost-write", "unseen", "duplicate", "inconsistent-offsets", "conservation", "value-mismatch")
    assert dict.fromkeys(must_hold, "pass") == {name: checks[name]["verdict"] for name in must_hold}, output
    judged = ("DUR-ACKED", "EVT-REGISTRY", "EVT-COMBAT", "EVT-ECONOMY", "OPS-HEALTH")
    assert claims == dict.fromkeys(judged, "pass"), output
    history = read_record(run_dir)
    assert wrong_fields(run_dir) == []
    assert not_recorded(run_dir) == set(NOT_THERE)
    adds_up(history)
    assert len(history.loads) == processes
    assert [worker.state for worker in history.workers] == (["finished"] * processes if processes > 1 else [])
    assert all(worker.clocks for worker in history.workers)
    assert len({worker.namespace for worker in history.workers}) == (
        processes if apart else min(len(history.workers), 1)
    )
    sent = {stream.key: stream.sent for load in history.loads for stream in load.streams}
    assert sent == {
        key: run_length * sum(1 for _ in schedule.flushes(number))
        for domain, schedule, run_length in schedules()
        for number in range(schedule.most_servers)
        for key in [key_of(domain, number)]
    }
    assert history.readback is not None
    read = (*history.readback.partitions, *(history.readback.outputs or ()))
    assert {part.topic for part in read} >= {topic for d in Domain for topic in (d.topic, d.dead_letter_topic)}
    assert [part for part in read if part.position is None or part.position < part.high] == []
    acked = sum(stream.acked.count for load in history.loads for stream in load.streams)
    assert acked == history.readback.events_read > 8_000
    assert sum(load.unmatched_receipts for load in history.loads) == 0
    assert {sample.group for sample in history.groups if sample.state == "STABLE"} == {d.group for d in Domain}
    # A leader that is slow to answer has no epoch for a moment.
    known = {(sample.topic, sample.partition) for sample in history.leaders if sample.epoch is not None}
    assert known == {(sample.topic, sample.partition) for sample in history.leaders} != set()
    assert history.readback.ledger
    assert history.readback.epochs
    assert history.readback.totals["combat"]["damage"] == sum(
        load.expected_totals["combat"]["damage"] for load in history.loads
    )
    for name in ("report.html", "junit.xml", "summary.md"):
        assert (run_dir / name).stat().st_size > 0


def test_whatever_is_taken_away_of_a_recorded_run_is_missed(alone: tuple[Path, str], tmp_path: Path) -> None:
    """Each file, field and kind of row, one at a time: all but what is listed, with the reason, as not judged."""
    assert [what for what in unnoticed(alone[0], tmp_path) if not not_judged(what)] == []


def test_a_stored_run_that_was_changed_is_no_pass_offline(alone: tuple[Path, str], tmp_path: Path) -> None:
    """With one acknowledged event taken out of what the reader saw by stream, but not by partition."""
    run_dir = shutil.copytree(alone[0], tmp_path / alone[0].name)
    readback_file = run_dir / "history" / "readback.json"
    readback = json.loads(readback_file.read_text(encoding="utf-8"))
    stream = next(s for s in readback["streams"].values() if s["read"][0][1] > 10)
    first, last = stream["read"][0]
    stream["read"][0:1] = [[first, first + 4], [first + 6, last]]
    readback_file.write_text(json.dumps(readback), encoding="utf-8")
    verdict = judge_and_report(run_dir)
    assert verdict.verdict is Verdict.UNKNOWN
    of = {check.name: check for check in verdict.checks}
    assert of["changed-record"].summary == "this run was changed since it was closed: changed history/readback.json"
    assert of["position-account"].verdict is Verdict.UNKNOWN
    assert (of["lost-write"].verdict, of["lost-write"].count) == (Verdict.UNKNOWN, 1)


def test_a_monitor_that_dies_in_the_middle_is_in_the_run_with_a_warning(
    tmp_path: Path, local_stack: LocalStack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its samples end after some seconds of the load; the run itself comes to its end."""
    scenario = tmp_path / "small.toml"
    scenario.write_text(SCENARIO.format(steady_s=4), encoding="utf-8")
    events: list[RunEvent] = []
    whole, loaded_s = monitor.BrokerRow, 4.0

    def of_broker(**figures: Any) -> Any:
        if any(isinstance(event, LoadTick) and event.t_s > loaded_s for event in events):
            raise TypeError("a broker without figures")
        return whole(**figures)

    monkeypatch.setattr(monitor, "BrokerRow", of_broker)
    run_dir = run_scenario(
        load_scenario(str(scenario)), stack=local_stack, out=tmp_path / "runs", on_event=events.append
    )
    history = read_record(run_dir)
    (failure,) = history.suite_failures
    assert (failure.component, failure.parts) == ("monitor of host and brokers", ("host", "brokers"))
    assert failure.problem.startswith("TypeError: a broker without figures (test_run_kafka.py, line ")
    begin_us, end_us = history.phases[0].start_us, history.phases[-1].end_us
    assert begin_us < failure.t_us < end_us
    assert history.run.status == "finished"
    assert max(sample.t for sample in history.host) <= failure.t_us / 1e6 < max(sample.t for sample in history.lag)
    assert [event.message for event in events if isinstance(event, WarningRaised)] == [
        f"a part of the suite failed, what rests on it is unknown: monitor of host and brokers: {failure.problem}"
    ]
    assert capfd.readouterr().err == ""


def test_a_run_that_is_interrupted_while_brokers_start_leaves_no_process_and_a_readable_run_directory(
    tmp_path: Path,
) -> None:
    """Under load, with players and under a fault, it is interrupted in the tests of those."""
    run = start(tmp_path)
    deadline = time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline, "the brokers did not start"
        assert run.poll() is None, run.communicate()[0]
        children = descendants(run.pid)
        if sum("kafka.Kafka" in " ".join(child.cmdline()) for child in children if child.is_running()) == 3:
            break
        time.sleep(0.2)
    os.kill(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=90)
    assert run.returncode == 4, output
    assert "interrupted" in output
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [process for process in alive if process.is_running()] == []
    info = json.loads((the_run(tmp_path) / "run.json").read_text(encoding="utf-8"))
    assert info["status"] == "interrupted"
    read_record(the_run(tmp_path))
