"""What a process of players counted in all, second by second, by transport and in histograms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.reconcile.discrepancy import Discrepancy
from necp_validate.record import PlayersRecord, Record

_FILE = "history/players-*.json"

RESULTS = ("processed", "rejected", "dead_lettered")
"""How an action ends of which the event core's outcome came."""


def players_add_up(history: Record) -> Iterator[Discrepancy]:
    """What a process of players counted in all is what it counted second by second, by transport and in histograms."""
    for record in history.players:
        rows = [row for row in history.players_timeline if row.worker == record.worker]
        totals = of_process(record)
        for name, total in totals.items() if rows else ():
            seconds = sum(getattr(row, name) for row in rows)
            if seconds != total:
                yield Discrepancy(
                    where=f"players {record.worker}",
                    detail=f"{total:,} {name} ({_FILE}), {seconds:,} in the rows (history/players-timeline-*.csv)",
                    parts=("players", "players_timeline"),
                    count=abs(seconds - total),
                )
        ended, sent = sum(sum(ends.values()) for ends in record.actions.values()), totals["actions"]
        if ended != sent:
            detail = f"{sent:,} actions by transport, {ended:,} by their ends ({_FILE})"
            yield Discrepancy(
                where=f"players {record.worker}", detail=detail, parts=("players",), count=abs(ended - sent)
            )
    yield from _latencies_of_players(history)


def of_process(record: PlayersRecord) -> dict[str, int]:
    """What the rows of a process must add up to, by column.

    Raises:
        NoEvidence: a count was not recorded.
    """
    ends: dict[str, int] = defaultdict(int)
    for of_kind in record.actions.values():
        for end, count in of_kind.items():
            ends[end] += count
    sessions, state = record.sessions, record.state
    counted = {
        "by_datagram": record.actions_by_datagram,
        "by_message": record.actions_by_message,
        "logins": sessions.logins,
        "broken": sessions.broken,
    }
    if missing := [name for name, count in counted.items() if count is None]:
        raise NoEvidence(f"{', '.join(missing)} was not recorded in history/players-{record.worker}.json")
    known = {name: count or 0 for name, count in counted.items()}
    return {
        **{name: getattr(state, name) for name in ("datagrams", "full_bytes", "changes", "checks", "divergences")},
        "bytes_in": state.bytes,
        "actions": known["by_datagram"] + known["by_message"],
        "ended": sum(ends[end] for end in RESULTS),
        "refused": sum(ends[end] for end in ("rate_limited", "invalid", "unavailable")),
        "logins": known["logins"],
        "broken": known["broken"],
    }


def _latencies_of_players(history: Record) -> Iterator[Discrepancy]:
    """Every action that was sent, and every result that came, has its latency; every login, too."""
    values: dict[tuple[str, str], int] = defaultdict(int)
    for (_, what, kind), histogram in history.players_latency.items():
        values[kind, what] += histogram.values
    due: dict[tuple[str, str], int] = defaultdict(int)
    for record in history.players:
        due["login", "login"] += record.sessions.logins or 0
        for kind, ends in record.actions.items():
            due["late", kind] += sum(ends.values())
            due["result", kind] += sum(ends.get(end, 0) for end in RESULTS)
    if not values and any(due.values()):
        raise NoEvidence("no latencies were recorded (history/players-latency-*.npz)")
    for kind, what in sorted(due):
        found, wanted = values[kind, what], due[kind, what]
        if found != wanted:
            yield Discrepancy(
                where=f"{what} ({kind})",
                detail=f"{wanted:,} counted ({_FILE}), {found:,} latencies (history/players-latency-*.npz)",
                parts=("players", "players_latency"),
                count=abs(found - wanted),
            )
