"""Certificates of all listeners, before and after a change, as rows of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from necp_validate.chaos.session import Session, now_us
from necp_validate.record.drills import CertificateSwap
from necp_validate.stack.served import served_by

Served = Mapping[str, x509.Certificate | None]
"""What a broker serves, by listener."""


@dataclass(frozen=True, slots=True)
class Before:
    """A broker as it was before the change.

    Args:
        served: its certificates.
        pid: its process; 0 where it cannot be seen.
    """

    served: Served
    pid: int


def look(session: Session, brokers: list[int]) -> dict[int, Before]:
    """What brokers serve now, and as which process."""
    listeners = session.stack.listeners()
    return {broker: Before(served_by(listeners, broker), pid_of(session, broker)) for broker in brokers}


def pid_of(session: Session, broker: int) -> int:
    """A broker's process; 0 where it cannot be seen."""
    return next((one.pid or 0 for one in session.stack.brokers() if one.id == broker), 0)


def rows(
    session: Session, how: str, before: Mapping[int, Before], issued: Mapping[int, int], asked_us: int
) -> list[CertificateSwap]:
    """A row for every listener of every broker, as it is now.

    Args:
        session: of the run.
        how: what changed them, see `CertificateSwap`.
        before: as it was.
        issued: by broker, the serial number that is to be served; a broker without one was not given any.
        asked_us: when the change was asked for.
    """
    found = []
    for broker, old in before.items():
        pid, now = pid_of(session, broker), served_by(session.stack.listeners(), broker)
        wanted = issued.get(broker)
        for listener, cert in now.items():
            was = old.served.get(listener)
            there = cert is not None and cert.serial_number == wanted
            found.append(
                CertificateSwap(
                    fault="",
                    how=how,
                    broker=broker,
                    listener=listener,
                    before=_hex(was),
                    issued="" if wanted is None else f"{wanted:x}",
                    served=_hex(cert),
                    valid_until_us=0 if cert is None else round(cert.not_valid_after_utc.timestamp() * 1e6),
                    pid_before=old.pid,
                    pid_after=pid,
                    asked_us=asked_us,
                    served_us=now_us() if there else None,
                )
            )
    return found


def summary(swaps: list[CertificateSwap]) -> str:
    """What shows that every listener serves what it should; nothing yet if one does not."""
    if not swaps or any(one.served_us is None for one in swaps):
        return ""
    brokers = len({one.broker for one in swaps})
    same = all(one.pid_before == one.pid_after for one in swaps)
    return f"{len(swaps)} listeners of {brokers} brokers serve new certificates" + (
        ", their processes are the same" if same else "; NOT all of their processes are the same"
    )


def _hex(cert: x509.Certificate | None) -> str:
    return "" if cert is None else f"{cert.serial_number:x}"
