"""The session of a run's faults: what they are done to, which are in force, and that each of them is undone.

Chaos Toolkit calls actions and probes as plain functions; they find what they work on through `current()`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from necp_validate.chaos.cluster import Cluster
from necp_validate.chaos.experiment import slug_of
from necp_validate.core import StackError, SuiteError
from necp_validate.monitoring.run import MonitoringRun
from necp_validate.record import parts
from necp_validate.record.faults import FaultRecord
from necp_validate.stack import Stack
from necp_validate.stack.fleet import CoreFleet, GatewayFleet
from necp_validate.stack.protocol import FaultUnavailable

if TYPE_CHECKING:
    from necp_validate.chaos.rotation import Rotation

_POLL_S = 0.1
_HEALTHY_S = 90.0

Evidence = Callable[[], str]
"""Looks once whether something has happened; says what it saw, or nothing (an empty text)."""


class Interrupted(SuiteError):
    """The run is being stopped; nothing further may be broken."""


@dataclass(slots=True, kw_only=True)
class OpenFault:
    """A fault that is in force, or may be: it is entered here before anything is broken."""

    id: str
    kind: str
    target: str
    begin_us: int
    undo: Callable[[], None]
    experiment: str
    claims: tuple[str, ...]
    effective_us: int | None = None
    evidence: str = "it was interrupted before its effect was seen"

    def record(self, end_us: int | None, *, needs: str = "") -> FaultRecord:
        """What the history keeps of it."""
        return FaultRecord(
            id=self.id,
            experiment=self.experiment,
            kind=self.kind,
            target=self.target,
            begin_us=self.begin_us,
            effective_us=self.effective_us,
            evidence=needs or self.evidence,
            end_us=end_us,
            needs=needs,
            claims=self.claims,
        )


class Session:
    """The faults of one run.

    Args:
        stack: what is broken.
        fleet: the event core's instances.
        run_dir: where the record of the faults goes, and where the load's timeline is read.
        gateways: the gateway, where the scenario has players.
        seed: same seed, same random choices.
        tell: receives one sentence for whatever happens.
    """

    def __init__(
        self,
        stack: Stack,
        fleet: CoreFleet,
        run_dir: Path,
        *,
        gateways: GatewayFleet | None = None,
        seed: int = 1,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.stack = stack
        self.fleet = fleet
        self.gateways = gateways
        self.run_dir = run_dir
        self.cluster = Cluster(stack)
        self.rng = random.Random(seed)
        self.tell = tell
        self.experiment = ""
        self.claims: tuple[str, ...] = ()
        self.last_broker: int | None = None
        self.highest_ends: dict[tuple[str, int], int] = {}
        self.needs = ""
        self.monitoring: MonitoringRun | None = None
        """Who watches the alerts of this run, where somebody does."""
        self.rotations: list[Rotation] = []
        self._injected: dict[str, list[str]] = {}
        self._open: list[OpenFault] = []
        self._excused: set[int] = set()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def enter(self, experiment: str, claims: Iterable[str]) -> None:
        """Begin an experiment: the faults that follow are its own."""
        self.experiment, self.claims, self.needs, self.last_broker = experiment, tuple(claims), "", None

    def injected(self, experiment: str) -> tuple[str, ...]:
        """Ids of the faults that an experiment has injected, or tried to."""
        return tuple(self._injected.get(experiment, ()))

    @property
    def in_force(self) -> tuple[OpenFault, ...]:
        """The faults that have not been undone."""
        return tuple(self._open)

    def inject(
        self,
        kind: str,
        target: str,
        *,
        do: Callable[[], None],
        seen: Evidence,
        undo: Callable[[], None],
        within_s: float = 10.0,
    ) -> FaultRecord:
        """Break something, and look whether it is broken.

        Args:
            kind: what is done, e.g. ``broker-kill``.
            target: to what, in words.
            do: does it.
            seen: says what shows that it has taken effect, or nothing yet.
            undo: undoes it; harmless if there is nothing (more) to undo.
            within_s: how long to wait for the effect.

        Raises:
            FaultUnavailable: the stack cannot do it; that is recorded.
            Interrupted: the run is being stopped.
        """
        self.check()
        self._numbers[kind] += 1
        fault = OpenFault(
            id=f"{slug_of(self.experiment) or kind}-{kind}-{self._numbers[kind]}".replace(f"{kind}-{kind}", kind),
            kind=kind,
            target=target,
            begin_us=now_us(),
            undo=undo,
            experiment=self.experiment,
            claims=self.claims,
        )
        with self._lock:
            self._open.append(fault)
            self._injected.setdefault(self.experiment, []).append(fault.id)
        try:
            do()
        except FaultUnavailable as error:
            self._forget(fault)
            self.needs = error.message
            parts.FAULTS.append(self.run_dir, fault.record(None, needs=error.message))
            self.tell(f"{kind} of {target}: {error.message}")
            raise
        said = self.until(seen, within_s)
        if said:
            fault.effective_us, fault.evidence = now_us(), said
        else:
            fault.evidence = f"no effect was seen within {within_s:g} s"
        self.tell(f"{kind} of {target}: {fault.evidence}")
        return fault.record(None)

    def undo(self, *kinds: str) -> int:
        """Undo every fault of these kinds (all, if none is named), the last one first; returns how many.

        Raises:
            StackError: some could not be undone; the others were.
        """
        problems = []
        with self._lock:  # whoever else wants to undo the same finds it done
            mine = [fault for fault in reversed(self._open) if not kinds or fault.kind in kinds]
            for fault in mine:
                try:
                    fault.undo()
                except SuiteError as error:
                    problems.append(f"{fault.kind} of {fault.target}: {error}")
                    continue
                self._forget(fault)
                parts.FAULTS.append(self.run_dir, fault.record(now_us()))
                self.tell(f"{fault.kind} of {fault.target} undone")
        if problems:
            raise StackError("a fault could not be undone", detail="\n".join(problems))
        return len(mine)

    def _forget(self, fault: OpenFault) -> None:
        with self._lock:
            self._open.remove(fault)

    def close(self) -> None:
        """Undo whatever is in force; called on every way out of a run.

        Raises:
            StackError: something could not be undone; it is recorded as still in force.
        """
        self.stop()
        try:
            self.undo()
        finally:
            for fault in self._open:
                parts.FAULTS.append(self.run_dir, fault.record(None))
            self._open.clear()
            if self._numbers:
                self.stack.undo_faults()

    def recover(self) -> None:
        """Undo everything and wait until the cluster is whole and led as preferred.

        Raises:
            StackError: it did not become whole.
        """
        self.undo()
        self.stack.undo_faults()
        wait_healthy(self.stack, self.cluster)

    def stop(self) -> None:
        """Let nothing further be broken; whoever waits for something here comes back with `Interrupted`."""
        self._stopping.set()

    def check(self) -> None:
        """Do nothing while the run goes on.

        Raises:
            Interrupted: the run is being stopped.
        """
        if self._stopping.is_set():
            raise Interrupted("the run is being stopped")

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Interrupted: the run is being stopped.
        """
        self._stopping.wait(seconds)
        self.check()

    def until(self, seen: Evidence, within_s: float) -> str:
        """Look again and again; returns what was seen, or an empty text when the time is over.

        Raises:
            Interrupted: the run is being stopped.
        """
        deadline = time.monotonic() + within_s
        while not (said := seen()):
            if time.monotonic() >= deadline:
                return ""
            self.wait(_POLL_S)
        return said

    def excuse(self, broker: int) -> None:
        """Let a broker die of what is about to be done to it without that being an accident."""
        self._excused.add(broker)

    def pardon(self, broker: int) -> None:
        """Take it back: from now on its death is an accident again."""
        self._excused.discard(broker)

    def check_alive(self) -> None:
        """Do nothing if all that should run does.

        Raises:
            StackError: a broker, an event core or the gateway died that nobody ended, or may be excused.
        """
        for broker in tuple(self._excused):
            if not self.stack.broker_alive(broker):
                self.stack.kill_broker(broker)  # it is gone; now the stack knows that it was to be expected
        self.stack.check_alive()
        self.fleet.check_alive()
        if self.gateways is not None:
            self.gateways.check_alive()


