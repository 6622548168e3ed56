"""One load process: ``python -m necp_validate.load PLAN.json [--master PORT | --worker PORT INDEX]``.

Alone it is Locust's local runner. Distributed, one master and ``processes`` workers speak Locust's own protocol; the
master only starts, watches and stops, since every worker leaves its own history.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.event
from locust.env import Environment
from locust.runners import MasterRunner, Runner

from necp_validate.load.locust_stats import report_rows
from necp_validate.load.plan import LoadPlan, read_plan
from necp_validate.load.users import USERS, ScheduleShape
from necp_validate.load.world import World
from necp_validate.results import SuiteError

_HOST = "127.0.0.1"
_POLL_S = 0.004
_LEAD_S = 3.0  # connections are made and users are waiting before the first flush is due
_JOIN_TIMEOUT_S = 30.0
_CATCH_UP_S = 10.0  # what a late generator may still send when the schedule has ended


def main(argv: list[str] | None = None) -> int:
    """Run one load process; returns its exit code (0 done, 1 interrupted, 4 could not work)."""
    parser = argparse.ArgumentParser(prog="python -m necp_validate.load", description=__doc__)
    parser.add_argument("plan", type=Path, help="plan file, written by the runner")
    parser.add_argument("--master", type=int, metavar="PORT", help="be the master of plan.processes workers")
    parser.add_argument("--worker", type=int, nargs=2, metavar=("PORT", "INDEX"), help="be a worker")
    arguments = parser.parse_args(argv)
    plan = read_plan(arguments.plan)
    # Latency is measured in this process: the history's report must not come from a collector's pause.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        if arguments.master:
            return _be_master(plan, arguments.master)
        return _be_generator(plan, arguments.worker)
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _environment(world: World) -> Environment:
    for domain, user in USERS.items():
        user.weight = world.schedules[domain].most_servers if domain in world.schedules else 0
    classes: list[Any] = [user for domain, user in USERS.items() if user.weight]
    environment = Environment(user_classes=classes, shape_class=ScheduleShape(world), stop_timeout=1)
    environment.necp_world = world  # type: ignore[attr-defined]  # how users find it
    return environment


def _be_generator(plan: LoadPlan, worker: list[int] | None) -> int:
    """Send the load, alone or as a worker, and leave the history."""
    port, index = worker or (0, 0)
    world = World(plan, index)
    environment = _environment(world)
    stopped = gevent.event.Event()
    code = 0

    def interrupt() -> None:
        nonlocal code
        code = 1
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, interrupt)
    if worker is None:
        start_us = time.time_ns() // 1000 + int(_LEAD_S * 1e6)
        world.open(start_us)
        runner: Runner = environment.create_local_runner()
        if plan.web_port:
            environment.create_web_ui(_HOST, plan.web_port)
        print(f"started {start_us}", flush=True)
        runner.start_shape()
    else:
        begun = gevent.event.AsyncResult()
        runner = environment.create_worker_runner(_HOST, port)
        runner.register_message("necp-start", lambda msg, **_: begun.set(int(msg.data["start_us"])))
        world.open(begun.get(timeout=_JOIN_TIMEOUT_S))
    poller = gevent.spawn(_poll, world, stopped)
    rows = gevent.spawn(_rows, environment, world, stopped)
    while time.time_ns() // 1000 < world.end_us and not stopped.is_set():
        stopped.wait(min(max(world.end_us / 1e6 - time.time(), 0.01), 1.0))
    catch_up_until = time.monotonic() + _CATCH_UP_S
    while world.behind and not stopped.is_set() and time.monotonic() < catch_up_until:
        stopped.wait(0.05)
    stopped.set()
    gevent.joinall([poller, rows])
    runner.stop()
    world.close(gevent.sleep)
    runner.quit()
    return code


def _be_master(plan: LoadPlan, port: int) -> int:
    """Wait for the workers, start them together, and stay until the last has gone."""
    world = World(plan, plan.processes)  # schedules only: it owns no server
    environment = _environment(world)
    runner: MasterRunner = environment.create_master_runner(_HOST, port)
    if plan.web_port:
        environment.create_web_ui(_HOST, plan.web_port)
    deadline = time.monotonic() + _JOIN_TIMEOUT_S
    while runner.worker_count < plan.processes:
        if time.monotonic() > deadline:
            raise SuiteError(
                f"{runner.worker_count} of {plan.processes} load workers joined in {_JOIN_TIMEOUT_S:.0f} s",
                hint="their errors are in the run's logs/",
            )
        gevent.sleep(0.05)
    world.start_us = time.time_ns() // 1000 + int(_LEAD_S * 1e6)
    runner.send_message("necp-start", {"start_us": world.start_us})
    print(f"started {world.start_us}", flush=True)
    runner.start_shape()
    stopped = gevent.event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopped.set)
    limit = world.end_us / 1e6 + plan.drain_timeout_s + 30
    while runner.worker_count and time.time() < limit and not stopped.is_set():
        stopped.wait(0.2)
    runner.quit()
    return 1 if stopped.is_set() else 0


def _poll(world: World, stopped: gevent.event.Event) -> None:
    while not stopped.is_set():
        world.poll()
        gevent.sleep(_POLL_S)


def _rows(environment: Environment, world: World, stopped: gevent.event.Event) -> None:
    """Once a second: a timeline row per domain, for the history and for Locust's own statistics."""
    while not stopped.wait(1.0 - time.time() % 1.0):
        report_rows(environment.stats, world.write_rows())


if __name__ == "__main__":
    sys.exit(main())
