"""Sound records of runs in which players play: forty of them in two processes, for half a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from histories import timed_history

from necp_validate.evidence.reconcile.players import RESULTS, of_process
from necp_validate.record import (
    CertificateProbe,
    ChatSeen,
    FaultRecord,
    GreedySession,
    HdrHistogram,
    InterestSeen,
    Layout,
    PlayersRecord,
    PlayersRow,
    Record,
    ServiceShutdown,
    SessionCounts,
    StateSeen,
)
from necp_validate.record.gateway import GatewayRecord
from necp_validate.record.store import LatencyMap

from .drills import under
from .faults import START_S, with_config

STATE = StateSeen(
    datagrams=4_800,
    bytes=390_000,
    full_bytes=1_980_000,
    changes=78_000,
    checks=1_980,
    divergences=0,
    missing_base=0,
    stale=3,
    lost=40,
    bad={},
    largest_batch=100,
    examples=(),
)
INTEREST = InterestSeen(
    views=3_000, skipped=10, expected=6_000, missing=0, different=0, outside=0, others=9_000, examples=()
)
CHAT = ChatSeen(messages=300, disordered=0, repeated=2, undelivered=0, examples=())
PROBES = tuple(
    CertificateProbe(when=when, certificate=name, refused=name != "valid", how="said so")
    for when in ("start", "end")
    for name in ("none", "expired", "wrong-ca", "valid")
)
GREEDY = GreedySession(
    seconds=30.0,
    requests=3_000,
    answered=1_490,
    limited=1_510,
    until_limited_s=12.0,
    answered_after=300,
    most_in_a_minute=1_490,
)
LAYOUTS = (
    Layout(record="state", naive=48, aligned=32, mean=40.0, worst=48, packed=30),
    Layout(record="event", naive=40, aligned=24, mean=32.0, worst=40, packed=21),
)
SESSIONS = SessionCounts(logins=20, refused_logins=0, failed_logins=0, broken=0, without_state=0, limited_unduly=0)
SETTINGS = {"batch": 100.0, "tick_min_hz": 5.0, "tick_max_hz": 10.0, "per_minute": 1_000.0, "grid": 1_000.0}


def process(worker: str = "p0", **changes: Any) -> PlayersRecord:
    """What one process of players leaves."""
    sound = PlayersRecord(
        worker=worker,
        players=20,
        udp_group=4,
        sessions=SESSIONS,
        actions={
            "hit": {"processed": 860, "rejected": 10, "lost_in_transit": 5},
            "say": {"processed": 300, "rate_limited": 30},
        },
        answered_twice=0,
        actions_by_datagram=875,
        actions_by_message=330,
        messages=1_300,
        streams=(),
        expected_totals={},
        inconsistent_offsets=0,
        offset_not_monotonic=0,
        state=STATE,
        interest=INTEREST,
        chat=CHAT,
        certificates=PROBES if worker == "p0" else (),
        greedy=(GREEDY,) if worker == "p0" else (),
        interruptions=(),
        layouts=LAYOUTS,
        limits={**SETTINGS, "grid_told": 1_000.0},
        cpu_s=9.0,
        errors=(),
    )
    return replace(sound, **changes)


def row(second: int, worker: str = "p0", **changes: Any) -> PlayersRow:
    """A second: twenty players in the middle ten, when the gateway ticks half as often, eight otherwise."""
    busy = 10 <= second < 20
    sound = PlayersRow(
        t=START_S + second + 1.0,
        worker=worker,
        phase="steady",
        online=20 if busy else 8,
        tick_hz=5.0 if busy else 10.0,
        datagrams=160,
        bytes_in=13_000,
        full_bytes=66_000,
        changes=2_600,
        checks=66,
        divergences=0,
        actions=40,
        ended=39,
        refused=1,
        logins=0,
        broken=0,
        result_p50_ms=20.0,
        result_p99_ms=60.0,
        age_p99_ms=10.0,
        late_p99_ms=1.0,
    )
    return replace(sound, **changes)


WORKERS = ("p0", "p1")
ROWS = tuple(row(second, worker) for second in range(30) for worker in WORKERS)


def adding_up(rows: Sequence[PlayersRow], processes: Sequence[PlayersRecord]) -> tuple[PlayersRow, ...]:
    """These rows, the first of each process changed so that they add up to what it counted in all."""
    found = list(rows)
    for process in processes:
        mine = [at for at, one in enumerate(found) if one.worker == process.worker]
        if mine:
            first = found[mine[0]]
            missing = {
                name: total - sum(getattr(found[at], name) for at in mine)
                for name, total in of_process(process).items()
                if total is not None
            }
            found[mine[0]] = replace(first, **{name: getattr(first, name) + by for name, by in missing.items()})
    return tuple(found)


def latencies_of(processes: Sequence[PlayersRecord]) -> LatencyMap:
    """A latency of 20 ms for each login, each action that was sent, and each result that came."""
    counts: Counter[tuple[str, str]] = Counter()
    for process in processes:
        counts["login", "login"] += process.sessions.logins or 0
        for kind, ends in process.actions.items():
            counts[kind, "late"] += sum(ends.values())
            counts[kind, "result"] += sum(ends.get(end, 0) for end in RESULTS)
    found = {("steady", what, kind): HdrHistogram() for what, kind in counts}
    for (what, kind), count in counts.items():
        found["steady", what, kind].record(20_000, count)
    return found


def adding_up_actions(process: PlayersRecord) -> PlayersRecord:
    """As many actions by datagram, or if there are none by message, as leave none without an end."""
    ended = sum(sum(ends.values()) for ends in process.actions.values())
    if not process.actions_by_datagram:
        return replace(process, actions_by_message=ended)
    return replace(process, actions_by_datagram=ended - (process.actions_by_message or 0))


def played(*processes: PlayersRecord, faults: tuple[FaultRecord, ...] = (), **changes: Any) -> Record:
    """A run with players; the processes that are given, or both; with rows that say the same."""
    history = timed_history(seconds=30, eps={"combat": 100.0})
    history = under(history, *faults) if faults else history
    loads = tuple(replace(load, expected_totals={"combat": {}}) for load in history.loads)
    found: dict[str, Any] = {
        "loads": loads,
        "players": processes or tuple(process(worker) for worker in WORKERS),
        "players_timeline": ROWS,
        "gateway_record": GatewayRecord(streams=()),
        "gateway_shutdown": ServiceShutdown(exit_code=0, seconds=0.7, healthy_before=True),
    }
    history = replace(history, **{**found, **changes})
    if not changes.keys() & {"players"}:
        players = tuple(adding_up_actions(one) for one in history.players)
        history = replace(
            history,
            players=players,
            players_timeline=adding_up(history.players_timeline, players),
            players_latency=history.players_latency or latencies_of(players),
        )
    return with_config(history, players={"count": 40, "processes": 2})
