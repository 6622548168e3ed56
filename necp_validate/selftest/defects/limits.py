"""Defects of producer limits and of circuit breakers."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.selftest.defect import Defect, Seed, seeded
from necp_validate.selftest.simulated.faults import BREAK, POISON
from necp_validate.selftest.simulated.limits import BURST, FLOOD_S, RATE_EPS, breaker_samples, sound_breakers
from necp_validate.selftest.simulated.plan import WORKERS
from necp_validate.selftest.simulated.simulation import HANDLED_US, Simulation, Stage

_PASSED = RATE_EPS * FLOOD_S + BURST


def _limiter_off(share: float) -> Seed:
    """The same events pass in a time in which this share more, or less, of them had to."""
    seconds = (_PASSED / (1 + share) - BURST) / RATE_EPS

    def seed(simulation: Simulation) -> None:
        flood = simulation.limiting.flood
        due, passable = round(1.5 * RATE_EPS * seconds), round(RATE_EPS * seconds + BURST)
        simulation.limiting.flood = replace(flood, offering_s=seconds, elapsed_s=seconds, due=due, passable=passable)

    return seed


def _waits_do_not_grow(simulation: Simulation) -> None:
    flood = simulation.limiting.flood
    same = tuple(tuple(waits[0] for _ in waits) for waits in flood.waits_s)
    simulation.limiting.flood = replace(flood, waits_s=same)


def _refusals_not_counted(simulation: Simulation) -> None:
    simulation.limiting.flood = replace(simulation.limiting.flood, hits=0)


def _breaker(**changes: Any) -> Seed:
    def seed(simulation: Simulation) -> None:
        simulation.limiting.breakers = sound_breakers(**changes)

    return seed


def _another_opens(simulation: Simulation) -> None:
    """The breaker of a domain without poison opens, and tries, and closes."""
    sound = [one for one in sound_breakers() if one.domain != Domain.SOCIAL.value]
    simulation.limiting.breakers = [*sound, *breaker_samples(domain=Domain.SOCIAL)]


def _never_opens(simulation: Simulation) -> None:
    """Most of the system events are poison, and the breaker stays closed."""
    rng = random.Random("poison")
    simulation.limiting.breakers = sound_breakers(opens=False)
    for at, sent in enumerate(simulation.plan):
        if sent.domain is Domain.SYSTEM and sent.sender in WORKERS and sent.seq % 10:
            name, version, data = sample_event(Domain.SYSTEM, rng, kind="poison")
            value = seal(head(name, version, key=sent.key, data=data), sent.ts_us, event_id(sent.stream, sent.seq))
            simulation.plan[at] = replace(sent, kind="poison", value=value)


def _reads_on(simulation: Simulation) -> None:
    """The breaker says that it is open, and its consumer reads on."""
    places = {
        (record.partition, record.offset): record.sent.ts_us
        for record in simulation.records()
        if record.sent.domain is Domain.SYSTEM
    }
    simulation.handled = [
        replace(one, done_us=places[one.partition, one.offset] + HANDLED_US) if one.domain is Domain.SYSTEM else one
        for one in simulation.handled
    ]


LIMIT_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=name, caught_by=caught_by, make=seeded(seed, after))
    for name, caught_by, after, seed in (
        ("limiter lets 10% too much pass", "producer-limit", Stage.READ, _limiter_off(0.1)),
        ("limiter lets 10% too little pass", "producer-limit", Stage.READ, _limiter_off(-0.1)),
        ("waits that do not grow", "producer-limit", Stage.READ, _waits_do_not_grow),
        ("refusals that no metric counts", "producer-limit", Stage.READ, _refusals_not_counted),
        ("breaker that never opens", "circuit-breaker", Stage.PLANNED, _never_opens),
        ("breaker that never closes", "circuit-breaker", Stage.READ, _breaker(closes=False)),
        ("breaker that never tries", "circuit-breaker", Stage.READ, _breaker(tries_us=POISON.begin_us + 10**9)),
        ("breaker open for too short a time", "circuit-breaker", Stage.READ, _breaker(tries_us=BREAK[0] + 2_000_000)),
        ("breaker that opens too soon", "circuit-breaker", Stage.READ, _breaker(ratio=0.3)),
        ("breaker that opens without poison", "circuit-breaker", Stage.READ, _another_opens),
        ("consumer that reads on behind an open breaker", "circuit-breaker", Stage.HANDLED, _reads_on),
    )
)
