"""A load process of which one greenlet dies ends with an exit code and its last words; a worker is lost with a reason.

Real processes, whose brokers never answer. Locust patches whatever imports it: each is a program of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from necp_validate.load.messages import KEY_VARIABLE
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.record import parts
from necp_validate.stack.ports import free_ports

KEY = "a key that both sides know"
NOWHERE = {"bootstrap.servers": "127.0.0.1:9", "log_level": "0"}
PROGRAM = """
import sys
from necp_validate.load import __main__ as process, worker
from necp_validate.load.users import ScheduleShape
from necp_validate.load.world import World

process._LEAD_S = 0.5
worker._why_not_reached = lambda plan: None  # there are no brokers

def fail_in(kind, name, left):
    whole = getattr(kind, name)

    def failing(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise TypeError(f"{name} does not work")
        return whole(*arguments)

    setattr(kind, name, failing)

"""
FAILING = {
    "poll": "fail_in(World, 'poll', 100)",
    "write_rows": "fail_in(World, 'write_rows', 1)",
    "flush": "fail_in(World, 'flush', 20)",
    "claim": "fail_in(World, 'claim', 1)",
    "tick": "fail_in(ScheduleShape, 'tick', 1)",
}


def start(*arguments: str | Path, breaking: str = "", env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    script = f"{PROGRAM}{breaking}\nsys.exit(process.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    full = {**os.environ, **(env or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=full)


def plan_in(run_dir: Path, seconds: float, **more: object) -> Path:
    run_dir.mkdir()
    traffic = DomainTraffic(
        topic="game.combat.events",
        rate_eps=400,
        run_length=10,
        tick_hz=10,
        cheat_share=0.0,
        poison_share=0.0,
        client={**NOWHERE, "acks": "all"},
    )
    plan = LoadPlan(
        run_dir=str(run_dir),
        run_id="r",
        seed=1,
        phases=[PlannedPhase(name="steady", kind="steady", duration_s=seconds, load=1.0)],
        traffic={"combat": traffic},
        verifier=NOWHERE,
        drain_timeout_s=0.5,
        **{"processes": 1, **more},  # type: ignore[arg-type]
    )
    file = run_dir / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    return file


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process for each kind of greenlet that dies, all at the same time; the load itself would take minutes."""
    folder = tmp_path_factory.mktemp("runs")
    begun = {name: start(plan_in(folder / name, 300.0), breaking=how) for name, how in FAILING.items()}
    yield begun
    for process in begun.values():
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILING)
def test_a_greenlet_that_dies_ends_the_process_with_its_last_words(
    alone: dict[str, subprocess.Popen[str]], name: str
) -> None:
    output, _ = alone[name].communicate(timeout=250)
    assert alone[name].returncode == 4, output
    assert output.splitlines()[-1] == f"the load could not go on: TypeError: {name} does not work"
    assert "Traceback" in output


@pytest.mark.slow
def test_a_worker_that_fails_is_lost_with_its_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    (port,) = free_ports(1, "127.0.0.1")
    plan = plan_in(run_dir, 8.0, processes=2, listen=f"127.0.0.1:{port}", join_key=KEY)
    master = start(plan, "--master")
    env = {KEY_VARIABLE: KEY}
    workers = [start("--join", f"127.0.0.1:{port}", breaking=how, env=env) for how in ("", FAILING["poll"])]
    try:
        said = [process.communicate(timeout=250)[0] for process in (*workers, master)]
    finally:
        for process in (*workers, master):
            process.kill()
            process.wait()
    assert [process.returncode for process in (*workers, master)] == [0, 4, 0], said
    problem = "the load could not go on: TypeError: poll does not work"
    assert said[1].splitlines()[-1] == problem
    (failed,) = [one for one in parts.WORKERS.read(run_dir) if one.state == "lost"]
    assert {one.state for one in parts.WORKERS.read(run_dir)} == {"finished", "lost"}
    assert f"{failed.worker} on {failed.host} is lost ({problem}): what became of its events is unknown" in said[2]
    assert [one.worker for one in parts.LOADS.read(run_dir) if one.lost_us is not None] == [failed.worker]
    (failure,) = parts.SUITE_FAILURES.read(run_dir)
    assert failure.component == f"load worker {failed.worker} on {failed.host}"
    assert (failure.problem, failure.parts) == (problem, ())
