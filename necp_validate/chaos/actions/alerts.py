"""Causes of alerts: each is made for real, and the experiment then waits until somebody has noticed."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

import contextlib
from collections.abc import Callable

from necp_validate.chaos import brokers
from necp_validate.chaos.plaintext import PlaintextListener
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import Session, current
from necp_validate.clients.broker_state import disks
from necp_validate.clients.wire import WireClient
from necp_validate.record.faults import FaultRecord
from necp_validate.security.provoking import be_denied, fail_logins
from necp_validate.stack.served import served_at

_PRINCIPAL, _RESOURCE, _OPERATION = "combat-service", "topic:game.economy.events", "Write"


@fault(rollback=None)
def fail_to_log_in(times: int = 20) -> FaultRecord:
    """Try to log in with a wrong password, again and again. There is nothing to undo.

    Args:
        times: how often.
    """
    session = current()
    return _repeated(
        session,
        "failed-logins",
        "every listener with a login",
        lambda: fail_logins(session.stack, times),
        f"of {times} logins refused",
    )


@fault(rollback=None)
def ask_for_denied(times: int = 80) -> FaultRecord:
    """Ask again and again to write where one may not; the request could not be carried out. There is nothing to undo.

    Args:
        times: how often.
    """
    session = current()
    return _repeated(
        session,
        "denied-requests",
        f"{_PRINCIPAL}: {_OPERATION} {_RESOURCE}",
        lambda: be_denied(session.stack, _PRINCIPAL, _RESOURCE, _OPERATION, times),
        f"of {times} requests denied",
    )


def _repeated(session: Session, kind: str, target: str, attempt: Callable[[], int], words: str) -> FaultRecord:
    """A fault that is over as soon as it is done: attempts, of which ``attempt`` tells how many were refused."""
    refused = 0

    def do() -> None:
        nonlocal refused
        refused = attempt()

    def seen() -> str:
        return f"{refused} {words}" if refused else ""

    record = session.inject(kind, target, do=do, seen=seen, undo=lambda: None)
    session.undo(kind)
    return record


@fault(rollback="close_plaintext_listener")
def open_plaintext_listener(role: str = "follower", clients: int = 2) -> FaultRecord:
    """Open a listener without TLS on a broker that runs, and connect in the clear. Rollback: close_plaintext_listener.

    Args:
        role: which broker.
        clients: how many connections.
    """
    session = current()
    target = resolve(session, role)
    listener: PlaintextListener | None = None
    answered = False

    def do() -> None:
        nonlocal listener, answered
        listener = PlaintextListener(session.stack, target.broker)
        with contextlib.suppress(OSError):  # nobody answered: then it is never seen to be open
            listener.open(clients)
            answered = True

    def seen() -> str:
        if listener is None or not answered:
            return ""
        return f"{clients} clients were answered in the clear at {listener.host}:{listener.port}"

    def undo() -> None:
        if listener is not None:
            listener.close()

    return session.inject("plaintext-listener", target.words, do=do, seen=seen, undo=undo)


@healing
def close_plaintext_listener() -> int:
    """Close the listener without TLS, with all connections to it."""
    return current().undo("plaintext-listener")


@fault("disk-full", rollback="clear_crowded_disks")
def crowd_disk(role: str = "follower", percent: float = 85.0, within_s: float = 10.0) -> FaultRecord:
    """Let a broker's disk be used to a percentage; it goes on. Rollback: clear_crowded_disks.

    Args:
        role: which broker.
        percent: how full.
        within_s: how long until the broker says so.
    """
    session = current()
    target = resolve(session, role)

    def seen() -> str:
        used = _used_percent(session, target.broker)
        return f"the broker says that {used:.0f}% are used" if used >= percent - 1 else ""

    return session.inject(
        "disk-usage",
        target.words,
        do=lambda: session.stack.crowd_disk(target.broker, percent),
        seen=seen,
        undo=lambda: session.stack.free_disk(target.broker),
        within_s=within_s,
    )


def _used_percent(session: Session, broker: int) -> float:
    wire = WireClient(session.stack.internal_client_config())
    address = next(o.address for o in session.stack.listeners() if o.broker == broker and o.name == "internal")
    try:
        return max((disk.used_percent for disk in disks(wire, address)), default=0.0)
    except OSError:
        return 0.0
    finally:
        wire.close()


@healing
def clear_crowded_disks() -> int:
    """Take away what crowds the brokers' disks."""
    return current().undo("disk-usage")


@fault(rollback="renew_ending_certificates")
def let_certificate_end_soon(role: str = "follower", days: float = 20.0) -> FaultRecord:
    """Let a running broker serve a certificate that ends soon. Rollback: renew_ending_certificates.

    Args:
        role: which broker.
        days: in how many.
    """
    session = current()
    target = resolve(session, role)
    info = brokers.info(session, target.broker)
    serial = 0

    def do() -> None:
        nonlocal serial
        serial = session.stack.reload_certificate(target.broker, validity_days=days)

    def seen() -> str:
        shown = served_at(f"{info.host}:{info.external_port}")
        if shown is None or shown.serial_number != serial:
            return ""
        return f"clients are shown a certificate that ends at {shown.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"

    return session.inject(
        "certificate-ending",
        target.words,
        do=do,
        seen=seen,
        undo=lambda: _renew(session, target.broker),
    )


def _renew(session: Session, broker: int) -> None:
    session.stack.reload_certificate(broker)


@healing
def renew_ending_certificates() -> int:
    """Let brokers serve certificates of the usual length again."""
    return current().undo("certificate-ending")
