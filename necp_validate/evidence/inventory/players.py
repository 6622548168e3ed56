"""What is due of players."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from necp_validate.evidence import subjects
from necp_validate.evidence.inventory.counting import (
    GATEWAY_EVERY_S,
    Asked,
    Evidence,
    Holding,
    disturbed,
    named,
    present,
    sampled,
    undisturbed,
)
from necp_validate.evidence.load_workers import expected_players
from necp_validate.record import LAYOUTS, Phase, Record

_FILE = "history/players-*.json"


def processes(history: Record) -> Holding:
    """The records that players' processes owe."""
    due = max(expected_players(history), 1)
    return Holding(what="records of players' processes", due=due, found=len(history.players), file=_FILE)


def _players(history: Record, _: Asked) -> Iterator[Holding]:
    yield processes(history)
    if most := max((_due_online(history, phase) for phase in history.phases), default=0):
        found = min(sum(one.players for one in history.players), most)
        yield Holding(what="players who were online at once", due=most, found=found, file=_FILE)


def _players_timeline(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _players(history, asked)
    series = {
        one.worker: [row.t for row in history.players_timeline if row.worker == one.worker] for one in history.players
    }
    excused = disturbed(history)
    file = "history/players-timeline-*.csv"
    yield sampled("seconds of the players' timeline", file, asked, GATEWAY_EVERY_S, series, excused)
    for phase in asked.phases:
        if (due := _due_online(history, phase)) and undisturbed(phase, excused):
            found = min(_most_online(history, phase), due)
            yield Holding(what=f"players online at once in the phase {phase.name}", due=due, found=found, file=file)


_LOGIN_GRACE_S = 5.0
_LOGIN_SLOWER = 1.5
"""A host that carries brokers as well takes longer than planned."""


def _due_online(history: Record, phase: Phase) -> int:
    """How many players must be seen at once in a phase; 0 where that is unknown, or it is too short for logins."""
    players, planned = history.run.plan.players, history.run.plan.phase(phase.name).players
    if players is None or not players.login_per_s:
        return 0
    due = (players.count or 0) if planned is None else planned
    return due if phase.duration_s >= _LOGIN_SLOWER * due / players.login_per_s + _LOGIN_GRACE_S else 0


def _most_online(history: Record, phase: Phase) -> int:
    most: dict[str, int] = defaultdict(int)
    for row in history.players_timeline:
        if phase.start_us / 1e6 < row.t <= phase.end_us / 1e6:
            most[row.worker] = max(most[row.worker], row.online)
    return sum(most.values())


def _gateway_shutdown(history: Record, _: Asked) -> Iterator[Holding]:
    if subjects.PLAYERS.there(history):
        yield present("record of the gateway's end", history.gateway_shutdown, "history/gateway-shutdown.json")


GATEWAY_SHUTDOWN = Evidence(name="shutdown of the gateway", parts=("gateway_shutdown",), count=_gateway_shutdown)


def _layouts(history: Record, _: Asked) -> Iterator[Holding]:
    yield processes(history)
    for one in history.players:
        yield named(f"layouts of records of {one.worker}", LAYOUTS, (row.record for row in one.layouts), _FILE)


RECORD_LAYOUTS = Evidence(name="layouts of records", parts=("players",), count=_layouts)
PLAYERS = Evidence(name="players", parts=("players",), count=_players)
PLAYERS_TIMELINE = Evidence(name="players' timeline", parts=("players", "players_timeline"), count=_players_timeline)
