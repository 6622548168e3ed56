"""Checks of what the players saw: state, neighbourhood, chat, the end of every action, limits, and interruptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.recovery import span_of
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EXPLAINING_FAULTS, PLAYERS, PLAYERS_TIMELINE, SHARE_COVERED
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import PLAYERS as PLAYERS_SUBJECT
from necp_validate.record import (
    FaultRecord,
    Interruption,
    PlayersRecord,
    PlayersRow,
    Record,
)

_SLOWEST_TICK_US = 1_000_000
GATEWAY_FAULT = "gateway-"
"""How the kinds of faults begin that the gateway, or its network, suffers."""

_AFTERMATH_S = 15.0
"""So long after a fault, a connection that it cut may be found to be broken."""

_TICK_TOLERANCE = 0.1


def need_players(history: Record) -> tuple[PlayersRecord, ...]:
    """The records of the players.

    Raises:
        NoEvidence: there are none.
    """
    if not history.players:
        what = "the players left no record" if PLAYERS_SUBJECT.there(history) else "no players took part"
        raise NoEvidence(what)
    return history.players


def gateway_faults(history: Record) -> list[FaultRecord]:
    """Faults of the gateway or of the players' network that were seen to take effect."""
    return [
        fault for fault in history.faults if fault.kind.startswith(GATEWAY_FAULT) and fault.effective_us is not None
    ]


def fault_at(history: Record, at_us: int) -> FaultRecord | None:
    """The gateway's fault that was in force at a time, or shortly before."""
    for fault in gateway_faults(history):
        _, end_us = span_of(history, fault)
        if fault.begin_us <= at_us <= end_us + _AFTERMATH_S * 1e6:
            return fault
    return None


def fault_behind(history: Record, one: Interruption) -> FaultRecord | None:
    """The gateway's fault that explains an interruption.

    A silence begins with the last state that came, which is up to a tick before whatever silenced the gateway.
    """
    tick_us = _SLOWEST_TICK_US if one.how == "silent" else 0
    return fault_at(history, one.lost_us) or fault_at(history, one.lost_us + tick_us)


def _add_with_examples(
    anomalies: Anomalies, counts: Sequence[tuple[int, str]], worker: str, examples: Iterable[str] = ()
) -> None:
    first = next(iter(examples), "")
    for count, words in counts:
        anomalies.add(count, f"players {worker}", f"{count:,} {words}{f'; {first}' if first else ''}")


@check("state-divergence", PLAYERS_SUBJECT, PLAYERS, limits=("least_comparisons",))
def state_divergence(history: Record) -> Finding:
    """Cells that a player put together from deltas and that were not what the gateway had."""
    anomalies = Anomalies("state-divergence", history)
    checks = lost = 0
    for record in need_players(history):
        state = record.state
        checks += state.checks
        lost += state.lost
        wrong = (
            (state.divergences, "cells with another checksum than the gateway's"),
            (state.missing_base, "deltas to a state that the player was never given"),
        )
        _add_with_examples(anomalies, wrong, record.worker, state.examples)
    least = limit(history, "least_comparisons")
    if checks < least and not anomalies.count:
        raise NoEvidence(f"{checks:,} checksums were compared; {least:,.0f} are the least")
    return anomalies.finding(
        clean=f"all {checks:,} checksums compared were the gateway's, {lost:,} lost datagrams included",
        found=f"{{count}} of {checks:,} cells that players put together were not what the gateway had",
        measured=f"{{count}} of {checks:,} checksums wrong",
        sees=f"1 wrong cell of {checks:,} compared",
    )


@check("interest-violation", PLAYERS_SUBJECT, PLAYERS, limits=("least_comparisons",))
def interest_violation(history: Record) -> Finding:
    """Players who did not see somebody near, or saw somebody far: each view against everybody's own position."""
    anomalies = Anomalies("interest-violation", history)
    expected = others = views = 0
    for record in need_players(history):
        seen = record.interest
        expected, others, views = expected + seen.expected, others + seen.others, views + seen.views
        wrong = (
            (seen.missing, "players near by were not shown"),
            (seen.different, "players were shown in another state than theirs"),
            (seen.outside, "entities were shown where they were not, or beyond the neighbourhood"),
        )
        _add_with_examples(anomalies, wrong, record.worker, seen.examples)
    least = limit(history, "least_comparisons")
    if not anomalies.count and min(expected, others) < least:
        inside = f"{expected:,} players inside and {others:,} outside of {views:,} views"
        raise NoEvidence(f"{inside}; {least:,.0f} of both are the least")
    return anomalies.finding(
        clean=f"in {views:,} views, all {expected:,} players near by and none of {others:,} further off were shown",
        found=f"{{count}} times in {views:,} views, a player near by was not shown, or one far off was",
        measured=f"{{count}} violations in {views:,} views",
        sees=f"1 player wrongly shown or missing, of {expected:,} near by and {others:,} further off",
    )


