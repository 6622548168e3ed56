"""Breaking instances of the event core: what is done and how it is seen."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

from necp_validate.chaos.session import Session
from necp_validate.core import StackError
from necp_validate.events.topics import LEDGER_TOPIC, RECEIPTS_TOPIC
from necp_validate.stack import ServiceHandle

_ATTEMPTS = 60
_ANSWER_S = 1.0
_CLOCK_S = 2.0


def chosen(session: Session) -> ServiceHandle:
    """An instance that runs, chosen by seed.

    Raises:
        StackError: none runs.
    """
    running = session.fleet.running()
    if not running:
        raise StackError("no event core runs")
    return session.rng.choice(running)


def dead(core: ServiceHandle) -> Callable[[], str]:
    """Evidence that an instance has ended."""
    pid = core.pid

    def seen() -> str:
        if core.alive() or (pid is not None and psutil.pid_exists(pid)):
            return ""
        return f"pid {pid} gone"

    return seen


def mute(core: ServiceHandle) -> Callable[[], str]:
    """Evidence that an instance is there and answers nobody."""

    def seen() -> str:
        if not core.alive():
            return ""
        try:
            with urllib.request.urlopen(f"{core.http_url}/health", timeout=_ANSWER_S):
                return ""
        except urllib.error.HTTPError:
            return ""
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return f"pid {core.pid} is there, and /health gave no answer in {_ANSWER_S:g} s"

    return seen


def freeze_in_transaction(session: Session, core: ServiceHandle) -> str:
    """Freeze an instance at a moment at which it has a transaction open.

    It is frozen at some moment, and let go again if no log says that a transaction is open: the last stable offset
    of a partition that transactions write to is then at its end.

    Returns:
        What shows the open transaction.

    Raises:
        StackError: no moment with an open transaction was hit.
        FaultUnavailable: the stack cannot freeze it.
    """
    for _ in range(_ATTEMPTS):
        core.pause()
        for topic in (LEDGER_TOPIC, RECEIPTS_TOPIC):
            ends, stable = session.cluster.ends(topic), session.cluster.ends(topic, committed=True)
            held = {number: end - stable[number] for number, end in ends.items() if stable[number] < end}
            if held:
                number, records = next(iter(held.items()))
                return f"a transaction is open: {records} records of {topic}-{number} are above the last stable offset"
        core.resume()
        session.wait(session.rng.uniform(0.01, 0.15))
    raise StackError(f"{core.name} had no transaction open in {_ATTEMPTS} looks", hint="is there economy traffic?")


def members(session: Session, group: str) -> int:
    """How many members a consumer group has."""
    return session.cluster.group(group).members


class SteppedClock:
    """The clock of an instance of the event core, stepped through a file that it maps.

    Args:
        session: where the instance runs.
        name: of the file.

    Raises:
        FaultUnavailable: services of this stack see no file of ours.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._path, seen_as = session.stack.shared_file(name)
        self._core: ServiceHandle | None = None
        self.env = {"CORE_CLOCK_OFFSET_FILE": seen_as}

    def step(self, by_s: float) -> None:
        """Let it differ from the machine's clock by this much, from now on."""
        content = round(by_s * 1e6).to_bytes(8, "little", signed=True)
        if not self._path.exists():
            self._path.write_bytes(content)
            return
        with self._path.open("r+b") as file:  # in place: the instance has mapped this very file
            file.write(content)

    def follow(self, core: ServiceHandle) -> None:
        """Say which instance uses it."""
        self._core = core

    def seen_at(self, by_s: float) -> Callable[[], str]:
        """Evidence that the instance itself says so."""

        def seen() -> str:
            said = self._core.health().get("clock_us") if self._core else None
            if said is None:
                return ""
            ahead_s = said / 1e6 - time.time()
            return f"/health says that its clock is {ahead_s:+.1f} s off" if abs(ahead_s - by_s) < _CLOCK_S else ""

        return seen
