"""The gateway's parts: configuration, limits, tick rate, results, the world, events of actions."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.realtime.constants import FULL_HP
from necp_validate.realtime.messages import Transfer
from necp_validate.realtime.state import parse
from necp_validate.reference.gateway.actions import MARKETS, draft, market_of
from necp_validate.reference.gateway.config import ConfigError, load_config
from necp_validate.reference.gateway.limits import MAX_RANGES, Numbers, RequestLimits
from necp_validate.reference.gateway.results import RECENT_RUNS, Results
from necp_validate.reference.gateway.sessions import Sessions
from necp_validate.reference.gateway.ticking import IDLE_S, AdaptiveRate
from necp_validate.reference.gateway.world import World
from necp_validate.reference.token_bucket import TokenBucket

PLAIN = {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "GATEWAY_INSTANCE": "gateway-7"}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    files = {}
    for variable in ("TLS_CERT_LOCATION", "TLS_KEY_LOCATION", "TLS_CLIENT_CA_LOCATION"):
        files[variable] = str(tmp_path / variable)
        Path(files[variable]).touch()
    return {**PLAIN, **files}


# --- configuration


def test_defaults_are_the_claimed_ones(env: dict[str, str]) -> None:
    """Ports, grid, rates, limits; and a client certificate is required."""
    config = load_config(env)
    assert (config.udp, config.websocket) == (("0.0.0.0", 7777), ("0.0.0.0", 8080))
    assert (config.http_port, config.metrics_port) == (8081, 9091)
    assert (config.grid, config.cells, config.batch, config.requests_per_min) == (1_000, 32, 100, 1_000)
    assert (config.adaptive_tick, config.tick_max_hz, config.tick_min_hz, config.delta) == (True, 20, 2, True)
    assert config.tls.client_ca == env["TLS_CLIENT_CA_LOCATION"]
    assert (config.instance, config.shutdown_timeout_s) == ("gateway-7", 30.0)


def test_everything_can_be_set(env: dict[str, str]) -> None:
    """Each variable does what its name says."""
    config = load_config(
        {
            **env,
            "UDP_LISTEN_ADDR": "127.0.0.1:0",
            "WEBSOCKET_ADDR": "[::1]:1",
            "SPATIAL_GRID_SIZE": "50",
            "WORLD_CELLS": "4",
            "ADAPTIVE_TICK_RATE_ENABLED": "false",
            "DELTA_COMPRESSION_ENABLED": "0",
            "TICK_RATE_MAX_HZ": "10",
            "TICK_RATE_MIN_HZ": "5",
            "BATCH_UPDATE_SIZE": "7",
            "CLIENT_CERT_REQUIRED": "no",
            "TLS_CLIENT_CA_LOCATION": "",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "60",
            "GRACEFUL_SHUTDOWN_TIMEOUT": "2s",
        }
    )
    assert (config.udp, config.websocket) == (("127.0.0.1", 0), ("::1", 1))
    assert (config.grid, config.cells, config.batch, config.requests_per_min) == (50, 4, 7, 60)
    assert (config.adaptive_tick, config.tick_max_hz, config.tick_min_hz, config.delta) == (False, 10, 5, False)
    assert (config.tls.client_ca, config.shutdown_timeout_s) == (None, 2.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ({"TLS_CERT_LOCATION": ""}, "TLS_CERT_LOCATION is not set; give the file of the gateway's certificate"),
        ({"TLS_KEY_LOCATION": "/no/such"}, "TLS_KEY_LOCATION: there is no file '/no/such'"),
        ({"TLS_CLIENT_CA_LOCATION": ""}, "TLS_CLIENT_CA_LOCATION is not set"),
        ({"CLIENT_CERT_REQUIRED": "maybe"}, "CLIENT_CERT_REQUIRED: 'maybe' is neither true nor false"),
        ({"UDP_LISTEN_ADDR": "7777"}, "UDP_LISTEN_ADDR: '7777' is not an address such as :7777"),
        ({"WEBSOCKET_ADDR": ":99999"}, "WEBSOCKET_ADDR: ':99999' is not an address"),
        ({"WORLD_CELLS": "2000"}, "WORLD_CELLS: 2000 is not between 1 and 1024"),
        ({"TICK_RATE_MIN_HZ": "30"}, "TICK_RATE_MIN_HZ: 30 is not between 1 and 20"),
        ({"BATCH_UPDATE_SIZE": "0"}, "BATCH_UPDATE_SIZE: 0 is not between"),
    ],
)
def test_errors_name_the_variable(env: dict[str, str], changes: dict[str, str], words: str) -> None:
    """And say what it may be."""
    with pytest.raises(ConfigError) as caught:
        load_config({**env, **changes})
    assert words in str(caught.value)


def test_a_wrong_configuration_is_one_line_and_exit_code_2(env: dict[str, str]) -> None:
    """No traceback: the reader is to change one variable. The same for files that are no certificates."""
    for changes, words in (
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "gateway: KAFKA_BOOTSTRAP_SERVERS is not set; give host:port"),
        ({}, "gateway: UDP_LISTEN_ADDR ('0.0.0.0', 7777), WEBSOCKET_ADDR"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "necp_validate.reference.gateway"],
            env={**os.environ, **env, **changes},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(words)
        assert len(done.stderr.splitlines()) == 1


# --- limits


def test_a_bucket_allows_its_capacity_and_then_its_rate() -> None:
    """And says exactly how long to wait."""
    bucket = TokenBucket(3, 0.5, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert bucket.take(1.0) == 1.0
    assert bucket.take(2.0) == 0
    assert bucket.take(2.0) == 2.0
    assert [bucket.take(1_000.0) for _ in range(4)] == [0, 0, 0, 2.0]


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_minute_sees_more_than_capacity_and_refill(pauses: list[float]) -> None:
    """Whatever the rhythm is."""
    bucket = TokenBucket(10, 10 / 60, 0.0)
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        if not bucket.take(now):
            taken.append(now)
    for start in taken:
        assert sum(start <= time < start + 60 for time in taken) <= 20


def test_a_limit_outlives_sessions_but_not_too_many_players(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging in again is no way around it; memory is bounded all the same."""
    monkeypatch.setattr("necp_validate.reference.gateway.limits.MAX_PLAYERS", 2)
    limits = RequestLimits(1, lambda: 0.0)
    ann = limits.of("ann")
    assert (ann.take(0.0), ann.take(0.0) > 0, ann.flooding) == (0, True, False)
    assert (ann.take(0.0) > 0, ann.flooding) == (True, True)
    assert (ann.take(60.0), ann.flooding) == (0, False)
    assert limits.of("ann") is ann
    limits.of("bob")
    limits.of("ann")
    limits.of("eve")
    assert limits.of("ann") is ann
    assert [ann.to_be_audited(now) for now in (0.0, 59.0, 60.0, 61.0)] == [True, False, True, False]


