"""Sound records of runs in which players play: forty of them in two processes, for half a minute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from histories import timed_history

from necp_validate.record import (
    CertificateProbe,
    ChatSeen,
    FaultRecord,
    GreedySession,
    InterestSeen,
    Layout,
    PlayersRecord,
    PlayersRow,
    Record,
    ServiceShutdown,
    StateSeen,
)
from necp_validate.record.gateway import GatewayRecord

from .drills import under
from .faults import START_S, with_config

STATE = StateSeen(
    datagrams=5_000,
    bytes=400_000,
    full_bytes=2_000_000,
    changes=80_000,
    checks=2_000,
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
    Layout(record="entity", naive=40, aligned=24, mean=32.0, worst=40, packed=21),
)
SETTINGS = {"batch": 100.0, "tick_min_hz": 5.0, "tick_max_hz": 10.0, "per_minute": 1_000.0, "grid": 1_000.0}


def process(worker: str = "p0", **changes: Any) -> PlayersRecord:
    """What one process of players leaves."""
    sound = PlayersRecord(
        worker=worker,
        players=20,
        udp_group=4,
        sessions={"logins": 20, "closed": 20, "without_state": 0, "limited_unduly": 0},
        actions={
            "hit": {"processed": 900, "rejected": 10, "lost_in_transit": 5},
            "say": {"processed": 300, "rate_limited": 40},
        },
        answered_twice=0,
        transports={"udp": {"actions": 900, "in": 5_000}, "ws": {"actions": 340, "in": 1_300}},
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


def played(*processes: PlayersRecord, faults: tuple[FaultRecord, ...] = (), **changes: Any) -> Record:
    """A run with players; the processes that are given, or both."""
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
    return with_config(history, players={"count": 40, "processes": 2})
