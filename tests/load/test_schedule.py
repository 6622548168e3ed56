"""The open-loop schedule is a pure function of the plan: right rates in every phase, the same for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.load.plan import DomainTraffic, PlannedPhase
from necp_validate.load.schedule import Schedule


def traffic(rate_eps: float, run_length: int = 50, tick_hz: float = 20) -> DomainTraffic:
    return DomainTraffic(
        topic="t",
        rate_eps=rate_eps,
        run_length=run_length,
        tick_hz=tick_hz,
        cheat_share=0,
        poison_share=0,
        client={},
    )


PHASES = [
    PlannedPhase(name="warmup", kind="warmup", duration_s=10, load=1.0, ramp_s=5),
    PlannedPhase(name="steady", kind="steady", duration_s=20, load=1.0),
    PlannedPhase(name="surge", kind="surge", duration_s=20, load=2.0),
    PlannedPhase(name="recovery", kind="recovery", duration_s=10, load=1.0, ramp_s=2),
]


def events_between(schedule: Schedule, run_length: int, start_s: float, end_s: float) -> int:
    return run_length * sum(
        start_s <= due < end_s for server in range(schedule.most_servers) for due in schedule.flushes(server)
    )


@pytest.mark.parametrize(("rate", "servers"), [(20_000, 20), (5_000, 5), (200, 1), (1, 1)])
def test_no_server_ticks_faster_than_its_tick_rate(rate: float, servers: int) -> None:
    one = traffic(rate)
    assert servers == one.servers
    assert one.interval_s >= 1 / one.tick_hz - 1e-9


@given(st.sampled_from([20_000.0, 5_000.0, 2_650.0, 1_300.5]))
def test_every_phase_gets_its_rate_to_within_a_flush_a_server(rate: float) -> None:
    one = traffic(rate)
    schedule = Schedule(one, PHASES, "seed")
    allowed = one.run_length * schedule.most_servers
    assert abs(events_between(schedule, 50, 10, 30) - 20 * rate) <= allowed
    assert abs(events_between(schedule, 50, 30, 50) - 40 * rate) <= allowed
    assert abs(events_between(schedule, 50, 52, 60) - 8 * rate) <= allowed


def test_the_ramp_rises_linearly() -> None:
    schedule = Schedule(traffic(20_000), PHASES, "seed")
    first, second = (events_between(schedule, 50, at, at + 2.5) for at in (0, 2.5))
    assert first == pytest.approx(20_000 * 2.5 * 0.25, rel=0.15)
    assert second == pytest.approx(20_000 * 2.5 * 0.75, rel=0.15)


def test_a_server_that_pauses_between_phases_plays_in_each_of_them() -> None:
    phases = [
        PlannedPhase(name="a", kind="steady", duration_s=10, load=2.0),
        PlannedPhase(name="b", kind="steady", duration_s=10, load=1.0),
        PlannedPhase(name="c", kind="steady", duration_s=10, load=2.0),
    ]
    schedule = Schedule(traffic(1_000), phases, "seed")
    assert schedule.active(1) == [(0.0, 10.0), (20.0, 30.0)]
    assert not [due for due in schedule.flushes(1) if 10 <= due < 20]


def test_the_same_seed_gives_the_same_times() -> None:
    times = [list(Schedule(traffic(5_000), PHASES, seed).flushes(0)) for seed in ("a", "a", "b")]
    assert times[0] == times[1]
    assert times[0] != times[2]
