"""The players of a run: starts their processes, tells them when the load begins, waits for their end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from necp_validate.core import SuiteError, UsageError
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles
from necp_validate.record import parts
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.planning import drain_timeout_s
from necp_validate.stack import GatewayHandle, PlayerTls, Stack
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import PlayerVariant

READY = "ready"
_COMMAND = (sys.executable, "-m", "necp_validate.players")
_READY_S = 60.0
_STOP_S = 10.0
_ALLOWANCE_S = 60.0
_POLL_S = 0.1
_REFUSED: dict[str, PlayerVariant] = {"expired": "expired", "wrong-ca": "stranger"}


def players_plan(scenario: Scenario, stack: Stack, gateway: GatewayHandle, run_dir: Path) -> PlayersPlan:
    """Turn a scenario into what the players' processes are told.

    Args:
        scenario: as resolved, with players.
        stack: what has issued their certificates.
        gateway: where they log in.
        run_dir: where the history goes.
    """
    players = scenario.players
    assert players is not None
    valid = stack.player_tls()
    refused = {"none": TlsFiles(ca=str(valid.ca))}
    for name, variant in _REFUSED.items():
        try:
            refused[name] = tls_files(stack.player_tls(variant))
        except UsageError:
            continue  # a target of somebody else's that gives us no such certificate: it cannot be tried
    phases = [
        PlayPhase(
            name=phase.name,
            kind=phase.kind.value,
            duration_s=phase.duration_s,
            players=scenario.players_in(phase),
            hot_share=players.hot_share if phase.hot_share is None else phase.hot_share,
        )
        for phase in scenario.phases
    ]
    return PlayersPlan(
        run_dir=str(run_dir),
        run_id=run_dir.name,
        seed=scenario.seed,
        phases=phases,
        websocket_url=gateway.websocket_url,
        udp_host=gateway.udp_address[0],
        tls=tls_files(valid),
        refused_tls=refused,
        processes=players.processes,
        udp_group=players.udp_group,
        move_hz=players.move_hz,
        hit_per_s=players.hit_per_s,
        trade_per_s=players.trade_per_s,
        chat_per_s=players.chat_per_s,
        greedy=players.greedy,
        limit_per_minute=scenario.gateway.limit_per_minute,
        batch=scenario.gateway.batch,
        tick_min_hz=scenario.gateway.tick_min_hz,
        tick_max_hz=scenario.gateway.tick_max_hz,
        grid=scenario.gateway.grid,
        login_per_s=players.login_per_s,
        drain_timeout_s=drain_timeout_s(scenario),
    )


def tls_files(tls: PlayerTls) -> TlsFiles:
    """Return a stack's files of a player as a plan names them."""
    return TlsFiles(ca=str(tls.ca), certificate=str(tls.certificate), key=str(tls.key))


class PlayersRun:
    """The players' processes of one run.

    Args:
        plan: what they are told.
        command: the program; it gets the plan's file as argument.
    """

    def __init__(self, plan: PlayersPlan, command: Sequence[str] = _COMMAND) -> None:
        self._command = tuple(command)
        self._plan = plan
        self._run_dir = Path(plan.run_dir)
        self._plan_file = self._run_dir / "players-plan.json"
        self._processes: list[ManagedProcess] = []
        self._told = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Their processes."""
        return tuple(process.pid for process in self._processes)

    def start(self) -> None:
        """Start them; come back when all of them are ready to play.

        Raises:
            SuiteError: one ended, or was not ready in time; with its last log lines.
        """
        logs = self._run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        write_private(self._plan_file, msgspec.json.encode(self._plan))
        for number in range(self._plan.processes):
            worker = ["--worker", str(number)] if self._plan.processes > 1 else []
            log = logs / f"players-{number}.log"
            self._processes.append(
                ManagedProcess.spawn([*self._command, str(self._plan_file), *worker], log=log, listens=True)
            )
        deadline = time.monotonic() + _READY_S
        while not all(READY in process.log_tail(1000).splitlines() for process in self._processes):
            self.check()
            if time.monotonic() > deadline:
                raise SuiteError(f"the players were not ready in {_READY_S:g} s", detail=self._processes[0].log_tail())
            time.sleep(_POLL_S)

    def poll(self) -> None:
        """Let them begin as soon as it is known when the load does; raise if one of them could not go on.

        Raises:
            SuiteError: a process failed; with its last log lines.
        """
        if not self._told and (start_us := self._start_us()) is not None:
            for process in self._processes:
                process.tell(f"start {start_us}\n")
            self._told = True
        self.check()

    def _start_us(self) -> int | None:
        path = parts.PHASES.file(self._run_dir)
        if not path.exists():
            return None
        return int(json.loads(path.read_text(encoding="utf-8"))[0]["start_us"])

    def check(self) -> None:
        """Do nothing if none of them has failed.

        Raises:
            SuiteError: one has; with its last log lines.
        """
        for process in self._processes:
            if not process.alive() and process.exit_code != 0:
                raise SuiteError(
                    f"a players' process ended with exit code {process.exit_code}",
                    detail=process.log_tail(),
                    hint=f"its whole output is in {process.log}",
                )

    def finish(self) -> None:
        """Wait, after the load, until the last player has gone.

        Raises:
            SuiteError: a process failed, or did not end in time; with its last log lines.
        """
        deadline = time.monotonic() + self._plan.drain_timeout_s + _ALLOWANCE_S
        while any(process.alive() for process in self._processes):
            self.poll()
            if time.monotonic() > deadline:
                raise SuiteError("the players did not end in time", detail=self._processes[0].log_tail())
            time.sleep(_POLL_S)
        self.check()

    def stop(self) -> None:
        """End whatever still runs; may be called more than once."""
        for process in self._processes:
            process.terminate(_STOP_S)
        self._plan_file.unlink(missing_ok=True)
