"""Passwords that are changed under load."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from dataclasses import replace

from chaoslib.exceptions import ActivityFailed

from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.rotation import Rotation
from necp_validate.chaos.session import current, now_us
from necp_validate.record import parts
from necp_validate.record.faults import FaultRecord

_MARGIN_S = 2.0
_LONGEST_SESSION_S = 60.0


@fault(rollback="settle_passwords")
def rotate_password(principal: str = "combat-service", within_s: float = 15.0) -> FaultRecord:
    """Give a principal another SCRAM password while its clients work. Rollback: settle_passwords.

    Seen when every broker refuses a login with the old one and accepts the new one, for real, and every client of the
    principal (the load's producers, the event core) has the new one. That they use it is seen by watch_new_logins.

    Args:
        principal: whose: of a domain's service, or of the event core.
        within_s: how long all of that may take.
    """
    session = current()
    change = Rotation(session, principal)
    record = session.inject(
        "password-rotation", principal, do=change.do, seen=change.seen, undo=change.settle, within_s=within_s
    )
    change.found = replace(change.found, fault=record.id)
    session.rotations.append(change)
    return record


@healing
def settle_passwords() -> int:
    """See that cluster and stack agree on every password that was changed; the new ones stay."""
    return current().undo("password-rotation")


def watch_new_logins() -> dict:  # type: ignore[type-arg]  # the type that discovery knows
    """Wait until every login from before the changed passwords were known has ended, and try the old ones again.

    A password is asked for when a connection is made, and when a login is renewed: a connection that was open before
    proves nothing. Brokers with ``connections.max.reauth.ms`` close whatever has not renewed its login in that time, so
    whatever is acknowledged after it was sent by who knew the new password. Where logins hold for ever, that is
    recorded, and the claim stays unknown.
    """
    session = current()
    if session.needs:
        return {"skipped": session.needs}
    changes = [change.found for change in session.rotations]
    session_s = max((one.session_ms for one in changes), default=0) / 1000
    if session_s > _LONGEST_SESSION_S:
        raise ActivityFailed(f"logins hold for {session_s:g} s, and this waits for {_LONGEST_SESSION_S:g} s at most")
    if session_s:
        known_us = max(one.known_us or now_us() for one in changes)
        session.wait(max(session_s + _MARGIN_S - (now_us() - known_us) / 1e6, 0.0))
    for rotation in session.rotations:
        parts.PASSWORD_CHANGES.append(session.run_dir, rotation.watched())
    session.rotations.clear()
    session.tell(f"{len(changes)} passwords: no login from before is left, the old ones were tried again")
    return {"changes": len(changes), "session_s": session_s}
