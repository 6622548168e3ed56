"""Fuzzed events as a share of the load: in exactly their share, accountable, and dead-lettered for certain."""

from __future__ import annotations

import random

import pytest

from necp_validate.core import UsageError
from necp_validate.events.envelope import Decoder, InvalidEvent
from necp_validate.events.tail import crc_is_right, split_tail
from necp_validate.events.topics import Domain
from necp_validate.fuzz.loading import LONGEST_BYTES, FuzzedEvents
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.load.traffic import FlushPool, key_of, stream_id
from necp_validate.scenario.files import load_scenario


def plan(poison_share: float | None = None) -> LoadPlan:
    phase = PlannedPhase(name="steady", kind="steady", duration_s=1, load=1, poison_share=poison_share)
    return LoadPlan(run_dir=".", run_id="run", seed=1, processes=1, phases=[phase], traffic={}, verifier={})


def traffic(fuzz: float) -> DomainTraffic:
    return DomainTraffic(
        topic="t", rate_eps=100, run_length=20, tick_hz=5, cheat_share=0.1, poison_share=0.05, client={}, fuzz=fuzz
    )


@pytest.mark.parametrize("domain", list(Domain))
def test_fuzzed_events_keep_their_stream_and_are_invalid(domain: Domain) -> None:
    """Many operators, each event with the key it is sent with, a tail that holds, and refused by the decoder."""
    events, rng, decode = FuzzedEvents(domain, "1"), random.Random(1), Decoder().decode
    operators = set()
    for _ in range(40):
        case = events.case("server-1", rng)
        value = case.value or b""
        assert (case.key, case.headers) == (b"server-1", ())
        assert split_tail(value) == ("00000000", 0, 10**15)
        assert crc_is_right(value)
        assert len(value) <= LONGEST_BYTES
        with pytest.raises(InvalidEvent):
            decode(value)
        operators.add(case.operator)
    assert len(operators) >= 6


@pytest.mark.parametrize("fuzz", [0.02, 0.3])
def test_they_come_in_their_share_and_the_rest_is_as_it_was(fuzz: float) -> None:
    """Stamped like all others; what is not planted decodes."""
    pool = FlushPool(Domain.ECONOMY, traffic(fuzz), 0, plan(), FuzzedEvents(Domain.ECONOMY, "1"))
    sent = [pool.next() for _ in range(200)]
    assert abs(sum(flush.fuzzed for flush in sent) - 4_000 * fuzz) <= 1
    decode, stream = Decoder().decode, stream_id("run", Domain.ECONOMY, 0)
    invalid = 0
    for number, flush in enumerate(sent):
        flush.template.stamp(10**15 + 7, number * 20, 0)
        for at, value in enumerate(flush.template.values()):
            assert split_tail(value) == (stream, number * 20 + at, 10**15 + 7)
            assert crc_is_right(value)
            try:
                assert decode(value).key == key_of(Domain.ECONOMY, 0)
            except InvalidEvent:
                invalid += 1
    assert invalid == sum(flush.fuzzed + flush.poison for flush in sent)


def test_a_phase_of_nothing_but_poison_leaves_no_room() -> None:
    pool = FlushPool(Domain.SOCIAL, traffic(0.3), 0, plan(poison_share=0.9), FuzzedEvents(Domain.SOCIAL, "1"))
    flush = pool.next(poison_share=0.9)
    assert flush.cheats + flush.poison + flush.fuzzed <= 20


def test_without_a_share_the_same_seed_gives_the_same_events_as_ever() -> None:
    """A load without fuzzed events does not change because there could be some."""
    with_maker = FlushPool(Domain.COMBAT, traffic(0.0), 0, plan(), FuzzedEvents(Domain.COMBAT, "1"))
    without = FlushPool(Domain.COMBAT, traffic(0.0), 0, plan())
    assert with_maker.next().template.values() == without.next().template.values()


def test_the_scenario_names_its_share() -> None:
    scenario = load_scenario("fuzz")
    assert {one.fuzz for one in scenario.traffic.values()} == {0.02}
    assert scenario.experiments == ("broker-kill",)
    with pytest.raises(UsageError, match="together exceed 1"):
        load_scenario("fuzz", overrides=["traffic.combat.fuzz=0.995"])
