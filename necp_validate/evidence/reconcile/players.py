"""What a process of players counted in all, second by second, by transport and in histograms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from necp_validate.evidence.reconcile.discrepancy import Discrepancy
from necp_validate.record import PlayersRecord, Record

_FILE = "history/players-*.json"

_RESULTS = ("processed", "rejected", "dead_lettered")
"""How an action ends of which the event core's outcome came."""


def players_add_up(history: Record) -> Iterator[Discrepancy]:
    """What a process of players counted in all is what it counted second by second, by transport and in histograms."""
    for record in history.players:
        rows = [row for row in history.players_timeline if row.worker == record.worker]
        totals = of_process(record)
        for name, total in totals.items() if rows else ():
            seconds = sum(getattr(row, name) for row in rows)
            if total is not None and seconds != total:
                yield Discrepancy(
                    where=f"players {record.worker}",
                    detail=f"{total:,} {name} ({_FILE}), {seconds:,} in the rows (history/players-timeline-*.csv)",
                    parts=("players", "players_timeline"),
                    count=abs(seconds - total),
                )
        ended, sent = sum(sum(ends.values()) for ends in record.actions.values()), totals["actions"]
        if sent is not None and ended != sent:
            detail = f"{sent:,} actions by transport, {ended:,} by their ends ({_FILE})"
            yield Discrepancy(
                where=f"players {record.worker}", detail=detail, parts=("players",), count=abs(ended - sent)
            )
    yield from _latencies_of_players(history)


def of_process(record: PlayersRecord) -> dict[str, int | None]:
    """What the rows of a process must add up to, by column."""
    ends: dict[str, int] = defaultdict(int)
    for of_kind in record.actions.values():
        for end, count in of_kind.items():
            ends[end] += count
    by_udp, by_message = record.actions_by_datagram, record.actions_by_message
    state = record.state
    return {
        **{name: getattr(state, name) for name in ("datagrams", "full_bytes", "changes", "checks", "divergences")},
        "bytes_in": state.bytes,
        "actions": None if by_udp is None or by_message is None else by_udp + by_message,
        "ended": sum(ends[end] for end in _RESULTS),
        "refused": sum(ends[end] for end in ("rate_limited", "invalid", "unavailable")),
        "logins": record.sessions.logins,
        "broken": record.sessions.broken,
    }


def _latencies_of_players(history: Record) -> Iterator[Discrepancy]:
    """Every action that was sent, and every result that came, has its latency; every login, too."""
    values: dict[tuple[str, str], int] = defaultdict(int)
    for (_, what, kind), histogram in history.players_latency.items():
        values[kind, what] += histogram.total + histogram.negative
    if not values:  # missing, not wrong
        return
    due: dict[tuple[str, str], int] = defaultdict(int)
    for record in history.players:
        due["login", "login"] += record.sessions.logins or 0
        for kind, ends in record.actions.items():
            due["late", kind] += sum(ends.values())
            due["result", kind] += sum(ends.get(end, 0) for end in _RESULTS)
    for kind, what in sorted(due):
        found, wanted = values[kind, what], due[kind, what]
        if found != wanted:
            yield Discrepancy(
                where=f"{what} ({kind})",
                detail=f"{wanted:,} counted ({_FILE}), {found:,} latencies (history/players-latency-*.npz)",
                parts=("players", "players_latency"),
                count=abs(found - wanted),
            )
