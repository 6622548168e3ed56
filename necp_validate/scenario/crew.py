"""The load workers of a run: processes of this host, in network namespaces of their own, or started elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal

import msgspec

from necp_validate.core import SuiteError
from necp_validate.load.messages import KEY_VARIABLE
from necp_validate.load.plan import LoadPlan
from necp_validate.record import parts
from necp_validate.record.workers import WorkerRecord
from necp_validate.scenario.events import OnEvent, StageStarted, WarningRaised
from necp_validate.stack import Stack
from necp_validate.stack.namespaces import WorkerNetwork, spawn_in_namespace
from necp_validate.stack.ports import free_ports
from necp_validate.stack.process import ManagedProcess

_LOOPBACK = "127.0.0.1"
_ELSEWHERE_TIMEOUT_S = 900.0  # people start them, or a scheduler does


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where load workers are, and where they meet their master.

    Args:
        where: on this host, on it in network namespaces, or elsewhere, started by somebody else.
        listen: host and port of the master, where they are elsewhere.
        key: the join key; made up where there is none.
    """

    where: Literal["here", "namespaces", "elsewhere"] = "here"
    listen: str = ""
    key: str = ""


HERE = Placement()


class Crew:
    """The workers of one run.

    Args:
        placement: where they are.
        stack: whose network they are on, where they are in namespaces.

    Raises:
        FaultUnavailable: the stack has no network for them.
    """

    def __init__(self, placement: Placement = HERE, stack: Stack | None = None) -> None:
        self.placement = placement
        self.network: WorkerNetwork | None = None
        if placement.where == "namespaces":
            assert stack is not None
            self.network = stack.worker_network()

    def meet(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan with where and how workers join; the same if one process does it all."""
        if plan.processes == 1 and self.placement.where == "here":
            return plan
        plan = msgspec.structs.replace(plan, join_key=self.placement.key or token_urlsafe(24))
        if self.placement.where == "elsewhere":
            return msgspec.structs.replace(plan, listen=self.placement.listen, join_timeout_s=_ELSEWHERE_TIMEOUT_S)
        host = self.network.gateway if self.network else _LOOPBACK
        (port,) = free_ports(1, host)
        plan = msgspec.structs.replace(plan, listen=f"{host}:{port}")
        return _with_bootstrap(plan, self.network.bootstrap) if self.network else plan

    def start(self, plan: LoadPlan, logs: Path) -> list[ManagedProcess]:
        """Start the workers of a plan that has been given a meeting place; none where they are elsewhere."""
        if self.placement.where == "elsewhere":
            return []
        command = [sys.executable, "-m", "necp_validate.load", "--join", plan.listen]
        env = {**os.environ, KEY_VARIABLE: plan.join_key}
        started: list[ManagedProcess] = []
        try:
            for number in range(plan.processes):
                log = logs / f"load-worker-{number}.log"
                if self.network is None:
                    started.append(ManagedProcess.spawn(command, log=log, env=env))
                else:
                    started.append(spawn_in_namespace(command, self.network, number, log=log, env=env))
        except BaseException:
            for process in started:
                process.kill()
            raise
        return started


def _with_bootstrap(plan: LoadPlan, servers: str) -> LoadPlan:
    """Return the plan with other addresses of the same brokers."""
    there = {"bootstrap.servers": servers}
    traffic = {
        domain: msgspec.structs.replace(one, client={**one.client, **there}) for domain, one in plan.traffic.items()
    }
    return msgspec.structs.replace(plan, traffic=traffic, verifier={**plan.verifier, **there})


class CrewWatcher:
    """Tells who joins, who falls silent and who is lost, as the master writes it down.

    Args:
        run_dir: where it does.
        plan: what they are to do.
        on_event: told what happens.
    """

    def __init__(self, run_dir: Path, plan: LoadPlan, on_event: OnEvent) -> None:
        self._run_dir = run_dir
        self._expected = plan.processes
        self._on_event = on_event
        self._states: dict[str, str] = {}

    def tell(self) -> None:
        """Tell what is new."""
        for worker in parts.WORKERS.read(self._run_dir):
            before = self._states.get(worker.worker)
            if worker.state == before:
                continue
            self._states[worker.worker] = worker.state
            if worker.state in ("joined", "ready"):
                detail = f"{len(self._states)} of {self._expected} workers are here, {worker.worker} on {worker.host}"
                self._on_event(StageStarted(stage="load", detail=detail))
            elif worker.state in ("silent", "lost") or before == "silent":
                self._on_event(WarningRaised(message=_news(worker)))

    def check(self, workers: list[ManagedProcess]) -> None:
        """Do nothing if no worker of this host has ended before the load began.

        Raises:
            SuiteError: one has; with its last words.
        """
        if (parts.PHASES.file(self._run_dir)).exists():
            return  # from now on the run goes on without it, and the master says that it is lost
        for process in workers:
            if not process.alive():
                raise SuiteError(
                    f"a load worker ended with exit code {process.exit_code} before the load began",
                    detail=process.log_tail(),
                    hint=f"its whole output is in {process.log}",
                )


def _news(worker: WorkerRecord) -> str:
    who = f"load worker {worker.worker} on {worker.host}"
    if worker.state == "silent":
        return f"{who} is silent: no heartbeat; the run goes on"
    if worker.state == "lost":
        return f"{who} is lost: what became of its events is unknown"
    return f"{who} is heard of again"
