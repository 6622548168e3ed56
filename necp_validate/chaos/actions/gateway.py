"""Killing and freezing the gateway, and losing what goes between it and its players."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from necp_validate.chaos import cores, gateways
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.session import current
from necp_validate.record.faults import FaultRecord
from necp_validate.stack.protocol import GATEWAY_NODE


@fault(rollback="replace_gateway", players=True)
def kill_gateway() -> FaultRecord:
    """Kill the gateway (SIGKILL): every player is thrown out. Rollback: replace_gateway."""
    session = current()
    fleet, gateway = gateways.running(session)

    def undo() -> None:
        if gateway not in fleet.running():
            fleet.replace(gateway.name)

    return session.inject(
        "gateway-kill", gateway.name, do=lambda: fleet.kill(gateway), seen=cores.dead(gateway), undo=undo
    )


@fault(rollback="resume_gateway", players=True)
def pause_gateway() -> FaultRecord:
    """Freeze the gateway (SIGSTOP): its connections stay open, it does nothing. Rollback: resume_gateway."""
    session = current()
    _, gateway = gateways.running(session)
    return session.inject(
        "gateway-pause", gateway.name, do=gateway.pause, seen=cores.mute(gateway), undo=gateway.resume
    )


@fault("loss", "slow", rollback="heal_gateway_link", players=True)
def lossy_gateway_link(loss: float = 0.05, delay_ms: float = 0.0) -> FaultRecord:
    """Lose a share of the datagrams between players and gateway, and delay the others. Rollback: heal_gateway_link.

    Args:
        loss: share of datagrams lost each way, 0 to 1.
        delay_ms: delay each way, milliseconds.
    """
    session = current()
    _, gateway = gateways.running(session)
    words = [f"{loss:.1%} of the players' datagrams lost"] if loss else []
    words += [f"{delay_ms:g} ms later"] if delay_ms else []
    return session.inject(
        "gateway-loss",
        f"{gateway.name}: {', '.join(words)}",
        do=lambda: session.stack.slow(GATEWAY_NODE, delay_ms=delay_ms, loss=loss),
        seen=gateways.touched(session),
        undo=session.stack.heal,
    )


@healing
def replace_gateway() -> int:
    """Start a gateway in the place of the one that was killed; returns when it is healthy."""
    return current().undo("gateway-kill")


@healing
def resume_gateway() -> int:
    """Let a frozen gateway go on."""
    return current().undo("gateway-pause")


@healing
def heal_gateway_link() -> int:
    """Let every datagram between players and gateway pass again."""
    return current().undo("gateway-loss")
