"""What a broker's log line says of a refusal, as an audit event."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

from necp_validate.events.system import AuditV2

UNKNOWN_ACTOR: Final = "unauthenticated"
"""Who failed to authenticate; brokers do not log who it claimed to be."""

_TIME: Final = r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4})"
_THREAD: Final = r"\[(?P<thread>[^\]]*)\]"
# Of the server's sockets alone: brokers are clients, too, and log what others refuse them.
_FAILED: Final = re.compile(
    rf"{_TIME} {_THREAD} \w+ \S+\.Selector - \[SocketServer [^\]]*nodeId=(?P<broker>\d+)\] "
    r"(?P<what>Failed (?:\w+ )?(?:re-)?authentication|Unexpected error) (?:with|from) \S+ "
    r"\(channelId=\S+:\d+-(?P<source>\S+:\d+)-\d+-\d+\)(?P<why>.*)"
)
_DENIED: Final = re.compile(
    rf"{_TIME} {_THREAD} \w+ kafka\.authorizer\.logger - Principal = User:(?P<principal>.+) is Denied "
    r"operation = (?P<operation>\w+) from host = (?P<host>\S+) "
    r"on resource = (?P<kind>\w+):\w+:(?P<name>.+) for request"
)
_LISTENER: Final = re.compile(r"-([A-Z]+)-(?:SASL_)?(?:SSL|PLAINTEXT)-\d+$")


class Noted(NamedTuple):
    """A refusal that a broker has logged.

    Args:
        kind: ``authentication`` or ``authorization``.
        at_us: when (epoch, microseconds; brokers log milliseconds).
        event: the audit event.
    """

    kind: str
    at_us: int
    event: AuditV2


def read_line(line: str) -> Noted | None:
    """Read one line of a broker's log; None if it is about nothing that was refused."""
    if (match := _DENIED.search(line)) is not None:
        return Noted(
            "authorization",
            _epoch_us(match["time"]),
            _denied(match["principal"], match["operation"], f"{match['kind']}:{match['name']}", match["host"]),
        )
    if (match := _FAILED.search(line)) is not None:
        listener = _LISTENER.search(match["thread"])
        place = f"broker-{match['broker']}:{listener[1] if listener else '?'}"
        why = match["why"].strip(" ();") or "no reason given"
        what = f"AUTHENTICATE: {why if match['what'] != 'Unexpected error' else match['what']}"
        return Noted("authentication", _epoch_us(match["time"]), _denied(UNKNOWN_ACTOR, what, place, match["source"]))
    return None


def _denied(actor: str, action: str, resource: str, source: str) -> AuditV2:
    return AuditV2(
        actor=actor[:40],
        action=action[:120],
        resource=resource[:120],
        decision="denied",
        severity="warning",
        source=source[:64],
    )


def _epoch_us(text: str) -> int:
    when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    return round(when.timestamp() * 1_000) * 1_000