@check("chat-order", PLAYERS_SUBJECT, PLAYERS)
def chat_order(history: Record) -> Finding:
    """Chat that came after a later message of its channel, or that its own sender was never shown."""
    anomalies = Anomalies("chat-order", history)
    messages = repeated = 0
    for record in need_players(history):
        chat = record.chat
        messages, repeated = messages + chat.messages, repeated + chat.repeated
        wrong = (
            (chat.disordered, "messages came after a later one of their channel"),
            (chat.undelivered, "processed messages were not shown to their sender"),
        )
        _add_with_examples(anomalies, wrong, record.worker, chat.examples)
    if not messages and not anomalies.count:
        raise NoEvidence("no chat was delivered")
    again = f"; {repeated:,} came again, as the core may handle chat more than once" if repeated else ""
    return anomalies.finding(
        clean=f"{messages:,} chat messages came in the order of their channels{again}",
        found=f"{{count}} of {messages:,} chat messages out of order or not shown{again}",
        sees=f"1 of {messages:,} messages",
    )


@check("batch-size", PLAYERS_SUBJECT, PLAYERS)
def batch_size(history: Record) -> Finding:
    """Datagrams with more changes than a batch may have."""
    anomalies = Anomalies("batch-size", history)
    largest, allowed = 0, 0
    for record in need_players(history):
        allowed = round(record.limits.get("batch", 0))
        if not allowed or not record.state.datagrams:
            raise NoEvidence("no state came, or nobody said how large a batch may be")
        largest = max(largest, record.state.largest_batch)
        over = int(record.state.largest_batch > allowed)
        anomalies.add(over, f"players {record.worker}", f"{record.state.largest_batch} changes in one datagram")
    return anomalies.finding(
        clean=f"no datagram had more than {largest} changes ({allowed} are allowed)",
        found=f"a datagram had {largest} changes; {allowed} are allowed",
        sees=f"1 datagram with more than {allowed} changes",
    )


@check("tick-bounds", PLAYERS_SUBJECT, PLAYERS, PLAYERS_TIMELINE, EXPLAINING_FAULTS)
def tick_bounds(history: Record) -> Finding:
    """Seconds in which the gateway's tick was faster or slower than it may be, outside of its faults."""
    anomalies = Anomalies("tick-bounds", history)
    need_players(history)
    rows = ticking_rows(history)
    limits = history.players[0].limits
    low_hz, high_hz = limits.get("tick_min_hz", 0.0), limits.get("tick_max_hz", 0.0)
    if not rows or not high_hz:
        raise NoEvidence("no tick rate was recorded, or nobody said how it is bounded")
    rates = [row.tick_hz for row in rows if row.tick_hz is not None]
    played = len(_played_rows(history))
    if len(rows) < SHARE_COVERED * played:
        anomalies.doubt("tick rate", f"known of {len(rows):,} of {played:,} seconds with players")
    for row in rows:
        rate = row.tick_hz or 0.0
        # A row's second begins and ends within a tick.
        if not low_hz * (1 - _TICK_TOLERANCE) - 1 <= rate <= high_hz * (1 + _TICK_TOLERANCE) + 1:
            anomalies.add(1, f"second {row.t:.0f}", f"{rate:.1f} ticks a second")
    return anomalies.finding(
        clean=f"{min(rates):.1f} to {max(rates):.1f} ticks a second in {len(rows):,} seconds "
        f"({low_hz:g} to {high_hz:g} are allowed)",
        found=f"{{count}} of {len(rows):,} seconds outside of {low_hz:g} to {high_hz:g} ticks a second",
        sees="1 second outside of the bounds",
    )


def ticking_rows(history: Record) -> list[PlayersRow]:
    """The rows of the first process that have a tick rate, outside of the gateway's faults."""
    return [row for row in _played_rows(history) if row.tick_hz is not None]


def _played_rows(history: Record) -> list[PlayersRow]:
    """The rows of the first process in which somebody was online, outside of the gateway's faults."""
    first = min((row.worker for row in history.players_timeline), default="")
    return [
        row
        for row in history.players_timeline
        if row.worker == first
        and row.online
        and fault_at(history, round((row.t - 1) * 1e6)) is None
        and fault_at(history, round(row.t * 1e6)) is None
    ]
