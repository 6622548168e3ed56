"""Checks of the real-time gateway: both transports, its settings, its adaptive tick; and structures in memory."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from statistics import median

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.players.players import need_players, ticking_rows
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.inventory import EXPLAINING_FAULTS, PLAYERS, PLAYERS_TIMELINE
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import PLAYERS as PLAYERS_SUBJECT
from necp_validate.record import PlayersRecord, PlayersRow, Record, parts

FALLEN = 0.8
"""A tick has fallen when it is at most this share of what it was."""

RETURNED = 0.9
_ROWS_OF_A_LEVEL = 3
"""So many seconds in a row make a level of the tick rate: a single one may be the host's."""


_CLAIMED = {"grid_told": "gateway_grid", "batch": "gateway_batch", "per_minute": "gateway_per_minute"}
"""By what the gateway says of itself, the name of the limit."""


@check("gateway-transport", PLAYERS_SUBJECT, PLAYERS)
def gateway_transport(history: Record) -> Finding:
    """Sessions that got no state by UDP; both transports must carry, to every player."""
    records = need_players(history)
    state = sum(record.state.datagrams for record in records)
    messages = _in_all(records, "messages")
    by_udp, by_ws = _in_all(records, "actions_by_datagram"), _in_all(records, "actions_by_message")
    used = (
        f"{state:,} datagrams of state, {messages:,} messages, {by_udp:,} actions by datagram, {by_ws:,} by WebSocket"
    )
    anomalies = Anomalies("gateway-transport", history)
    for record in records:
        without = recorded(record.sessions.without_state, "sessions.without_state", parts.PLAYERS, record.worker)
        anomalies.add(without, f"players {record.worker}", f"{without:,} sessions got no state by UDP")
    if not (state and messages and by_udp and by_ws):
        anomalies.doubt("both transports", "one of them was not used")
    logins = _in_all(records, "sessions.logins")
    return anomalies.finding(
        clean=f"{used}, {logins:,} logins",
        found=f"{{count}} of {logins:,} sessions got no state by UDP ({used})",
        measured=f"{state:,} datagrams with state, {messages:,} messages",
        sees=f"1 of {logins:,} sessions without state",
    )


def _in_all(records: Sequence[PlayersRecord], field: str) -> int:
    """A count of sessions or of a transport, over all processes of players."""
    count = attrgetter(field)
    return sum(recorded(count(record), field, parts.PLAYERS, record.worker) for record in records)


@check(
    "gateway-settings",
    PLAYERS_SUBJECT,
    PLAYERS,
    limits=("gateway_grid", "gateway_batch", "gateway_per_minute"),
)
def gateway_settings(history: Record) -> Finding:
    """Settings of the gateway that are not the claimed ones: then the run is no evidence for claims about them."""
    name = "gateway-settings"
    wrong = []
    for record in need_players(history):
        for key, limit_name in _CLAIMED.items():
            found, claimed = record.limits.get(key), limit(history, limit_name)
            if found is None:
                raise NoEvidence(f"{key} was not recorded in history/players-{record.worker}.json: limits")
            if found != claimed:
                wrong.append(f"{limit_name} is {found:g}, claimed {claimed:g}")
    if wrong:
        return not_applicable(name, f"the gateway is not set as claimed: {'; '.join(dict.fromkeys(wrong))}")
    summary = "grid, batch and request limit of the gateway are as claimed"
    return Finding(name=name, verdict=Verdict.PASS, count=0, summary=summary)


@check("datagrams-lost", PLAYERS_SUBJECT, PLAYERS)
def datagrams_lost(history: Record) -> Finding:
    """Whether any datagram was lost: without one, nothing is known of deltas after a loss."""
    states = [record.state for record in need_players(history)]
    lost = sum(state.lost for state in states)
    sent, full = sum(state.bytes for state in states), sum(state.full_bytes for state in states)
    saved = (
        f"{100 * (1 - sent / full):.0f}% of {full / 1e6:,.1f} MB saved against full snapshots"
        if full
        else "no saving known"
    )
    if not lost:
        why = f"no datagram was lost, so nothing is known of deltas after a loss ({saved})"
        return not_applicable("datagrams-lost", why)
    summary = f"{lost:,} datagrams lost; {saved}"
    return Finding(name="datagrams-lost", verdict=Verdict.PASS, count=0, summary=summary, measured=saved)


@check("fewer-datagrams", PLAYERS_SUBJECT, PLAYERS)
def fewer_datagrams(history: Record) -> Finding:
    """More datagrams than changes in them: then nothing was batched."""
    states = [record.state for record in need_players(history)]
    changes, sends = sum(state.changes for state in states), sum(state.datagrams for state in states)
    if not changes:
        raise NoEvidence("no change came in any datagram")
    anomalies = Anomalies("fewer-datagrams", history)
    words = f"{changes:,} changes in {sends:,} datagrams"
    anomalies.add(max(sends - changes + 1, 0), "all players", words)
    return anomalies.finding(clean=words, found=words, measured=words, sees="one change in each datagram")


@check("adaptive-tick", PLAYERS_SUBJECT, PLAYERS_TIMELINE, EXPLAINING_FAULTS)
def adaptive_tick(history: Record) -> Finding:
    """A tick rate that falls under load and does not return when it is over, as the players count ticks."""
    need_players(history)
    rows = ticking_rows(history)
    levels = _levels(rows)
    if not levels:
        return not_applicable("adaptive-tick", "the run was too short to see the tick rate change")
    lowest = min(range(len(levels)), key=lambda at: levels[at])
    before, after, least = max(levels[: lowest + 1]), max(levels[lowest:]), levels[lowest]
    measured = f"{before:.1f} → {least:.1f} → {after:.1f} ticks/s"
    players = [row.online for row in rows]
    text = f"{measured} with {min(players):,} to {max(players):,} players"
    at_lowest = rows[lowest + _ROWS_OF_A_LEVEL // 2]
    if least > before * FALLEN:
        return not_applicable("adaptive-tick", f"the load never made the tick fall ({text})")
    returned = after >= before * RETURNED
    if not returned and not _eased(history, at_lowest):
        why = f"the load was not taken away for long enough after the lowest tick ({text})"
        return not_applicable("adaptive-tick", why)
    return Finding(
        name="adaptive-tick",
        verdict=Verdict.PASS if returned else Verdict.FAIL,
        count=int(not returned),
        summary=text if returned else f"the tick did not return ({text})",
        measured=measured,
        phase=at_lowest.phase,
        sees=f"a tick below {RETURNED:.0%} of what it was, {_ROWS_OF_A_LEVEL} s in a row" if returned else "",
    )


def _levels(rows: list[PlayersRow]) -> list[float]:
    rates = [row.tick_hz or 0.0 for row in rows]
    return [median(rates[at : at + _ROWS_OF_A_LEVEL]) for at in range(len(rates) - _ROWS_OF_A_LEVEL + 1)]


def _eased(history: Record, lowest: PlayersRow) -> bool:
    """Whether, after the lowest tick, there were ten seconds with at most half as many players."""
    calm = [row for row in ticking_rows(history) if row.t > lowest.t and row.online <= lowest.online / 2]
    return len(calm) >= 10
