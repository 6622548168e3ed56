"""Locust's master, and what it does beside Locust's own work: lets workers in, reads their clocks, keeps their history.

A worker's life: it joins (with the key), is given the plan and a number, says that it is ready, plays, and sends its
part of the history. One that is not heard of is *silent*; if it is still silent when the others have finished, it is
*lost*, and what its schedule says it may have sent goes into the history as events of unknown outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent.event
import msgspec

from necp_validate import __version__
from necp_validate.core import SuiteError, in_one_line
from necp_validate.load import messages as say
from necp_validate.load.clock import Ping, estimate
from necp_validate.load.luggage import pack
from necp_validate.load.messages import Inbox, Seal, Unsealed
from necp_validate.load.plan import LoadPlan
from necp_validate.load.world import World
from necp_validate.record import parts
from necp_validate.record.codec import DecodeError, from_plain
from necp_validate.record.model import TimelineRow
from necp_validate.record.self_watch import noting
from necp_validate.record.workers import WorkerRecord
from necp_validate.record.writer import Appender, write_bytes

if TYPE_CHECKING:  # to import Locust is to replace parts of the standard library, also for those who only test this
    from locust.runners import MasterRunner

_MISSING = "missing"  # Locust's STATE_MISSING
_PINGS = 24
_PINGS_MEANWHILE = 12  # under load most answers are held up on their way: the quickest of a few is not quick
_PING_EVERY_S = 10.0
_PING_TIMEOUT_S = 2.0
_LEAD_S = 3.0  # connections are made and users are waiting before the first flush is due
_GIVE_UP_S = 15.0  # silent for so long when the others have finished: lost
_FILES = (parts.LATENCY, parts.PASSWORDS_TAKEN, parts.LOADS)


@dataclass(slots=True)
class _Worker:
    """What the master knows of one worker."""

    client_id: str
    record: WorkerRecord
    inbox: Inbox
    timeline: Appender[TimelineRow]
    pings: list[Ping] = field(default_factory=list)
    answered: gevent.event.Event = field(default_factory=gevent.event.Event)
    silent_since: float | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        return self.record.worker

    @property
    def state(self) -> str:
        return self.record.state

    @property
    def at_work(self) -> bool:
        return self.state in ("playing", "silent")


class Master:
    """The master of ``plan.processes`` workers.

    Args:
        plan: what all of them are to do.
        runner: Locust's master.
        tell: told in a sentence when a worker comes or goes.
    """

    def __init__(self, plan: LoadPlan, runner: MasterRunner, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._runner = runner
        self._tell = tell
        self._seal = Seal(plan.join_key)
        self._run_dir = Path(plan.run_dir)
        self._workers: dict[str, _Worker] = {}
        self._broken: SuiteError | None = None
        self._begun = False
        self._end_us = 0
        self._passwords = {domain: traffic.client.get("sasl.password") for domain, traffic in plan.traffic.items()}
        takes: dict[str, Callable[[str, Any], None]] = {
            say.JOIN: self._join,
            say.READY: self._ready,
            say.FAILED: self._failed,
            say.PONG: self._pong,
            say.ROWS: self._rows,
            say.FILE: self._file,
        }
        for kind, take in takes.items():
            runner.register_message(kind, self._listener(kind, take))

    def _listener(self, kind: str, take: Callable[[str, Any], None]) -> Callable[..., None]:
        """Locust logs what a listener raises and goes on: keep it, so that the run does not."""

        def listen(msg: Any, **_: Any) -> None:
            try:
                said = self._seal.open(msg.data)
            except Unsealed:
                if kind == say.JOIN:
                    self._refuse(msg.node_id, f"it does not know the join key ({say.KEY_VARIABLE})", plainly=True)
                return  # whoever it is, it is none of ours
            if kind != say.JOIN and msg.node_id not in self._workers:
                return
            try:
                take(msg.node_id, said)
            except SuiteError as error:
                self._broken = self._broken or error
            except Exception as error:  # noqa: BLE001  # Locust would log it and go on
                problem = f"a message of a load worker ({kind}) could not be handled: {in_one_line(error)}"
                self._broken = self._broken or SuiteError(problem)

        return listen

    def wait_ready(self, stopped: gevent.event.Event) -> None:
        """Come back when every worker has joined and is ready, or the run is to stop.

        Raises:
            SuiteError: they did not come in time, or one of them cannot work.
        """
        deadline = time.monotonic() + self._plan.join_timeout_s
        while sum(worker.state == "ready" for worker in self._workers.values()) < self._plan.processes:
            self._check()
            self._forget_absent()
            if stopped.wait(0.05):
                return
            if time.monotonic() > deadline:
                joined = ", ".join(f"{one.name} on {one.record.host} ({one.state})" for one in self._workers.values())
                raise SuiteError(
                    f"{len(self._workers)} of {self._plan.processes} load workers joined in"
                    f" {self._plan.join_timeout_s:.0f} s, not all of them ready: {joined or 'none'}",
                    hint=f"start the others with `necp-validate worker --master HOST:PORT` and {say.KEY_VARIABLE}; "
                    "of those on this host, see the run's logs/",
                )

    def start(self, world: World) -> None:
        """Read every clock, and tell all workers when to begin, each by its own clock."""
        for worker in self._workers.values():
            self._read_clock(worker, _PINGS)
            if not worker.record.clocks:
                raise SuiteError(f"{worker.name} on {worker.record.host} did not answer when asked for the time")
        self._begun = True
        world.start_us = time.time_ns() // 1000 + int(_LEAD_S * 1e6)
        self._end_us = world.end_us
        world.save_phases()
        for worker in self._workers.values():
            by_its_clock = world.start_us + round(worker.record.clocks[-1].offset_us)
            self._send(worker, say.START, {"start_us": by_its_clock})
            self._note(worker, state="playing")

    def watch(self, world: World, stopped: gevent.event.Event) -> None:
        """Come back when every worker has finished or is lost, or the run is to stop.

        Raises:
            SuiteError: what a worker sent cannot be used, or none of them could go on.
        """
        limit = world.end_us / 1e6 + self._plan.drain_timeout_s + 60
        next_clock = time.monotonic() + _PING_EVERY_S
        while not stopped.is_set():
            self._check()
            self._lose_failed(world)
            self._listen_for_silence()
            self._pass_on_passwords()
            left = [worker for worker in self._workers.values() if worker.at_work]
            if not left or self._given_up(left, world) or time.time() > limit:
                break
            if time.monotonic() > next_clock:
                for worker in left:
                    if worker.state == "playing":
                        self._read_clock(worker, _PINGS_MEANWHILE)
                next_clock = time.monotonic() + _PING_EVERY_S
            stopped.wait(0.1)
        if not stopped.is_set():
            for worker in self._workers.values():
                if worker.at_work:
                    self._lose(worker, world)
        self._save()

    def stop(self, reason: str) -> None:
        """Tell every worker that is still at work to end, and close the files."""
        for worker in self._workers.values():
            if worker.state not in ("finished", "left", "lost"):
                self._send(worker, say.STOP, {"reason": reason})
            worker.timeline.close()

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _join(self, client_id: str, hello: dict[str, Any]) -> None:
        if client_id in self._workers:
            return
        if hello["version"] != __version__:
            self._refuse(client_id, f"it is version {hello['version']}, the master is {__version__}")
            return
        if self._begun or len(self._workers) >= self._plan.processes:
            why = "the load has begun" if self._begun else f"all {self._plan.processes} workers are here"
            self._refuse(client_id, why)
            return
        taken = {worker.name for worker in self._workers.values()}
        index = next(number for number in range(self._plan.processes) if f"w{number}" not in taken)
        name = f"w{index}"
        facts = {key: hello[key] for key in ("host", "namespace", "pid", "cpus")}
        worker = self._workers[client_id] = _Worker(
            client_id=client_id,
            record=WorkerRecord(
                worker=name,
                **facts,
                state="joined",
                heard_us=time.time_ns() // 1000,
                silences=0,
                clocks=(),
                received_bytes=0,
            ),
            inbox=Inbox(frozenset(part.path.format(worker=name) for part in _FILES)),
            timeline=parts.TIMELINE.open(self._run_dir, name),
        )
        files = pack(self._plan)
        self._send(worker, say.PLAN, {"index": index, "plan": msgspec.json.encode(self._plan), "files": files})
        self._note(worker)
        self._tell(f"{name} joined from {hello['host']}: {len(self._workers)} of {self._plan.processes} workers")

    def _refuse(self, client_id: str, why: str, *, plainly: bool = False) -> None:
        """Turn somebody away, and let Locust give it no users; plainly, if it could not read it otherwise."""
        said = {"reason": why}
        self._runner.send_message(say.REFUSED, said if plainly else self._seal.seal(said), client_id)
        node = self._runner.clients.pop(client_id, None)
        if node is not None and self._runner._users_dispatcher is not None:
            self._runner._users_dispatcher.remove_worker(node)
        self._tell(f"a worker was turned away: {why}")

    def _forget_absent(self) -> None:
        """Until the load begins, one that went away may be replaced by another; one that prepares may be silent."""
        for client_id, worker in list(self._workers.items()):
            if client_id not in self._runner.clients:
                del self._workers[client_id]
                worker.timeline.close()
                self._tell(f"{worker.name} went away before the load began")
                self._save()

    def _ready(self, client_id: str, _: Any) -> None:
        self._note(self._workers[client_id], state="ready")

    def _failed(self, client_id: str, said: dict[str, Any]) -> None:
        worker = self._workers[client_id]
        worker.problem = said["message"]
        if not self._begun or all(one.problem for one in self._workers.values()):
            raise SuiteError(f"load worker {worker.name} on {worker.record.host}: {worker.problem}", hint=said["hint"])

    def _pong(self, client_id: str, said: dict[str, Any]) -> None:
        worker = self._workers[client_id]
        worker.pings.append(
            Ping(
                sent_ns=said["sent_ns"],
                received_ns=said["received_ns"],
                answered_ns=said["answered_ns"],
                returned_ns=time.time_ns(),
            )
        )
        worker.answered.set()

    def _read_clock(self, worker: _Worker, count: int) -> None:
        """Ask for the time, several times; who does not answer has no estimate."""
        worker.pings.clear()
        for _ in range(count):
            worker.answered.clear()
            self._send(worker, say.PING, {"sent_ns": time.time_ns()})
            if not worker.answered.wait(_PING_TIMEOUT_S):
                break
        found = estimate(worker.pings)
        if found is not None:
            self._note(worker, clocks=(*worker.record.clocks, found))

    def _rows(self, client_id: str, rows: list[dict[str, Any]]) -> None:
        """Keep timeline rows, their times by the master's clock."""
        worker = self._workers[client_id]
        offset_s = worker.record.clocks[-1].offset_us / 1e6 if worker.record.clocks else 0.0
        try:
            told = [from_plain(TimelineRow, {**row, "worker": worker.name}) for row in rows]
        except DecodeError as error:
            raise SuiteError(f"load worker {worker.name} sent a row that cannot be used: {error}") from error
        worker.timeline.write(*(replace(row, t=round(row.t - offset_s, 3)) for row in told))
        worker.record = replace(worker.record, heard_us=time.time_ns() // 1000)

    def _file(self, client_id: str, piece: dict[str, Any]) -> None:
        worker = self._workers[client_id]
        received = worker.record.received_bytes + len(piece["content"])
        worker.record = replace(worker.record, received_bytes=received, heard_us=time.time_ns() // 1000)
        whole = worker.inbox.add(piece)
        if whole is None:
            return
        name, content = whole
        write_bytes(self._run_dir / name, content)
        self._send(worker, say.RECEIVED, {"name": name})
        if name == parts.LOADS.path.format(worker=worker.name):  # the last that it sends
            self._note(worker, state="finished" if time.time_ns() // 1000 >= self._end_us else "left")

    def _listen_for_silence(self) -> None:
        for client_id, worker in self._workers.items():
            if not worker.at_work:
                continue
            node = self._runner.clients.get(client_id)
            silent = node is None or node.state == _MISSING
            if silent and worker.silent_since is None:
                worker.silent_since = time.monotonic()
                self._note(worker, state="silent")
                self._tell(f"nothing is heard of {worker.name} on {worker.record.host} any more; the run goes on")
            elif not silent and worker.silent_since is not None:
                worker.silent_since = None
                self._note(worker, state="playing", silences=worker.record.silences + 1)
                self._tell(f"{worker.name} on {worker.record.host} is heard of again")

    def _given_up(self, left: list[_Worker], world: World) -> bool:
        """Whether all that are left have been silent for so long that nothing more is to be expected."""
        now = time.monotonic()
        silent = all(one.silent_since is not None and now - one.silent_since > _GIVE_UP_S for one in left)
        return silent and time.time_ns() // 1000 > world.end_us

    def _lose_failed(self, world: World) -> None:
        """The run goes on without workers that could not: the others are at work."""
        for worker in self._workers.values():
            if worker.at_work and worker.problem:
                self._lose(worker, world)
                # No part of the record is unwritten: of one that is lost, there is what it may have sent.
                noting(self._run_dir, f"load worker {worker.name} on {worker.record.host}")(worker.problem)

    def _lose(self, worker: _Worker, world: World) -> None:
        index = int(worker.name.removeprefix("w"))
        theirs = World(self._plan, index)
        theirs.start_us = world.start_us
        heard_us = worker.record.heard_us or world.start_us
        parts.LOADS.write(self._run_dir, theirs.unknown_record(heard_us))
        self._note(worker, state="lost")
        why = f" ({worker.problem})" if worker.problem else ""
        self._tell(f"{worker.name} on {worker.record.host} is lost{why}: what became of its events is unknown")

    def _pass_on_passwords(self) -> None:
        """Tell workers a password that has been changed: they cannot see its file."""
        for domain, traffic in self._plan.traffic.items():
            try:
                found = Path(traffic.password_file).read_text(encoding="utf-8").strip() if traffic.password_file else ""
            except OSError:
                continue  # it is there again, or the run is over
            if found and found != self._passwords[domain]:
                self._passwords[domain] = found
                for worker in self._workers.values():
                    self._send(worker, say.PASSWORD, {"domain": domain, "password": found})

    def _send(self, worker: _Worker, kind: str, value: Any) -> None:
        self._runner.send_message(kind, self._seal.seal(value), worker.client_id)

    def _note(self, worker: _Worker, **changes: Any) -> None:
        """Change what is known of a worker; but for its silence, that is something it has told."""
        heard = {} if changes.get("state") in ("silent", "lost") else {"heard_us": time.time_ns() // 1000}
        worker.record = replace(worker.record, **{**heard, **changes})
        self._save()

    def _save(self) -> None:
        records = sorted((worker.record for worker in self._workers.values()), key=lambda one: one.worker)
        parts.WORKERS.write(self._run_dir, records)
