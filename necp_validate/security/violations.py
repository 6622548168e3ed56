"""Refusals in brokers' logs, and their entries in the audit trail, in terms in which the two can be compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from necp_validate.record.audit import Covered, TrailSighting
from necp_validate.security.trail import Entry

Violation = tuple[str, ...]
"""Kind, time in milliseconds, then who or where: comparable, and readable by a person."""

_LINE = re.compile(
    r"^(?P<at>\S+) .*(?:"
    r"SocketServer [^\]]*nodeId=(?P<node>\d+)\] (?:Failed .*authentication with|Unexpected error from) "
    r".*?channelId=\S+?-(?P<peer>\S+:\d+)-\d+-\d+\)"
    r"|kafka\.authorizer\.logger - Principal = User:(?P<user>.+) is Denied operation = (?P<operation>\S+) "
    r"from host = (?P<host>\S+) on resource = (?P<kind>\w+):\w+:(?P<name>.+) for request)"
)
_EXAMPLES = 10


def violation_of(line: str) -> Violation | None:
    """What a line of a broker's log says was refused; None if nothing."""
    match = _LINE.search(line)
    if match is None:
        return None
    at_ms = str(round(datetime.fromisoformat(match["at"]).timestamp() * 1000))
    if match["node"] is not None:
        return ("authentication", at_ms, f"broker-{match['node']}", match["peer"])
    resource = f"{match['kind']}:{match['name']}"
    return ("authorization", at_ms, match["user"][:40], match["operation"], resource[:120], match["host"])


def violation_in(entry: Entry) -> Violation:
    """The same of an entry in the trail that was made from such a line."""
    at_ms, source = str(round(entry.at_us / 1000)), entry.source or ""
    if entry.action.startswith("AUTHENTICATE"):
        return ("authentication", at_ms, entry.resource.partition(":")[0], source)
    return ("authorization", at_ms, entry.actor, entry.action, entry.resource, source)


def covered(lines: Iterable[str], entries: Iterable[Entry], *, servers: Iterable[str]) -> Covered:
    """Whether each refusal in these lines has an entry of its own.

    Args:
        lines: of brokers' logs.
        entries: of the trail, each event once.
        servers: keys of the collectors' events; nobody else's count.
    """
    due = Counter(violation for line in lines if (violation := violation_of(line)) is not None)
    known = set(servers)
    there = Counter(violation_in(one) for one in entries if one.server in known and one.decision == "denied")
    missing = due - there
    examples = [
        TrailSighting(kind="violation", where=one[0], detail=" ".join(one[1:])) for one in sorted(missing)[:_EXAMPLES]
    ]
    return Covered(due=due.total(), missing=missing.total(), examples=tuple(examples))
