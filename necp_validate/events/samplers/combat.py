"""Combat: hits within what a weapon can do, and what no honest client can send."""

from __future__ import annotations

import random
from typing import Final, get_args

from necp_validate.events.base import EventData
from necp_validate.events.combat import (
    COOLDOWN_MS,
    MAX_HEAL,
    MAX_SPEED_CM_S,
    WEAPONS,
    AbilityCastV1,
    AbilityName,
    DamageV1,
    DamageV2,
    HealSource,
    HealV1,
    KillV1,
    MoveMode,
    MoveV1,
    WeaponName,
    ZoneName,
)

_WEAPONS: Final[tuple[WeaponName, ...]] = get_args(WeaponName)
_ZONES: Final[tuple[ZoneName, ...]] = get_args(ZoneName)
_MODES: Final[tuple[MoveMode, ...]] = get_args(MoveMode)
_ABILITIES: Final[tuple[AbilityName, ...]] = get_args(AbilityName)
_SOURCES: Final[tuple[HealSource, ...]] = get_args(HealSource)


def valid(rng: random.Random) -> EventData:
    """Draw an honest event: half of them hits, a third moves."""
    draw = rng.random()
    if draw < 0.45:
        return _hit(rng)
    if draw < 0.5:
        return _hit_v1(rng)
    if draw < 0.8:
        return _move(rng)
    if draw < 0.88:
        source = rng.choice(_SOURCES)
        return HealV1(
            healer=_player(rng),
            target=_player(rng),
            source=source,
            amount=rng.randint(1, MAX_HEAL[source]),
        )
    if draw < 0.96:
        return _ability(rng, rng.randint(1, 100_000))
    return _kill(rng)


def cheat(rng: random.Random) -> EventData:
    """Draw an event that breaks one rule of the balance tables."""
    return rng.choice((_overpowered, _out_of_reach, _rapid_fire, _teleport, _no_cooldown, _overheal))(rng)


def _player(rng: random.Random) -> str:
    return f"player-{rng.randrange(1_000):04d}"


def _pair(rng: random.Random) -> tuple[str, str]:
    first, second = rng.sample(range(1_000), 2)
    return f"player-{first:04d}", f"player-{second:04d}"


def _hit(
    rng: random.Random,
    *,
    over_damage: int = 0,
    over_range_cm: int = 0,
    rate_factor: int = 1,
) -> DamageV2:
    name = rng.choice(_WEAPONS)
    weapon = WEAPONS[name]
    attacker, target = _pair(rng)
    window_ms = rng.randint(500, 2_000)
    most_shots = max(1, weapon.max_rounds_per_s * window_ms // 1_000)
    return DamageV2(
        attacker=attacker,
        target=target,
        weapon=name,
        damage=weapon.max_damage + over_damage if over_damage else rng.randint(1, weapon.max_damage),
        armour=rng.randint(0, 300),
        critical=rng.random() < 0.1,
        zone=rng.choice(_ZONES),
        distance_cm=weapon.range_cm + over_range_cm if over_range_cm else rng.randint(0, weapon.range_cm),
        shots=(most_shots + 1) * rate_factor if rate_factor > 1 else rng.randint(1, most_shots),
        window_ms=window_ms,
    )


def _hit_v1(rng: random.Random) -> DamageV1:
    name = rng.choice(_WEAPONS)
    attacker, target = _pair(rng)
    return DamageV1(
        attacker=attacker,
        target=target,
        weapon=name,
        damage=rng.randint(1, WEAPONS[name].max_damage),
        armour=rng.randint(0, 300),
        critical=rng.random() < 0.1,
    )


def _kill(rng: random.Random) -> KillV1:
    name = rng.choice(_WEAPONS)
    killer, victim = _pair(rng)
    return KillV1(
        killer=killer,
        victim=victim,
        weapon=name,
        distance_cm=rng.randint(0, WEAPONS[name].range_cm),
        assists=[f"ally-{rng.randrange(100):02d}" for _ in range(rng.randrange(3))],
    )


def _move(rng: random.Random, *, speed_factor: float | None = None) -> MoveV1:
    mode = rng.choice(_MODES)
    elapsed_ms = rng.randint(50, 1_000)
    start = (
        rng.randint(-500_000, 500_000),
        rng.randint(-500_000, 500_000),
        rng.randint(0, 20_000),
    )
    factor = rng.uniform(0.0, 0.9) if speed_factor is None else speed_factor
    step = int(MAX_SPEED_CM_S[mode] * factor) * elapsed_ms // 1_000
    along_x = rng.random() < 0.5
    end = (start[0] + (step if along_x else 0), start[1] + (0 if along_x else step), start[2])
    return MoveV1(player=_player(rng), mode=mode, from_cm=start, to_cm=end, elapsed_ms=elapsed_ms)


def _ability(rng: random.Random, beyond_cooldown_ms: int) -> AbilityCastV1:
    ability = rng.choice(_ABILITIES)
    return AbilityCastV1(
        caster=_player(rng),
        ability=ability,
        target=_player(rng) if rng.random() < 0.5 else None,
        since_last_ms=max(0, COOLDOWN_MS[ability] + beyond_cooldown_ms),
    )


def _overpowered(rng: random.Random) -> EventData:
    return _hit(rng, over_damage=rng.randint(1, 5_000))


def _out_of_reach(rng: random.Random) -> EventData:
    return _hit(rng, over_range_cm=rng.randint(1, 50_000))


def _rapid_fire(rng: random.Random) -> EventData:
    return _hit(rng, rate_factor=rng.randint(2, 10))


def _teleport(rng: random.Random) -> EventData:
    return _move(rng, speed_factor=rng.uniform(3.0, 50.0))


def _no_cooldown(rng: random.Random) -> EventData:
    return _ability(rng, -rng.randint(1, 5_000))


def _overheal(rng: random.Random) -> EventData:
    source = rng.choice(_SOURCES)
    return HealV1(
        healer=_player(rng),
        target=_player(rng),
        source=source,
        amount=MAX_HEAL[source] + rng.randint(1, 1_000),
    )