def wait_healthy(stack: Stack, cluster: Cluster | None = None, timeout_s: float = _HEALTHY_S) -> None:
    """Wait until no fault is in force, every replica is in sync, and leaders are the preferred ones.

    Args:
        stack: the stack.
        cluster: what to ask it through.
        timeout_s: give up after this long.

    Raises:
        StackError: the cluster did not become whole in time.
    """
    cluster = cluster or Cluster(stack)
    deadline = time.monotonic() + timeout_s
    while left := _what_is_left(stack, cluster):
        if time.monotonic() > deadline:
            raise StackError(f"the cluster is not whole after {timeout_s:g} s: {left}", hint="see the brokers' logs")
        time.sleep(0.25)
    cluster.elect_preferred()


def _what_is_left(stack: Stack, cluster: Cluster) -> str:
    if faults := stack.remaining_faults():
        return "; ".join(faults)
    if dead := [str(broker.id) for broker in stack.brokers() if not stack.broker_alive(broker.id)]:
        return f"broker {', '.join(dead)} is down"
    lagging = cluster.under_replicated()
    return f"{lagging} partitions are under-replicated" if lagging else ""


_CURRENT: list[Session] = []


@contextmanager
def opened(session: Session) -> Iterator[Session]:
    """Make a session the current one."""
    _CURRENT.append(session)
    try:
        yield session
    finally:
        _CURRENT.remove(session)


def active() -> bool:
    """Tell whether there is a current session."""
    return bool(_CURRENT)


def current() -> Session:
    """The session that actions and probes work on.

    Raises:
        SuiteError: there is none.
    """
    if not _CURRENT:
        raise SuiteError(
            "no run is going on that this could be part of",
            hint='add the control {"name": "necp", "provider": {"type": "python", '
            '"module": "necp_validate.chaos.controls"}} to the experiment',
        )
    return _CURRENT[-1]


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000