@given(st.lists(st.integers(1, 60), max_size=80))
def test_numbers_are_a_set_of_ranges(numbers: list[int]) -> None:
    """Compared with a set."""
    ranges, seen = Numbers(), set()
    for number in numbers:
        assert (number in ranges) == (number in seen)
        if number not in seen:
            ranges.add(number)
            seen.add(number)
    found = ranges.ranges()
    assert {number for first, last in found for number in range(first, last + 1)} == seen
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


def test_numbers_with_too_many_holes_are_full() -> None:
    """So that a client cannot make the gateway remember without end."""
    ranges = Numbers()
    for number in range(1, 2 * MAX_RANGES, 2):
        assert not ranges.full
        ranges.add(number)
    assert ranges.full


# --- tick rate


def _run(rate: AdaptiveRate, work_s: float, seconds: float, start_s: float = 0.0) -> float:
    now = start_s
    while now < start_s + seconds:
        rate.observe(work_s, now)
        now += rate.interval_s
    return now


def test_the_rate_falls_under_load_and_returns() -> None:
    """Never below the least, never above the most."""
    rate = AdaptiveRate(2, 20)
    now = _run(rate, 0.001, 5)
    assert rate.hz == 20
    now = _run(rate, 0.045, 10, now)
    assert 2 < rate.hz < 20 * 0.6 / 0.9 + 1
    assert rate.load <= 0.6
    fallen = rate.hz
    _run(rate, 10.0, 100, now)
    assert rate.hz == 2
    now = _run(rate, 0.001, 200, now)
    assert fallen < rate.hz == 20


def test_the_rate_neither_swings_nor_moves_without_reason() -> None:
    """Between idle and busy it stays; a single slow tick changes nothing."""
    rate = AdaptiveRate(2, 20)
    now = _run(rate, 0.045, 20)
    settled = rate.hz
    now = _run(rate, 0.5 / settled, 60, now)
    assert rate.hz == settled
    rate = AdaptiveRate(2, 20)
    rate.observe(5.0, 0.0)
    assert rate.hz == 20


def test_the_rate_rises_only_after_two_idle_seconds() -> None:
    """And by a tenth; one tick in between that is not idle begins the time anew."""
    rate = AdaptiveRate(2, 20)
    while rate.hz == 20:
        rate.observe(0.09, 0.0)
    assert rate.hz == 16
    for _ in range(50):
        rate.observe(0.0, 1.0)
    rate.observe(0.0, 0.9 + IDLE_S)
    assert rate.hz == 16
    rate.observe(0.0, 1.0 + IDLE_S)
    assert rate.hz == pytest.approx(16 * 1.1)
    while rate.load < 0.3:
        rate.observe(0.05, 3.5)
    rate.observe(0.0, 5.1)
    assert rate.hz == pytest.approx(16 * 1.1)


def test_a_fixed_rate_is_fixed() -> None:
    """Whatever the load is."""
    rate = AdaptiveRate(2, 20, adaptive=False)
    rate.observe(5.0, 0.0)
    assert rate.hz == 20


# --- results


