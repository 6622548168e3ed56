"""Cutting, slowing and thinning out the links of brokers."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from necp_validate.chaos import brokers
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import current
from necp_validate.core import UsageError
from necp_validate.record.faults import FaultRecord
from necp_validate.stack.protocol import CLIENTS


@fault("cut", rollback="heal_links")
def cut_links(role: str = "leader", peers: str = "brokers", direction: str = "both") -> FaultRecord:
    """Drop every packet between a broker and its peers. Rollback: heal_links.

    Args:
        role: which broker.
        peers: ``brokers`` (all the others) or ``clients`` (load, event core, suite).
        direction: ``both``, ``out`` (what the broker sends) or ``in`` (what it is sent).
    """
    session = current()
    if peers not in ("brokers", CLIENTS) or direction not in ("both", "out", "in"):
        raise UsageError(f'peers "{peers}", direction "{direction}"', hint="brokers or clients; both, out or in")
    target = resolve(session, role)
    me = f"broker-{target.broker}"
    names = [CLIENTS] if peers == CLIENTS else [f"broker-{other}" for other in brokers.others(session, target)]
    links = [(me, name) for name in names if direction != "in"] + [(name, me) for name in names if direction != "out"]

    def do() -> None:
        for source, to in links:
            session.stack.cut(source, to)

    def seen() -> str:
        if any(session.stack.link_open(source, to) for source, to in links):
            return ""
        return "measured closed: " + ", ".join(f"{source} → {to}" for source, to in links)

    words = f"{target.words} from {', '.join(names)}" + ("" if direction == "both" else f", {direction} only")
    return session.inject("cut", words, do=do, seen=seen, undo=session.stack.heal)


@fault("slow", rollback="heal_links")
def slow_links(role: str = "leader", delay_ms: float = 50.0) -> FaultRecord:
    """Delay what a broker sends and is sent. Rollback: heal_links.

    Args:
        role: which broker.
        delay_ms: delay, milliseconds.
    """
    return _impair("slow", role, delay_ms, 0.0)


@fault("loss", rollback="heal_links")
def lossy_links(role: str = "leader", loss: float = 0.05) -> FaultRecord:
    """Lose a share of the packets that a broker sends and is sent. Rollback: heal_links.

    Args:
        role: which broker.
        loss: share of packets lost, 0 to 1.
    """
    return _impair("loss", role, 0.0, loss)


def _impair(kind: str, role: str, delay_ms: float, loss: float) -> FaultRecord:
    session = current()
    target = resolve(session, role)
    words = f"{delay_ms:g} ms later" if delay_ms else f"{loss:.1%} of the packets lost"
    return session.inject(
        kind,
        f"{target.words}: {words}",
        do=lambda: session.stack.slow(f"broker-{target.broker}", delay_ms=delay_ms, loss=loss),
        seen=brokers.slowed(session, target.broker, delay_ms),
        undo=session.stack.heal,
    )


@healing
def heal_links() -> int:
    """Undo every cut, slow or lossy link."""
    return current().undo("cut", "slow", "loss")
