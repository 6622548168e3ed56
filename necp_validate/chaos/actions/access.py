"""Allowances that are taken away while somebody uses them."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.session import current
from necp_validate.chaos.timeline import domain_eps
from necp_validate.events.topics import Domain
from necp_validate.record.faults import FaultRecord


@fault(rollback="grant_access")
def revoke_access(domain: str = "social", within_s: float = 15.0) -> FaultRecord:
    """Take the right to write away from the service of a domain while it writes. Rollback: grant_access.

    Seen when its producers are told so for real: their events fail, none is acknowledged for two seconds, and events of
    the other domains are acknowledged as before. What fails is counted as not acknowledged, and is no loss.

    Args:
        domain: whose service.
        within_s: how long until every broker denies it.
    """
    session = current()
    one = Domain(domain)

    def do() -> None:
        session.stack.revoke_access(one.service, one.topic, "Write")

    def seen() -> str:
        mine, rest = domain_eps(session.run_dir, 2, only=domain), domain_eps(session.run_dir, 2, but=domain)
        if mine.get("acked") or not mine.get("failed") or not rest.get("acked"):
            return ""
        return (
            f"{mine['failed']:,.0f} events/s of {one.service} denied and none acknowledged for 2 s; "
            f"{rest['acked']:,.0f} events/s of the others acknowledged"
        )

    def undo() -> None:
        session.stack.grant_access(one.service, one.topic, "Write")

    return session.inject("access-revoked", one.service, do=do, seen=seen, undo=undo, within_s=within_s)


@healing
def grant_access() -> int:
    """Give back what revoke_access has taken away."""
    return current().undo("access-revoked")
