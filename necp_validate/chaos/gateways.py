"""The gateway as something to break: which it is, how it is, and how a loss on its link is seen."""

from __future__ import annotations

from collections.abc import Callable

from necp_validate.chaos.session import Session
from necp_validate.core import StackError
from necp_validate.stack import GatewayHandle
from necp_validate.stack.fleet import GatewayFleet
from necp_validate.stack.gateway import Health, ask_health
from necp_validate.stack.protocol import GATEWAY_NODE, FaultUnavailable


def running(session: Session) -> tuple[GatewayFleet, GatewayHandle]:
    """The gateway that runs, and the fleet that it is of.

    Raises:
        FaultUnavailable: the scenario has no players, so there is none.
        StackError: it has been ended.
    """
    if session.gateways is None:
        raise FaultUnavailable("needs a scenario with players: without them there is no gateway")
    known = session.gateways.running()
    if not known:
        raise StackError("no gateway runs")
    return session.gateways, known[-1]


def health(session: Session) -> Health:
    """What the gateway says of itself; nothing where it does not answer, or none runs."""
    try:
        _, gateway = running(session)
    except StackError:
        return Health()
    return ask_health(gateway)


def touched(session: Session) -> Callable[[], str]:
    """Evidence that datagrams of players have been lost or held back, by the kernel's own count."""

    def seen() -> str:
        count = session.stack.touched_packets(GATEWAY_NODE)
        return f"{count:,} datagrams lost or held back by the kernel's count" if count else ""

    return seen
