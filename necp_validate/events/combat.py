"""Events of the combat domain; the key is the match.

Besides the constraints of the fields this module holds the balance tables that anti-cheat and the damage
model are defined by. The model (integers only, so that totals can be compared exactly):

    effective = damage * zone_pct * falloff_pct * crit_pct * 100 // (100 + armour) // 1_000_000

with ``zone_pct`` from :data:`ZONE_PCT`, ``crit_pct`` 150 for a critical hit, else 100, and ``falloff_pct``
100 up to half of the weapon's range (rounded down), from there falling linearly to 50 at its range:
``100 - 50 * (distance - half) // (range - half)``. At least 1 point of damage is always dealt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta

from necp_validate.events.base import EntityId, EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class Weapon:
    """What a weapon can do at most.

    Args:
        max_damage: damage of one hit before zone, distance and armour.
        range_cm: how far it reaches.
        max_rounds_per_s: how fast it fires.
    """

    max_damage: int
    range_cm: int
    max_rounds_per_s: int


WeaponName = Literal["pistol", "smg", "rifle", "sniper", "shotgun", "katana"]
WEAPONS: Final[dict[str, Weapon]] = {
    "pistol": Weapon(max_damage=60, range_cm=6_000, max_rounds_per_s=6),
    "smg": Weapon(max_damage=40, range_cm=8_000, max_rounds_per_s=18),
    "rifle": Weapon(max_damage=90, range_cm=30_000, max_rounds_per_s=12),
    "sniper": Weapon(max_damage=450, range_cm=150_000, max_rounds_per_s=2),
    "shotgun": Weapon(max_damage=240, range_cm=2_500, max_rounds_per_s=3),
    "katana": Weapon(max_damage=180, range_cm=300, max_rounds_per_s=4),
}

ZoneName = Literal["head", "torso", "limb"]
ZONE_PCT: Final[dict[str, int]] = {"head": 200, "torso": 100, "limb": 70}
CRIT_PCT: Final = 150

MoveMode = Literal["walk", "sprint", "dash", "vehicle"]
MAX_SPEED_CM_S: Final[dict[str, int]] = {"walk": 300, "sprint": 900, "dash": 2_500, "vehicle": 9_000}

AbilityName = Literal["overclock", "optical_camo", "quickhack", "adrenaline", "smart_shield"]
COOLDOWN_MS: Final[dict[str, int]] = {
    "overclock": 30_000,
    "optical_camo": 20_000,
    "quickhack": 5_000,
    "adrenaline": 12_000,
    "smart_shield": 15_000,
}

HealSource = Literal["medkit", "stim", "implant"]
MAX_HEAL: Final[dict[str, int]] = {"medkit": 400, "stim": 150, "implant": 60}

DistanceCm = Annotated[int, Meta(ge=0, le=10_000_000)]
Coordinate = Annotated[int, Meta(ge=-100_000_000, le=100_000_000, description="centimetres")]
Position = tuple[Coordinate, Coordinate, Coordinate]
Armour = Annotated[int, Meta(ge=0, le=1_000)]
HitPoints = Annotated[int, Meta(ge=1, le=100_000)]


class DamageV1(EventData, frozen=True, kw_only=True):
    """A hit as the first clients reported it: without zone, distance and rate of fire."""

    type_name = "combat.damage"
    version = 1

    attacker: EntityId
    target: EntityId
    weapon: WeaponName
    damage: HitPoints
    armour: Armour
    critical: bool

    def upcast(self) -> DamageV2:
        """Read a hit of version 1 as one on the torso at no distance, a single shot."""
        return DamageV2(
            attacker=self.attacker,
            target=self.target,
            weapon=self.weapon,
            damage=self.damage,
            armour=self.armour,
            critical=self.critical,
            zone="torso",
            distance_cm=0,
            shots=1,
            window_ms=1_000,
        )


class DamageV2(EventData, frozen=True, kw_only=True):
    """A hit; ``shots`` were fired by the attacker within the last ``window_ms``."""

    type_name = "combat.damage"
    version = 2

    attacker: EntityId
    target: EntityId
    weapon: WeaponName
    damage: HitPoints
    armour: Armour
    critical: bool
    zone: ZoneName
    distance_cm: DistanceCm
    shots: Annotated[int, Meta(ge=1, le=1_000)]
    window_ms: Annotated[int, Meta(ge=1, le=60_000)]


class HealV1(EventData, frozen=True, kw_only=True):
    """Hit points given back."""

    type_name = "combat.heal"
    version = 1

    healer: EntityId
    target: EntityId
    source: HealSource
    amount: HitPoints


class MoveV1(EventData, frozen=True, kw_only=True):
    """A move between two positions; centimetres and milliseconds."""

    type_name = "combat.move"
    version = 1

    player: EntityId
    mode: MoveMode
    from_cm: Position
    to_cm: Position
    elapsed_ms: Annotated[int, Meta(ge=1, le=60_000)]


class AbilityCastV1(EventData, frozen=True, kw_only=True):
    """An ability used, ``since_last_ms`` after the same player's last use of it."""

    type_name = "combat.ability_cast"
    version = 1

    caster: EntityId
    ability: AbilityName
    target: EntityId | None
    since_last_ms: Annotated[int, Meta(ge=0, le=86_400_000)]


class KillV1(EventData, frozen=True, kw_only=True):
    """A kill, with those who assisted."""

    type_name = "combat.kill"
    version = 1

    killer: EntityId
    victim: EntityId
    weapon: WeaponName
    distance_cm: DistanceCm
    assists: Annotated[list[EntityId], Meta(max_length=4)]


EVENTS: Final[tuple[type[EventData], ...]] = (DamageV1, DamageV2, HealV1, MoveV1, AbilityCastV1, KillV1)
