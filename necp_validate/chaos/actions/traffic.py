"""What the load does to the system, seen in the load's own timeline; and letting time pass."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from collections.abc import Callable

from necp_validate.chaos.registry import fault
from necp_validate.chaos.session import Session, current
from necp_validate.chaos.timeline import planned_before_eps, recent_eps
from necp_validate.record.faults import FaultRecord


def hold(seconds: float) -> None:
    """Let time pass while a fault is in force; ends at once if the stack could not do the fault.

    Args:
        seconds: how long.
    """
    if not current().needs:
        current().wait(seconds)


@fault(rollback=None)
def watch_flood(factor: float, seconds: float) -> FaultRecord:
    """See that the load floods the brokers (``fault.load`` of the extension block says how much), for a time.

    Args:
        factor: times the rate planned for the phase before that must be measured.
        seconds: how long to let it go on.
    """
    session = current()
    usual = planned_before_eps(session.run_dir)

    def seen() -> str:
        now = recent_eps(session.run_dir, 2).get("sent", 0.0)
        return f"{now:,.0f} events/s sent, {usual:,.0f} before" if now >= usual * factor > 0 else ""

    return _watch(session, "producer-flood", f"all topics, {factor:g} times the rate", seen, seconds)


@fault(rollback=None)
def watch_poison(share: float, seconds: float) -> FaultRecord:
    """See that poison events flood the event core (``fault.poison_share`` of the extension block), for a time.

    Args:
        share: share of events that must be seen to be dead-lettered.
        seconds: how long to let it go on.
    """
    session = current()

    def seen() -> str:
        rates = recent_eps(session.run_dir, 2)
        ended = sum(rates.get(name, 0.0) for name in ("processed", "rejected", "dead_lettered"))
        bad = rates.get("dead_lettered", 0.0)
        return f"{bad:,.0f} of {ended:,.0f} events/s dead-lettered" if ended and bad / ended >= share else ""

    return _watch(session, "poison-storm", f"all domains, {share:.0%} of the events", seen, seconds)


def _watch(session: Session, kind: str, target: str, seen: Callable[[], str], seconds: float) -> FaultRecord:
    record = session.inject(kind, target, do=lambda: None, seen=seen, undo=lambda: None)
    session.wait(seconds)
    session.undo(kind)
    return record
