"""Certificates that are changed under load, without a restart."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from necp_validate.chaos import swaps
from necp_validate.chaos.admission import admitted
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import Session, current, now_us
from necp_validate.core import StackError
from necp_validate.record import parts
from necp_validate.record.drills import CertificateSwap
from necp_validate.record.faults import FaultRecord
from necp_validate.stack.private import write_private
from necp_validate.stack.served import served_by

_DAY_S = 86_400.0
_KINDS = ("certificate-reload", "certificate-expiring", "ca-rollover")


@fault(rollback="settle_certificates")
def reload_certificates(within_s: float = 30.0) -> FaultRecord:
    """Give every running broker a new certificate in turn, loaded without a restart. Rollback: settle_certificates.

    Seen when every listener, the controllers' included, shows the new certificate to whoever connects.

    Args:
        within_s: how long that may take after the last broker was told.
    """
    session = current()
    before, issued = swaps.look(session, _running(session)), dict[int, int]()

    def do() -> None:
        for broker in before:
            issued[broker] = session.stack.reload_certificate(broker)

    return _changed(session, "certificate-reload", "every broker", "reload", before, issued, do, within_s=within_s)


@fault(rollback="settle_certificates")
def expiring_certificate(role: str = "random", valid_s: float = 30.0, within_s: float = 30.0) -> FaultRecord:
    """Let a broker serve a certificate of a short life, and see it renewed by itself. Rollback: settle_certificates.

    Nobody asks for the renewal: the stack's own renewer finds the certificate due when a third of its life is over.

    Args:
        role: which broker.
        valid_s: how long the certificate is valid.
        within_s: how long until another one is served.
    """
    session = current()
    target = resolve(session, role)
    (before,) = swaps.look(session, [target.broker]).values()
    short: dict[int, int] = {}
    issued_us = now_us()
    last: list[CertificateSwap] = []

    def do() -> None:
        nonlocal issued_us
        short[target.broker] = session.stack.reload_certificate(target.broker, validity_days=valid_s / _DAY_S)
        issued_us = now_us()
        if not session.until(serves_short, within_s):
            raise StackError(f"{target.words} does not serve the certificate of {valid_s:g} s")

    def serves_short() -> str:
        # Looked at once: a second look may already find it renewed.
        nonlocal before
        (now,) = swaps.look(session, [target.broker]).values()
        serials = {cert and cert.serial_number for cert in now.served.values()}
        if serials != set(short.values()):
            return ""
        before = replace(now, pid=before.pid)
        return f"every listener of {target.words} serves it"

    def seen() -> str:
        served = served_by(session.stack.listeners(), target.broker).values()
        serials = {cert.serial_number for cert in served if cert is not None} - set(short.values())
        new = dict.fromkeys([target.broker], serials.pop()) if len(serials) == 1 else {}
        last[:] = swaps.rows(session, "renewal", {target.broker: before}, new, issued_us)
        if not swaps.summary(last):
            return ""
        after_s = (now_us() - issued_us) / 1e6
        return f"a certificate of {valid_s:g} s was renewed by itself {after_s:.1f} s after it was served"

    undo = _lasting(session, target.broker)
    record = session.inject("certificate-expiring", target.words, do=do, seen=seen, undo=undo, within_s=within_s)
    parts.CERTIFICATE_SWAPS.append(session.run_dir, *(replace(row, fault=record.id) for row in last))
    return record


@fault(rollback="settle_certificates")
def roll_authority(within_s: float = 40.0) -> FaultRecord:
    """Let the next authority take the place of the one that issues, without a restart. Rollback: settle_certificates.

    Seen when every listener shows a certificate of the new one, and the listener between brokers refuses a client's
    certificate of the old one. Controllers trust that until each broker has been started again: Kafka does not reload
    what they show each other.

    Args:
        within_s: how long that may take after the last broker was told.
    """
    session = current()
    before, issued = swaps.look(session, _running(session)), dict[int, int]()
    internal = [one.address for one in session.stack.listeners() if one.name == "internal"]
    with TemporaryDirectory(prefix="necp-old-") as folder:
        config = session.stack.internal_client_config()
        old = [Path(folder) / "cert.pem", Path(folder) / "key.pem"]
        for path, key in zip(old, ("ssl.certificate.location", "ssl.key.location"), strict=True):
            write_private(path, Path(config[key]).read_bytes())

        def do() -> None:
            issued.update(session.stack.roll_authority())

        def refused() -> str:
            now = session.stack.internal_client_config()
            ca = Path(now["ssl.ca.location"])
            new = Path(now["ssl.certificate.location"]), Path(now["ssl.key.location"])
            for address in internal:
                if admitted(address, ca, *old) or not admitted(address, ca, *new):
                    return ""
            return f"; {len(internal)} brokers refuse a certificate of the old authority, and take one of the new"

        return _changed(
            session, "ca-rollover", "every broker", "rollover", before, issued, do, refused, within_s=within_s
        )


@healing
def settle_certificates() -> int:
    """Mark the end of what was done to certificates; the new ones stay."""
    return current().undo(*_KINDS)


def _changed(
    session: Session,
    kind: str,
    target: str,
    how: str,
    before: dict[int, swaps.Before],
    issued: dict[int, int],
    do: Callable[[], None],
    also: Callable[[], str] | None = None,
    *,
    within_s: float,
) -> FaultRecord:
    """Inject a change of all certificates, and take down what every listener serves in the end."""
    begin_us = now_us()
    last: list[CertificateSwap] = []

    def seen() -> str:
        last[:] = swaps.rows(session, how, before, issued, begin_us)
        said = swaps.summary(last)
        more = also() if said and also is not None else ""
        return "" if also is not None and not more else said + more

    record = session.inject(kind, target, do=do, seen=seen, undo=lambda: None, within_s=within_s)
    parts.CERTIFICATE_SWAPS.append(session.run_dir, *(replace(row, fault=record.id) for row in last))
    return record


def _lasting(session: Session, broker: int) -> Callable[[], None]:
    """A way back from a certificate that is about to end: another one, if it is still served."""

    def undo() -> None:
        if broker not in _running(session):
            return
        served = served_by(session.stack.listeners(), broker).values()
        soon = datetime.now(UTC) + timedelta(days=1)
        if any(cert is not None and cert.not_valid_after_utc < soon for cert in served):
            session.stack.reload_certificate(broker)

    return undo


def _running(session: Session) -> list[int]:
    return [one.id for one in session.stack.brokers() if session.stack.broker_alive(one.id)]
