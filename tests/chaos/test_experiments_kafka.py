"""Experiments for real, under load: by ``chaos run``, by the suite's own command, and interrupted in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from shortened import short

from necp_validate.record import parts, read_record
from necp_validate.stack.docker_engine import why_not_docker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LOSSES = ("lost-write", "unseen", "duplicate", "inconsistent-offsets", "conservation", "value-mismatch")


def chaos_run(tmp_path: Path, experiment: Path) -> subprocess.Popen[str]:
    program = shutil.which("chaos", path=str(Path(sys.executable).parent)) or "chaos"
    env = {
        **os.environ,
        "NECP_STACK": "local",
        "NECP_OUT": str(tmp_path / "runs"),
        "NECP_STATE_DIR": str(tmp_path / "state"),
    }
    return subprocess.Popen(
        [program, "run", str(experiment)],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def the_run(tmp_path: Path) -> Path:
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    return run_dir


def findings(run_dir: Path) -> dict[str, str]:
    verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))
    return {check["name"]: check["verdict"] for check in verdict["checks"]}


def nothing_lost(run_dir: Path, output: str) -> None:
    found = findings(run_dir)
    assert dict.fromkeys(LOSSES, "pass") == {name: found[name] for name in LOSSES}, output


def test_chaos_run_is_a_run_of_the_suite_in_one_command(tmp_path: Path) -> None:
    """Stack, load, fault by role, recovery, readback, verdict, journal; and nothing left."""
    run = chaos_run(tmp_path, short(tmp_path, "broker-kill", fault_s=10, recovery_s=5, hold={"seconds": 3}))
    output, _ = run.communicate(timeout=280)
    run_dir = the_run(tmp_path)
    nothing_lost(run_dir, output)
    history = read_record(run_dir)
    (fault,) = history.faults
    assert fault.kind == "broker-kill"
    assert "leader of game.combat.events-" in fault.target
    assert fault.evidence.startswith("pid ")
    assert fault.begin_us <= (fault.effective_us or 0) < (fault.end_us or 0)
    (outcome,) = parts.EXPERIMENTS.read(run_dir)
    assert (outcome.status, outcome.steady_before, outcome.steady_after) == ("completed", True, True), output
    journal = json.loads((run_dir / "journal-broker-kill.json").read_text(encoding="utf-8"))
    assert [run["status"] for run in journal["run"]] == ["succeeded"] * 3
    assert "Verdict: " in output
    assert (run_dir / "report.html").stat().st_size > 0


def test_an_experiment_interrupted_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while a broker is dead: no process is left, and the record says when it was undone."""
    run = chaos_run(tmp_path, short(tmp_path, "broker-kill", fault_s=90, recovery_s=5, hold={"seconds": 60}))
    deadline = time.monotonic() + 150
    children: list[psutil.Process] = []
    assert run.stdout is not None
    for line in run.stdout:
        assert time.monotonic() < deadline
        if "broker-kill of" in line:
            break
    children = psutil.Process(run.pid).children(recursive=True)
    assert sum("kafka.Kafka" in " ".join(child.cmdline()) for child in children if child.is_running()) == 2
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=90)
    assert run.returncode == 1, output
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [process for process in alive if process.is_running()] == []
    run_dir = the_run(tmp_path)
    (fault,) = read_record(run_dir).faults
    assert fault.effective_us is not None
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"


@pytest.mark.docker
def test_a_leader_that_is_cut_off_in_docker_under_load(tmp_path: Path) -> None:
    """Nothing lost, and back within 30 s."""
    if reason := why_not_docker():
        pytest.skip(f"needs a Docker engine: {reason}")
    path = short(tmp_path, "leader-partition", fault_s=16, recovery_s=5, hold={"seconds": 10})
    command = [sys.executable, "-m", "necp_validate", "chaos", str(path), "--stack", "docker"]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "runs")], capture_output=True, text=True, timeout=280, check=False
    )
    output = result.stdout + result.stderr
    run_dir = the_run(tmp_path)
    nothing_lost(run_dir, output)
    (fault,) = read_record(run_dir).faults
    assert fault.kind == "cut", output
    assert fault.effective_us is not None, output
    assert fault.end_us is not None, output
    verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))
    claims = {claim["id"]: claim["verdict"] for claim in verdict["claims"]}
    assert claims["DUR-ACKED"] == "pass", output
    assert claims["FT-PARTITION"] != "fail", output
