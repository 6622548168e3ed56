"""One load process: ``python -m necp_validate.load PLAN.json [--master] | --join HOST:PORT``.

Alone it is Locust's local runner. Distributed, one master and ``plan.processes`` workers speak Locust's own protocol.
A worker needs nothing but the master's address and the join key (in its environment): it may be on any host.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import gevent.event
from locust.env import Environment
from locust.runners import MasterRunner, Runner

from necp_validate.core import SuiteError
from necp_validate.core.first_failure import FirstFailure
from necp_validate.load.locust_stats import report_rows
from necp_validate.load.master import Master
from necp_validate.load.messages import KEY_VARIABLE
from necp_validate.load.plan import LoadPlan, read_plan, split_address
from necp_validate.load.users import USERS, ScheduleShape, Stage
from necp_validate.load.worker import Worker
from necp_validate.load.world import World
from necp_validate.record.model import TimelineRow

_HOST = "127.0.0.1"
_POLL_S = 0.004
_LEAD_S = 3.0  # connections are made and users are waiting before the first flush is due
_CATCH_UP_S = 10.0  # what a late generator may still send when the schedule has ended


def main(argv: list[str] | None = None) -> int:
    """Run one load process; returns its exit code (0 done, 1 interrupted, 2 wrong usage, 4 could not work)."""
    parser = argparse.ArgumentParser(prog="python -m necp_validate.load", description=__doc__)
    parser.add_argument("plan", type=Path, nargs="?", help="plan file, written by the runner")
    parser.add_argument("--master", action="store_true", help="be the master of plan.processes workers")
    parser.add_argument("--join", metavar="HOST:PORT", help="be a worker of the master there")
    arguments = parser.parse_args(argv)
    # Latency is measured in this process: the history's report must not come from a collector's pause.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        if arguments.join:
            return _be_worker(*split_address(arguments.join))
        if arguments.plan is None:
            parser.error("a plan is missing, or --join")
        plan = read_plan(arguments.plan)
        return _be_master(plan) if arguments.master else _be_alone(plan)
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _environment(world: World) -> Environment:
    for domain, user in USERS.items():
        user.weight = world.schedules[domain].most_servers if domain in world.schedules else 0
    classes: list[Any] = [user for domain, user in USERS.items() if user.weight]
    return Environment(user_classes=classes, shape_class=ScheduleShape(world), stop_timeout=1)


def _stop_on_signals() -> gevent.event.Event:
    stopped = gevent.event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopped.set)
    return stopped


def _be_alone(plan: LoadPlan) -> int:
    """Send the load, and leave the history."""
    world = World(plan, 0)
    environment = _environment(world)
    world.report = partial(report_rows, environment.stats)
    stopped = _stop_on_signals()
    stage = Stage(FirstFailure(stopped.set))
    stage.serve(environment)
    world.open(time.time_ns() // 1000 + int(_LEAD_S * 1e6))
    world.save_phases()
    stage.open(world)
    runner: Runner = environment.create_local_runner()
    if plan.web_port:
        environment.create_web_ui(_HOST, plan.web_port)
    print(f"started {world.start_us}", flush=True)
    _start_shape(runner, stage.failure)
    _play(world, stage, stopped)
    interrupted = stopped.is_set()
    world.close(gevent.sleep)  # first: Locust takes a second to stop, and a receipt's arrival is a measurement
    runner.quit()
    return int(interrupted)


def _be_worker(host: str, port: int) -> int:
    """Join a master, send a part of the load, and send the history there."""
    worker = Worker("127.0.0.1" if host == "*" else host, port, os.environ.get(KEY_VARIABLE, ""))
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, worker.stop, "this worker was interrupted")

    def report(rows: list[TimelineRow]) -> None:
        report_rows(worker.environment.stats, rows)
        worker.tell_rows(rows)

    def play(world: World, stopped: gevent.event.Event) -> None:
        world.report = report
        _play(world, worker.stage, stopped)
        world.close(gevent.sleep)

    try:
        worker.run(play)
    finally:
        worker.runner.quit()
    return 0


def _be_master(plan: LoadPlan) -> int:
    """Let the workers in, start them together, and stay until the last has finished or is lost."""
    world = World(plan, plan.processes)  # schedules only: it owns no server
    environment = _environment(world)
    runner: MasterRunner = environment.create_master_runner(*split_address(plan.listen))
    if plan.web_port:
        environment.create_web_ui(_HOST, plan.web_port)
    master = Master(plan, runner, partial(print, flush=True))
    stopped = _stop_on_signals()
    failure = FirstFailure(stopped.set)
    reason = "the master was interrupted"
    try:
        master.wait_ready(stopped)
        if not stopped.is_set():
            master.start(world)
            print(f"started {world.start_us}", flush=True)
            _start_shape(runner, failure)
            master.watch(world, stopped)
            failure.check("the master")
    except SuiteError as error:
        reason = error.message
        raise
    finally:
        master.stop(reason)
        runner.quit()
    return int(stopped.is_set())


def _start_shape(runner: Runner, failure: FirstFailure) -> None:
    """Let Locust ask for users by the schedule; without that, servers would be missing."""
    runner.start_shape()
    if runner.shape_greenlet is not None:
        failure.watch(runner.shape_greenlet)


def _play(world: World, stage: Stage, stopped: gevent.event.Event) -> None:
    """Let the servers of a world that is open play to the end, or until the run is to stop.

    Raises:
        SuiteError: something on which the load rests failed.
    """
    done = gevent.event.Event()
    poller = stage.failure.watch(gevent.spawn(_poll, world, done))
    rows = stage.failure.watch(gevent.spawn(_rows, world, done))
    while time.time_ns() // 1000 < world.end_us and not stopped.is_set():
        stopped.wait(min(max(world.end_us / 1e6 - time.time(), 0.01), 1.0))
    catch_up_until = time.monotonic() + _CATCH_UP_S
    while world.behind and not stopped.is_set() and time.monotonic() < catch_up_until:
        stopped.wait(0.05)
    done.set()
    stage.close()
    gevent.joinall([poller, rows])
    stage.failure.check("the load")


def _poll(world: World, done: gevent.event.Event) -> None:
    while not done.is_set():
        world.poll()
        gevent.sleep(_POLL_S)


def _rows(world: World, done: gevent.event.Event) -> None:
    """Once a second: a timeline row per domain, for the history and for Locust's own statistics."""
    while not done.wait(1.0 - time.time() % 1.0):
        world.write_rows()


if __name__ == "__main__":
    sys.exit(main())
