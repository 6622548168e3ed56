"""Players on real brokers: a small run to its verdict, and one that is interrupted and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from necp_validate.record.reader import read_record
from necp_validate.report.pipeline import judge
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SCENARIO = """
description = "a few players for a few seconds"
judge = ["DUR-ACKED", "GW-TRANSPORT", "OPS-HEALTH"]

[players]
count = 12
hit_per_s = 1
trade_per_s = 0.5
chat_per_s = 0.5
udp_group = 4

[gateway]
tick_max_hz = 10

[traffic.combat]
rate_eps = 100
run_length = 10
tick_hz = 5

[traffic.economy]
rate_eps = 40
run_length = 5
tick_hz = 5

[[phases]]
name = "warmup"
kind = "warmup"
duration_s = 3
players = 6

[[phases]]
name = "steady"
kind = "steady"
duration_s = {steady_s}

[thresholds]
longest_gap_ms = 30000
drain_s = 60
"""


def scenario_in(folder: Path, *, steady_s: int) -> Path:
    scenario = folder / "few.toml"
    scenario.write_text(SCENARIO.format(steady_s=steady_s), encoding="utf-8")
    return scenario


def start(tmp_path: Path, *, steady_s: int) -> subprocess.Popen[str]:
    scenario = scenario_in(tmp_path, steady_s=steady_s)
    command = [sys.executable, "-m", "necp_validate", "run", str(scenario), "--out", str(tmp_path / "runs")]
    command += ["--stack", "local"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def the_run(tmp_path: Path) -> Path:
    (run_dir,) = (tmp_path / "runs").iterdir()
    return run_dir


def test_what_players_do_is_accounted_for_to_the_end(tmp_path: Path, local_stack: LocalStack) -> None:
    """In containers, a run with players is looked at for its secrets (`test_secrets_kafka`)."""
    scenario = scenario_in(tmp_path, steady_s=8)
    run_dir = run_scenario(load_scenario(scenario), stack=local_stack, out=tmp_path / "runs")
    claims = {claim.id: claim for claim in judge(run_dir).claims}
    # How fast this machine is decides nothing here: a gateway whose core is behind turns actions away, and says so.
    behind = "actions were turned away" in claims["GW-TRANSPORT"].evidence
    expected = {"DUR-ACKED": "pass", "GW-TRANSPORT": "unknown" if behind else "pass", "OPS-HEALTH": "pass"}
    assert {name: claim.verdict.value for name, claim in claims.items()} == expected, claims
    history = read_record(run_dir)
    (players,) = history.players
    acked = sum(stream.acked.count for stream in players.streams)
    assert acked > 50
    assert history.readback is not None
    assert {stream.stream for stream in players.streams} <= set(history.readback.streams)
    assert max(sample.sessions or 0 for sample in history.gateway) >= 12
    assert max(sample.tick_hz or 0 for sample in history.gateway) <= 10
    assert history.gateway_shutdown is not None
    assert (history.gateway_shutdown.exit_code, history.gateway_shutdown.healthy_before) == (0, True)
    assert sum(load.unmatched_receipts for load in history.loads) == 0
    assert not (run_dir / "players-plan.json").exists()


def test_an_interrupted_run_leaves_neither_gateway_nor_player(tmp_path: Path) -> None:
    run = start(tmp_path, steady_s=120)
    deadline = time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline, "nobody played"
        assert run.poll() is None, run.communicate()[0]
        timelines = list((tmp_path / "runs").glob("*/history/players-timeline-*.csv"))
        if timelines and ",steady," in timelines[0].read_text(encoding="utf-8"):
            break
        time.sleep(0.2)
    children = psutil.Process(run.pid).children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in children]
    for module in ("necp_validate.players", "necp_validate.reference.gateway"):
        assert any(module in command for command in commands), commands
    os.kill(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=90)
    assert run.returncode == 4, output
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [process for process in alive if process.is_running()] == []
    assert read_record(the_run(tmp_path)).run.status == "interrupted"
