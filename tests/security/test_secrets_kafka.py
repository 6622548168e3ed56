"""No secret shows: in no log, report, process list, environment, container, or file that others can read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import leaks
import pytest

from necp_validate.core import Verdict
from necp_validate.record import read_record
from necp_validate.report.pipeline import judge_and_report
from necp_validate.scenario.events import LoadTick, RunEvent
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import LocalStack
from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import connect

SCENARIO = """
description = "everything that has a secret, for a few seconds"
judge = ["DUR-ACKED"]

[security]
at = ["start"]

[players]
count = 6
hit_per_s = 1
trade_per_s = 0.5
chat_per_s = 0.5

[traffic.combat]
rate_eps = 100
run_length = 10
tick_hz = 5

[traffic.economy]
rate_eps = 40
run_length = 5
tick_hz = 5

[traffic.system]
rate_eps = 20
run_length = 5
tick_hz = 5

[[phases]]
name = "steady"
kind = "steady"
duration_s = 8

[thresholds]
longest_gap_ms = 30000
drain_s = 60
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_no_secret_shows_in_a_run(
    stack: LocalStack | DockerStack, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secrets.toml").write_text(SCENARIO, encoding="utf-8")
    home = stack.layout.directory
    passwords = {f"password of {name}": word.encode() for name, word in stack.layout.passwords.items()}
    secrets = {**passwords, **leaks.private_keys(home)}
    assert len(secrets) > 15
    found: list[str] = []
    counted: list[int] = []

    def look(event: RunEvent) -> None:
        """While everything runs, once."""
        if not isinstance(event, LoadTick) or counted:
            return
        shown, processes = leaks.in_processes(secrets)
        counted.append(processes)
        found.extend(shown)
        found.extend(leaks.in_files([home, tmp_path / "runs", stack.logs], secrets, others_only=True))
        found.extend(f"open to other hosts: {one}" for one in leaks.open_to_other_hosts(os.getpid()))
        if isinstance(stack, DockerStack):
            told, containers = leaks.in_containers(connect(), "necp-", secrets)
            assert containers >= 5
            found.extend(told)

    run_dir = run_scenario(load_scenario(tmp_path / "secrets.toml"), stack=stack, out=tmp_path / "runs", on_event=look)
    verdict = judge_and_report(run_dir)
    # What had secrets to hide was at work, players and gateway included.
    assert {claim.id: claim.verdict for claim in verdict.claims} == {"DUR-ACKED": Verdict.PASS}
    (players,) = read_record(run_dir).players
    assert sum(stream.acked.count for stream in players.streams) > 20
    assert counted
    assert counted[0] > 5
    assert found == []
    assert leaks.in_files([run_dir, stack.logs], secrets, others_only=False) == []
    out, err = capfd.readouterr()
    assert leaks.shown((out + err).encode(), secrets) == []


def test_each_kind_of_leak_is_found(tmp_path: Path) -> None:
    """Seeded: a secret in an environment, on a command line, in a file for all, and a port for all."""
    secrets = {"word": b"correct-horse-battery"}
    wait = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    for arguments, env, where in (
        ([*wait, "correct-horse-battery"], {}, "command line"),
        (wait, {"PASSWORD": "correct-horse-battery"}, "environment"),
    ):
        with subprocess.Popen(arguments, env={**os.environ, **env}, stdin=-1, stdout=-1) as process:
            assert process.stdout is not None
            process.stdout.readline()
            shown, _ = leaks.in_processes(secrets)
            process.kill()
        assert [where in one for one in shown] == [True]
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    secret = folder / "secret"
    secret.write_bytes(b"it is correct-horse-battery")
    secret.chmod(0o600)
    assert leaks.in_files([folder], secrets, others_only=True) == []
    assert leaks.in_files([folder], secrets, others_only=False) == [f"word: {secret}"]
    secret.chmod(0o644)
    assert leaks.in_files([folder], secrets, others_only=True) == [f"word: {secret}"]
    folder.chmod(0o700)
    assert leaks.in_files([folder], secrets, others_only=True) == []
    with socket.socket() as everywhere, socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        here.listen()
        before = leaks.open_to_other_hosts(os.getpid())
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        (more,) = set(leaks.open_to_other_hosts(os.getpid())) - set(before)
        assert more.endswith(f"0.0.0.0:{everywhere.getsockname()[1]}")
