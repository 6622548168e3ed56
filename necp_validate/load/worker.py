"""A load worker: joins a master, wherever that is, plays its share of the plan, and sends back what came of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent
import gevent.event
import msgspec
from confluent_kafka import KafkaException, Producer
from locust.env import Environment
from locust.runners import WorkerRunner

from necp_validate import __version__
from necp_validate.core import SuiteError, in_one_line
from necp_validate.core.first_failure import FirstFailure
from necp_validate.load import messages as say
from necp_validate.load.luggage import password_file, unpack
from necp_validate.load.messages import Seal, Unsealed, pieces
from necp_validate.load.plan import LoadPlan
from necp_validate.load.users import USERS, Stage
from necp_validate.load.world import World
from necp_validate.record import parts
from necp_validate.record.model import TimelineRow
from necp_validate.stack.private import write_private

_ANSWER_S = 60.0  # for what the master answers at once
_START_S = 3600.0  # the others may still have to be started, by hand
_BROKERS_S = 15.0
_HURRIED_S = 5.0
_MASTER_SILENT_S = 30.0

Play = Callable[[World, gevent.event.Event], None]
"""Plays a world that is open to its end; comes back early when the event is set."""


class Worker:
    """One load worker.

    Args:
        host: of the master.
        port: at which it waits for workers.
        key: the join key.

    Raises:
        SuiteError: no master answers there.
    """

    def __init__(self, host: str, port: int, key: str) -> None:
        self._seal = Seal(key)
        self._where = f"{host}:{port}"
        self.environment = Environment(user_classes=list(USERS.values()), stop_timeout=1)
        self.stopped = gevent.event.Event()
        self.stage = Stage(FirstFailure(self.stopped.set))
        self.stage.serve(self.environment)
        try:
            self.runner: WorkerRunner = self.environment.create_worker_runner(host, port)
        except ConnectionError as error:
            raise SuiteError(f"no master answers at {self._where}", hint="is it waiting for workers?") from error
        self._said: dict[str, gevent.event.AsyncResult] = {}
        self._received: set[str] = set()
        self._folder: Path | None = None
        self.why_stopped = ""
        self._ended_there = False  # nobody is left there to take a history
        for kind in (say.PLAN, say.START):
            self._said[kind] = result = gevent.event.AsyncResult()
            self._on(kind, result.set)
        self._on(say.PING, self._pong)
        self._on(say.PASSWORD, self._password)
        self._on(say.RECEIVED, lambda said: self._received.add(said["name"]))
        self._on(say.STOP, self._end)
        self.runner.register_message(say.REFUSED, self._refused)

    def _on(self, kind: str, take: Callable[[Any], object]) -> None:
        def listen(msg: Any, **_: Any) -> None:
            try:
                said = self._seal.open(msg.data)
            except Unsealed:
                return
            try:
                take(said)
            except Exception as error:  # noqa: BLE001  # Locust would log it and go on
                self.stage.failure.note(error)

        self.runner.register_message(kind, listen)

    def stop(self, why: str) -> None:
        """End early."""
        self.why_stopped = self.why_stopped or why
        self.stopped.set()

    def _end(self, said: dict[str, Any]) -> None:
        self._ended_there = True
        self.stop(f"the run ended: {said['reason']}")

    def run(self, play: Play) -> None:
        """Join, play, and send the history back.

        Raises:
            SuiteError: the master does not want this worker, is gone, or ended the run; or the brokers are not reached.
        """
        watch = self.stage.failure.watch(gevent.spawn(self._watch_master))
        try:
            with TemporaryDirectory(prefix="necp-worker-") as folder:
                self._folder = Path(folder)
                with self._failure_sent():
                    world = self._join()
                    world.open(self._await(say.START, _START_S)["start_us"])
                    self.stage.open(world)
                    play(world, self.stopped)
                if not self._ended_there:
                    self._deliver(world)
        finally:
            watch.kill()
        if self.why_stopped:
            raise SuiteError(self.why_stopped)

    @contextmanager
    def _failure_sent(self) -> Iterator[None]:
        """Send the master what keeps this worker from its work; not that it was stopped, which the master knows."""
        try:
            yield
        except Exception as error:
            if not self.why_stopped:
                message, hint = in_one_line(error), None
                if isinstance(error, SuiteError):
                    message, hint = error.message, error.hint
                self._send(say.FAILED, {"message": message, "hint": hint})
                gevent.sleep(1.0)
            raise

    def tell_rows(self, rows: list[TimelineRow]) -> None:
        """Send the timeline rows of the last second."""
        self._send(say.ROWS, rows)

    def _join(self) -> World:
        assert self._folder is not None
        hello = {
            "version": __version__,
            "host": socket.gethostname(),
            "namespace": _network_namespace(),
            "pid": os.getpid(),
            "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        }
        self._send(say.JOIN, hello)
        said = self._await(say.PLAN, _ANSWER_S)
        plan = unpack(msgspec.json.decode(said["plan"], type=LoadPlan), said["files"], self._folder)
        # In threads of their own: neither leaves the loop to others, and heartbeats must go on.
        # A closure and an error that is returned: gevent prints what is raised there, and with it the arguments of the
        # call, which hold passwords.
        in_thread = gevent.get_hub().threadpool.apply
        world: World = in_thread(lambda: World(plan, said["index"]))
        error: SuiteError | None = in_thread(lambda: _why_not_reached(plan))
        if error is not None:
            raise error
        self._send(say.READY, {})
        return world

    def _deliver(self, world: World) -> None:
        """Send every file of the history; come back when the master has them all."""
        names = [part.path.format(worker=world.name) for part in (parts.LATENCY, parts.PASSWORDS_TAKEN, parts.LOADS)]
        for name in names:
            path = Path(world.plan.run_dir) / name
            if not path.exists():
                continue
            for piece in pieces(name, path.read_bytes()):
                self._send(say.FILE, piece)
                gevent.sleep(0)  # heartbeats are not to wait for all of it
            deadline = time.monotonic() + (_HURRIED_S if self.stopped.is_set() else _ANSWER_S)
            while name not in self._received:
                if time.monotonic() > deadline:
                    raise SuiteError(f"the master at {self._where} did not confirm {name}")
                gevent.sleep(0.02)

    def _await(self, kind: str, timeout_s: float) -> Any:
        """Wait for what the master says; end early if the run does."""
        waiting = self._said[kind]
        deadline = time.monotonic() + timeout_s
        while not waiting.ready():
            if self.stopped.is_set():
                self.stage.failure.check("this worker")
                raise SuiteError(self.why_stopped)
            if time.monotonic() > deadline:
                raise SuiteError(f"the master at {self._where} did not answer in {timeout_s:.0f} s")
            gevent.sleep(0.02)
        return waiting.get()

    def _pong(self, said: dict[str, Any]) -> None:
        received_ns = time.time_ns()
        self._send(say.PONG, {**said, "received_ns": received_ns, "answered_ns": time.time_ns()})

    def _password(self, said: dict[str, Any]) -> None:
        if self._folder is not None:
            write_private(password_file(self._folder, said["domain"]), said["password"].encode())

    def _refused(self, msg: Any, **_: Any) -> None:
        said = msg.data
        if isinstance(said, dict) and "sealed" in said:
            try:
                said = self._seal.open(said)
            except Unsealed:
                said = {}
        reason = str(said.get("reason", "")) if isinstance(said, dict) else ""
        self.stop(f"the master at {self._where} does not want this worker: {reason or 'it does not say why'}")

    def _watch_master(self) -> None:
        """End when the master is not heard of any more: nobody is left who wants what comes of this."""
        while not self.stopped.wait(1.0):
            heard = self.runner.last_heartbeat_timestamp
            if heard is not None and time.time() - heard > _MASTER_SILENT_S:
                self._ended_there = True
                self.stop(f"nothing was heard of the master at {self._where} for {_MASTER_SILENT_S:.0f} s")

    def _send(self, kind: str, value: Any) -> None:
        self.runner.send_message(kind, self._seal.seal(value))


def _why_not_reached(plan: LoadPlan) -> SuiteError | None:
    """Log in at the brokers, as each service that sends; returns what is wrong, None if all is well."""
    for traffic in plan.traffic.values():
        try:
            described = Producer(traffic.client).list_topics(traffic.topic, timeout=_BROKERS_S).topics
        except KafkaException as error:
            servers = traffic.client["bootstrap.servers"]
            return SuiteError(
                f"the brokers at {servers} cannot be reached from {socket.gethostname()}: {error.args[0].str()}",
                hint="workers on other hosts need addresses that brokers advertise to other hosts",
            )
        if traffic.topic not in described or described[traffic.topic].error is not None:
            return SuiteError(f"{traffic.client.get('sasl.username', 'the client')} does not see topic {traffic.topic}")
    return None


def _network_namespace() -> str:
    try:
        return Path("/proc/self/ns/net").readlink().name
    except OSError:
        return ""
