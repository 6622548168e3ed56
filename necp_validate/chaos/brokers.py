"""Breaking brokers: what is done, how it is seen, how it is undone. Thin over the stack."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from necp_validate.chaos.cluster import round_trip_s
from necp_validate.chaos.roles import Target
from necp_validate.chaos.session import Session
from necp_validate.events.topics import VERIFIER_PRINCIPAL
from necp_validate.stack.protocol import BrokerInfo

_ANSWER_S = 1.0
_RETRANSMITTED_MS = 150.0
_DISK_SEEN_S = 40.0


def info(session: Session, broker: int) -> BrokerInfo:
    """Where a broker is and what it is made of."""
    return next(found for found in session.stack.brokers() if found.id == broker)


def gone(session: Session, broker: int) -> Callable[[], str]:
    """Evidence that the process that a broker is now has ended."""
    pid = info(session, broker).pid

    def seen() -> str:
        if session.stack.broker_alive(broker) or (pid is not None and psutil.pid_exists(pid)):
            return ""
        return f"pid {pid} gone"

    return seen


def starter(session: Session, broker: int) -> Callable[[], None]:
    """Start a broker unless it runs."""

    def undo() -> None:
        if not session.stack.broker_alive(broker):
            session.stack.start_broker(broker)
        session.pardon(broker)

    return undo


def frozen(session: Session, broker: int) -> Callable[[], str]:
    """Evidence that a broker's process is there and answers nobody."""
    found = info(session, broker)

    def seen() -> str:
        if not session.stack.broker_alive(broker) or _answers(session, found, _ANSWER_S) is not None:
            return ""
        return f"pid {found.pid} is there, and gave a new client no answer in {_ANSWER_S:g} s"

    return seen


def _answers(session: Session, broker: BrokerInfo, timeout_s: float) -> float | None:
    return round_trip_s(session.stack.client_config(VERIFIER_PRINCIPAL), broker, timeout_s)


def slowed(session: Session, broker: int, delay_ms: float) -> Callable[[], str]:
    """Evidence that a broker answers a new client later than before, by the delay at least.

    Where packets are only lost, by most of the 200 ms after which TCP sends a lost one again.
    """
    delay_ms = max(delay_ms, _RETRANSMITTED_MS)
    found = info(session, broker)
    before = min(filter(None, (_answers(session, found, 5.0) for _ in range(3))), default=0.0)

    def seen() -> str:
        now = _answers(session, found, 10.0)
        if now is None or (now - before) * 1000 < delay_ms:
            return ""
        return f"a new client was answered in {now * 1000:.0f} ms, {before * 1000:.0f} ms before"

    return seen


def disk_refuses(session: Session, broker: int) -> tuple[Callable[[], str], float]:
    """Evidence that a broker cannot write: it has given up, or fallen out of sync; and how long that may take."""
    has_gone = gone(session, broker)

    def seen() -> str:
        if said := has_gone():
            return f"the broker gave up its log directory: {said}"
        return "" if session.cluster.in_sync(broker) else "the broker fell out of sync"

    return seen, _DISK_SEEN_S


def others(session: Session, target: Target) -> list[int]:
    """Every broker but one."""
    return [broker.id for broker in session.stack.brokers() if broker.id != target.broker]
