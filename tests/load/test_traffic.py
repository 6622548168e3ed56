"""A server's flushes: planted events in exactly their share, every event readable, the same for the same seed."""

from __future__ import annotations

import pytest

from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import Decoder
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.load.traffic import FlushPool, key_of, stream_id


def plan(seed: int = 1) -> LoadPlan:
    phase = PlannedPhase(name="steady", kind="steady", duration_s=1, load=1)
    return LoadPlan(run_dir=".", run_id="run", seed=seed, processes=1, phases=[phase], traffic={}, verifier={})


def traffic(cheat_share: float = 0.01, poison_share: float = 0.0005) -> DomainTraffic:
    return DomainTraffic(
        topic="t",
        rate_eps=1000,
        run_length=50,
        tick_hz=20,
        cheat_share=cheat_share,
        poison_share=poison_share,
        client={},
    )


@pytest.mark.parametrize(("cheats", "poison"), [(0.01, 0.0005), (0.0, 0.0), (0.5, 0.04), (0.03, 0.001)])
def test_planted_events_come_in_their_share_to_within_one(cheats: float, poison: float) -> None:
    pool = FlushPool(Domain.COMBAT, traffic(cheats, poison), 0, plan())
    sent = [pool.next() for _ in range(1000)]
    assert abs(sum(flush.cheats for flush in sent) - 50_000 * cheats) <= 1
    assert abs(sum(flush.poison for flush in sent) - 50_000 * poison) <= 1


def _decodes(value: bytes) -> bool:
    try:
        Decoder().decode(value)
    except InvalidEvent:
        return False
    return True


@pytest.mark.parametrize("domain", list(Domain))
def test_valid_events_decode_and_poison_does_not(domain: Domain) -> None:
    decoder = Decoder()
    pool = FlushPool(domain, traffic(poison_share=0.02), 3, plan())
    flush = pool.next()
    flush.template.stamp(1_790_000_000_000_000, 100, 0)
    refused = []
    for number, value in enumerate(flush.template.values()):
        try:
            event = decoder.decode(value)
        except InvalidEvent as error:
            refused.append(error.reason)
            continue
        assert event.key == key_of(domain, 3)
        assert event.id == f"{stream_id('run', domain, 3)}-{100 + number:012d}"
    assert len(refused) == flush.poison == 1
    assert [place for place, value in enumerate(flush.template.values()) if not _decodes(value)] == list(
        flush.template.planted["poison"]
    )
    assert "bad-crc" not in refused


def test_the_same_seed_gives_the_same_events() -> None:
    values = []
    for seed in (1, 1, 2):
        flush = FlushPool(Domain.ECONOMY, traffic(), 0, plan(seed)).next()
        flush.template.stamp(1_790_000_000_000_000, 0, 0)
        values.append(flush.template.values())
    assert values[0] == values[1]
    assert values[0] != values[2]
