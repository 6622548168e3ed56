"""Totals are exact when the partitions of a batch are handled in several threads."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from audit_keys import system_handler

from necp_validate.events.base import Event, EventData
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import Handler
from necp_validate.reference.eventcore.social import SocialHandler
from necp_validate.reference.eventcore.workers import INLINE_RECORDS, WorkerPool

PARTITIONS, EVENTS = 4, 1_500


@pytest.fixture(autouse=True)
def threads_take_turns_all_the_time() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def events(domain: Domain, partition: int) -> list[Event[EventData]]:
    rng = random.Random(partition)
    made = []
    for seq in range(EVENTS):
        name, version, data = sample_event(domain, rng)
        front = head(name, version, key=f"key-{partition:04d}", data=data)
        made.append(decode(seal(front, 10**15, event_id(f"0a1b2c3{partition}", seq))))
    return made


def totals(handler: Handler, batches: list[tuple[int, list[Event[EventData]]]], threads: int) -> dict[str, Any]:
    def work(task: tuple[int, list[Event[EventData]]]) -> int:
        handle = handler.open(task[0])
        return sum(handle(event) is None for event in task[1])

    pool: WorkerPool[tuple[int, list[Event[EventData]]], int] = WorkerPool(threads, work, name="test")
    try:
        pool.run(batches, PARTITIONS * EVENTS)
    finally:
        pool.close()
    return handler.collect()[1]


@pytest.mark.parametrize(
    ("domain", "make"),
    [
        (Domain.COMBAT, CombatHandler),
        (Domain.ECONOMY, EconomyHandler),
        (Domain.SOCIAL, SocialHandler),
        (Domain.SYSTEM, system_handler),
    ],
)
def test_threads_lose_no_count(domain: Domain, make: Any) -> None:
    assert PARTITIONS * EVENTS > INLINE_RECORDS, "few records are handled in the calling thread"
    batches = [(partition, events(domain, partition)) for partition in range(PARTITIONS)]
    alone = totals(make(), batches, threads=1)
    assert alone
    assert totals(make(), batches, threads=PARTITIONS) == alone