@given(st.permutations([("ack", n) for n in range(6)] + [("receipt", n) for n in range(0, 6, 2)]))
def test_each_action_gets_its_outcome_once(order: list[tuple[str, int]]) -> None:
    """Whichever comes first, acknowledgement or receipt; each receipt covers two offsets, and comes twice."""
    results: Results[str] = Results()
    found = []
    for what, offset in order:
        if what == "ack":
            outcome = results.acknowledged("t", 0, offset, f"n{offset}")
            if outcome is not None:
                found.append((f"n{offset}", outcome))
        else:
            outcome = Outcome(offset // 2)
            for _ in range(2):
                found += results.receipt("t", [(0, offset, offset + 1, outcome, 0), (1, 0, 99, outcome, 0)])
    assert sorted(found) == [(f"n{n}", Outcome(n // 2)) for n in range(6)]
    assert len(results) == 0


def test_results_nobody_waits_for_are_forgotten() -> None:
    """And receipts are kept only for a while."""
    results: Results[int] = Results()
    for offset in range(10):
        results.acknowledged("t", 0, offset, offset)
    results.forget(lambda token: token % 2 == 0)
    assert len(results) == 5
    assert results.receipt("t", [(0, 0, 9, Outcome.PROCESSED, 0)]) == [(n, Outcome.PROCESSED) for n in range(1, 10, 2)]
    for offset in range(100, 100 + RECENT_RUNS):
        results.receipt("t", [(0, offset, offset, Outcome.PROCESSED, 0)])
    assert results.acknowledged("t", 0, 5, 5) is None
    assert results.acknowledged("t", 0, 100, 0) is Outcome.PROCESSED


# --- the world


def _states(world: World) -> dict[int, tuple[int, int, int]]:
    return {one.id: (one.x, one.y, one.hp) for one in parse(world.packed.tobytes())}


def test_entities_move_and_stay_on_the_map() -> None:
    """By their velocity and the time; fractions of a unit add up; the map has edges."""
    world = World(100, 4)
    entity, slot = world.spawn(50, 60)
    other, _ = world.spawn(-5, 10_000)
    world.wish(slot, 1, 0, 30, -5, 0)
    for _ in range(10):
        world.step(0.05)
    assert _states(world) == {entity: (65, 58, FULL_HP), other: (0, 399, FULL_HP)}
    for _ in range(10):
        world.step(1.0)
    assert _states(world)[entity] == (65 + 300, 58 - 50, FULL_HP)
    world.step(100.0)
    assert _states(world)[entity] == (399, 0, FULL_HP)
    assert int(world.applied[slot]) == 1


def test_a_version_is_the_tick_of_a_change() -> None:
    """A quiet cell keeps it; coming, going and changing make a new one, of both cells if need be."""
    world = World(100, 4)
    world.step(0.05)
    assert (world.logs, len(world)) == ({}, 0)
    entity, slot = world.spawn(95, 50)
    world.step(0.05)
    assert {cell: log.version for cell, log in world.logs.items()} == {0: 2}
    world.step(0.05)
    assert world.logs[0].version == 2
    world.wish(slot, 1, 1, 90, 0, 0)
    world.step(0.1)
    assert {cell: log.version for cell, log in world.logs.items()} == {0: 4, 1: 4}
    assert world.logs[0].removed_since(2) == [entity]
    assert world.logs[0].removed_since(1) == []
    world.remove(entity)
    world.step(0.05)
    assert {cell: (log.version, log.checksum) for cell, log in world.logs.items()} == {0: (4, 0), 1: (5, 0)}
    assert len(world) == 0


def test_who_comes_and_goes_within_a_tick_was_never_there() -> None:
    """And slots are used again, ids never."""
    world = World(100, 4)
    first, slot = world.spawn(5, 5)
    world.remove(first)
    second, again = world.spawn(5, 5)
    world.step(0.05)
    assert (slot, second) == (again, first + 1)
    assert set(_states(world)) == {second}
    assert world.logs[0].removed_since(0) == []


def test_damage_is_felt_and_death_is_not_the_end() -> None:
    """At the next tick; damage to nobody is none."""
    world = World(100, 4)
    entity, _ = world.spawn(5, 5)
    world.hurt(entity, 300)
    world.hurt(99, 300)
    world.step(0.05)
    assert _states(world)[entity][2] == FULL_HP - 300
    world.hurt(entity, 10_000)
    world.step(0.05)
    assert _states(world)[entity][2] == FULL_HP


def test_the_world_grows() -> None:
    """Beyond the slots that it begins with."""
    world = World(100, 4)
    entities = {world.spawn(number % 400, 7)[0] for number in range(1_000)}
    world.step(0.05)
    assert set(_states(world)) == entities
    assert len(entities) == len(world) == 1_000


# --- events


def test_a_player_stays_in_its_market() -> None:
    """So that its account is one account; there are 64 of them."""
    drafted = draft(Transfer(credit="bob", amount=1), player="ann", match="m", region="eu")
    assert (drafted.domain, drafted.key) == (Domain.ECONOMY, market_of("ann"))
    assert len({market_of(f"player-{number}") for number in range(2_000)}) == MARKETS


def test_session_ids_are_not_to_be_guessed() -> None:
    """64 random bits, never 0."""
    sessions = Sessions()
    ids = {sessions.new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert min(ids) > 0
    assert max(ids).bit_length() > 60
