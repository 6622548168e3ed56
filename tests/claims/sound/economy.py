"""Sound records of the economy's books, and of consumers that go through a partition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from histories import START_S, ack, history_of, read

from necp_validate.record import GroupSample, IntervalSet, Jump, LedgerRead, OutcomesSeen, Record

from .faults import S

TOPIC = "game.economy.events"
BOOK = LedgerRead(
    partition=0,
    covered=IntervalSet([(0, 2)]),
    covered_twice=0,
    entries=3,
    trades=0,
    repeated=0,
    torn=0,
    unfounded=0,
    overdrawn=0,
    moved={"eddies": 30, "ammo": 2},
    postings_sum=700,
)
"""Three events, booked in one batch."""


def seen(first: int, last: int, *, partition: int = 0) -> OutcomesSeen:
    """Outcomes that a load worker saw as committed."""
    return OutcomesSeen(topic=TOPIC, partition=partition, seen=IntervalSet([(first, last)]))


def economy(*, book: LedgerRead = BOOK, expected_totals: dict[str, int] | None = None, **load_changes: Any) -> Record:
    """Three events of the economy; what they move is known."""
    history = history_of(*(ack(n) for n in range(3)), *(read(n) for n in range(3)), domain="economy")
    (load,), readback = history.loads, history.readback
    assert readback is not None
    due = {"economy": {"money": 30, "goods": 2, "postings_sum": 700} if expected_totals is None else expected_totals}
    load = replace(load, outcomes_seen=(seen(0, 2),), expected_totals=due)
    return replace(history, loads=(replace(load, **load_changes),), readback=replace(readback, ledger=(book,)))


def watched(*states: tuple[float, str, int], seconds: int = 60) -> tuple[GroupSample, ...]:
    """Samples of the combat group, once a second; each state (when, what, members) holds until the next."""
    return tuple(
        GroupSample(t=float(START_S + second), group="event-core-combat", state=state, members=members)
        for second in range(seconds)
        for _, state, members in [[one for one in states if one[0] <= second][-1]]
    )


STABLE = watched((0, "STABLE", 2))


def jumped(jump: tuple[int, int], *, at_s: float = 5, late: IntervalSet | None = None, **changes: Any) -> Record:
    """Ten combat events, handled by one instance that jumps from one offset to another; the group was stable."""
    history = history_of(*(ack(n) for n in range(10)), *(read(n) for n in range(10)))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    at_us = round((START_S + at_s) * S)
    made = Jump(instance="core-0", after=jump[0], first=jump[1], from_us=at_us, to_us=at_us + 10_000)
    receipts = replace(receipts, jumps=(made,), late=late or IntervalSet())
    found = {"groups": STABLE, "readback": replace(history.readback, receipts=(receipts,)), **changes}
    return replace(history, **found)
