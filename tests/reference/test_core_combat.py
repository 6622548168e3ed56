"""Anti-cheat and the damage model, checked against their written definition."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.events.base import Event, EventData
from necp_validate.events.combat import (
    WEAPONS,
    ZONE_PCT,
    AbilityCastV1,
    DamageV2,
    HealV1,
    KillV1,
    MoveV1,
)
from necp_validate.reference.eventcore.combat import CombatHandler, damage_dealt

HIT = DamageV2(
    attacker="a",
    target="b",
    weapon="rifle",
    damage=80,
    armour=0,
    critical=False,
    zone="torso",
    distance_cm=1_000,
    shots=1,
    window_ms=1_000,
)


def event(data: EventData, key: str = "match-0001", seq: int = 0) -> Event[EventData]:
    """Wrap a payload as the decoder would."""
    return Event(
        type=data.type_name, v=data.version, key=key, data=data, ts=0, id=f"00000001-{seq:012d}", crc="00000000"
    )


def verdict(data: EventData) -> str | None:
    """Handle one event with a fresh handler."""
    return CombatHandler().open(0)(event(data))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 80),
        ({"zone": "head"}, 160),
        ({"zone": "limb"}, 56),
        ({"critical": True}, 120),
        ({"armour": 100}, 40),
        ({"armour": 300}, 20),
        ({"distance_cm": 15_000}, 80),
        ({"distance_cm": 22_500}, 60),
        ({"distance_cm": 30_000}, 40),
        ({"damage": 1, "armour": 1_000}, 1),
    ],
)
def test_damage_by_hand(changes: dict[str, object], expected: int) -> None:
    """Worked examples: zone, critical, armour, falloff, and the least damage."""
    assert damage_dealt(msgspec.structs.replace(HIT, **changes)) == expected


@given(
    weapon=st.sampled_from(sorted(WEAPONS)),
    share=st.floats(0, 1),
    damage=st.integers(1, 450),
    armour=st.integers(0, 1_000),
    zone=st.sampled_from(sorted(ZONE_PCT)),
    critical=st.booleans(),
)
def test_damage_is_the_model(weapon: str, share: float, damage: int, armour: int, zone: str, critical: bool) -> None:
    """Against the formula in exact fractions, with its two roundings down: falloff, and the result."""
    range_cm = WEAPONS[weapon].range_cm
    distance_cm = int(range_cm * share)
    hit = msgspec.structs.replace(
        HIT, weapon=weapon, damage=damage, armour=armour, zone=zone, critical=critical, distance_cm=distance_cm
    )
    half = range_cm // 2
    lost = Fraction(50 * (distance_cm - half), range_cm - half) if distance_cm > half else Fraction(0)
    exact = (
        Fraction(damage)
        * Fraction(ZONE_PCT[zone], 100)
        * Fraction(100 - int(lost), 100)
        * (Fraction(3, 2) if critical else 1)
        / Fraction(100 + armour, 100)
    )
    assert damage_dealt(hit) == max(1, int(exact))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (HIT, None),
        (msgspec.structs.replace(HIT, damage=90), None),
        (msgspec.structs.replace(HIT, damage=91), "damage"),
        (msgspec.structs.replace(HIT, distance_cm=30_000), None),
        (msgspec.structs.replace(HIT, distance_cm=30_001), "range"),
        (msgspec.structs.replace(HIT, shots=12), None),
        (msgspec.structs.replace(HIT, shots=13), "rate-of-fire"),
        (msgspec.structs.replace(HIT, shots=1, window_ms=1), None),
        (HealV1(healer="a", target="a", source="stim", amount=150), None),
        (HealV1(healer="a", target="a", source="stim", amount=151), "heal"),
        (AbilityCastV1(caster="a", ability="quickhack", target=None, since_last_ms=5_000), None),
        (AbilityCastV1(caster="a", ability="quickhack", target=None, since_last_ms=4_999), "cooldown"),
        (MoveV1(player="a", mode="walk", from_cm=(0, 0, 0), to_cm=(330, 0, 0), elapsed_ms=1_000), None),
        (MoveV1(player="a", mode="walk", from_cm=(0, 0, 0), to_cm=(331, 0, 0), elapsed_ms=1_000), "speed"),
        (MoveV1(player="a", mode="walk", from_cm=(0, 0, 0), to_cm=(240, 240, 0), elapsed_ms=1_000), "speed"),
        (KillV1(killer="a", victim="b", weapon="katana", distance_cm=300, assists=[]), None),
        (KillV1(killer="a", victim="b", weapon="katana", distance_cm=301, assists=[]), "range"),
        (KillV1(killer="a", victim="a", weapon="katana", distance_cm=1, assists=[]), "self-kill"),
    ],
)
def test_limits_hold_to_the_last_unit(data: EventData, reason: str | None) -> None:
    """What is just allowed is processed; one more is a cheat."""
    assert verdict(data) == reason


def test_totals_are_per_match_and_start_anew() -> None:
    """Damage adds up by match; rejected hits do none; collecting clears."""
    handler = CombatHandler()
    handle = handler.open(0)
    handle(event(HIT, key="match-1"))
    handle(event(HIT, key="match-1"))
    handle(event(HIT, key="match-2"))
    handle(event(msgspec.structs.replace(HIT, damage=91), key="match-2"))
    assert handler.collect() == ([], {"hits": 3, "damage": {"match-1": 160, "match-2": 80}})
    assert handler.collect() == ([], {})
