"""The load stage: starts the load processes, follows them, and ends them whatever happens."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from necp_validate.core import SuiteError
from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.scenario.crew import Crew, CrewWatcher
from necp_validate.scenario.events import OnEvent, ignore
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.monitor import Monitor
from necp_validate.scenario.planning import drain_timeout_s
from necp_validate.scenario.progress import LoadWatcher
from necp_validate.stack import Stack
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess

_TICK_S = 0.25
_STOP_S = 20.0
_ALLOWANCE_S = 60.0


def _nothing() -> None:
    """Find nothing wrong."""


def load_plan(
    scenario: Scenario,
    stack: Stack,
    run_dir: Path,
    *,
    web_port: int | None = None,
    receipts: bool = True,
    crew: Crew | None = None,
) -> LoadPlan:
    """Turn a scenario into what the load processes are told.

    Args:
        scenario: as resolved.
        stack: where the load goes.
        run_dir: where the history goes.
        web_port: serve Locust's web page here.
        receipts: whether a system under test answers with receipts; without one only acknowledgements are measured.
        crew: the workers; processes of this host by default.
    """
    load = scenario.load
    producer = {
        "acks": load.acks,
        "enable.idempotence": str(load.idempotence).lower(),
        "compression.type": load.compression,
        "linger.ms": f"{load.linger_ms:g}",
        "message.timeout.ms": "120000",
        # A broker that goes silent is given up in 8 s: the defaults, 30 and 60 s, are longer than recovery may take.
        "request.timeout.ms": "8000",
        "socket.timeout.ms": "8000",
        "queue.buffering.max.messages": "4000000",
        "queue.buffering.max.kbytes": "2097151",
        "statistics.interval.ms": "5000",
        "topic.metadata.refresh.interval.ms": "5000",  # partitions added meanwhile are to be used
    }
    traffic = {
        domain: DomainTraffic(
            topic=Domain(domain).topic,
            rate_eps=one.rate_eps,
            run_length=one.run_length,
            tick_hz=one.tick_hz,
            cheat_share=one.cheat_share,
            poison_share=one.poison_share,
            fuzz=one.fuzz,
            at_once_one_in=scenario.receipted_at_once.get(Domain(domain), 0) if receipts else 0,
            client={**stack.client_config(Domain(domain).service), **producer},
            password_file=str(stack.password_file(Domain(domain).service) or ""),
        )
        for domain, one in scenario.traffic.items()
    }
    phases = [
        PlannedPhase(
            name=p.name,
            kind=p.kind.value,
            duration_s=p.duration_s,
            load=p.load,
            ramp_s=p.ramp_s,
            poison_share=p.poison_share,
        )
        for p in scenario.phases
    ]
    plan = LoadPlan(
        run_dir=str(run_dir),
        run_id=run_dir.name,
        seed=scenario.seed,
        processes=load.processes,
        phases=phases,
        traffic=traffic,
        verifier=stack.client_config(VERIFIER_PRINCIPAL),
        drain_timeout_s=drain_timeout_s(scenario),
        web_port=web_port,
        receipts=receipts,
    )
    return (crew or Crew()).meet(plan)


def run_load(
    plan: LoadPlan,
    scenario: Scenario,
    *,
    crew: Crew | None = None,
    monitor: Monitor | None = None,
    check: Callable[[], None] = _nothing,
    on_event: OnEvent = ignore,
) -> None:
    """Run the load processes to their end, telling what they report.

    Args:
        plan: what they are told.
        scenario: the scenario behind it.
        crew: the workers, the same as the plan was made with.
        monitor: watches meanwhile.
        check: called a few times a second; raises if the run cannot go on.
        on_event: told what happens.

    Raises:
        SuiteError: a load process failed, or a part of the stack died meanwhile; with the last log lines.
    """
    run_dir = Path(plan.run_dir)
    (run_dir / "logs").mkdir(parents=True, exist_ok=True)
    plan_file = run_dir / "load-plan.json"
    write_private(plan_file, msgspec.json.encode(plan))
    watcher = LoadWatcher(run_dir, scenario, on_event, plan.web_port)
    news = CrewWatcher(run_dir, plan, on_event)
    workers: list[ManagedProcess] = []
    processes: list[ManagedProcess] = []
    try:
        leader = _spawn_leader(plan, plan_file)
        processes = [leader]
        workers = (crew or Crew()).start(plan, run_dir / "logs") if plan.listen else []
        processes = [*workers, leader]
        if monitor is not None:
            monitor.load_pids = tuple(process.pid for process in processes)
        deadline = time.monotonic() + plan.join_timeout_s + plan.duration_s + plan.drain_timeout_s + _ALLOWANCE_S
        while leader.alive():
            if monitor is not None and monitor.broken is not None:
                raise monitor.broken
            check()
            news.tell()
            news.check(workers)
            if time.monotonic() > deadline:
                raise SuiteError("the load did not end in time", detail=leader.log_tail())
            if monitor is None:
                watcher.tell({}, None)
            else:
                watcher.tell(monitor.lag, monitor.host_busy_pct, monitor.gateway)
            time.sleep(_TICK_S)
        news.tell()
        if leader.exit_code != 0:
            raise SuiteError(
                f"a load process ended with exit code {leader.exit_code}",
                detail=leader.log_tail(),
                hint=f"its whole output is in {leader.log}",
            )
    finally:
        for process in processes:
            process.signal(signal.SIGTERM)
        for process in processes:
            process.terminate(_STOP_S)
        plan_file.unlink(missing_ok=True)


def _spawn_leader(plan: LoadPlan, plan_file: Path) -> ManagedProcess:
    """Start what sends the load, or the master of those that do."""
    command = [sys.executable, "-m", "necp_validate.load", str(plan_file)]
    if not plan.listen:
        return ManagedProcess.spawn(command, log=plan_file.parent / "logs" / "load.log")
    return ManagedProcess.spawn([*command, "--master"], log=plan_file.parent / "logs" / "load-master.log")
