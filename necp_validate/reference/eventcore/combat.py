"""Combat: anti-cheat against the balance tables, and the damage model.

The rules look at one event alone, so a verdict depends neither on other streams nor on a redelivery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from necp_validate.events.base import Event, EventData
from necp_validate.events.combat import (
    COOLDOWN_MS,
    CRIT_PCT,
    MAX_HEAL,
    MAX_SPEED_CM_S,
    WEAPONS,
    ZONE_PCT,
    AbilityCastV1,
    DamageV2,
    HealV1,
    KillV1,
    MoveV1,
)
from necp_validate.reference.eventcore.handling import Handle, Output

SPEED_TOLERANCE_PCT: Final = 110
"""A move may be this much of the top speed: clocks of client and server differ a little."""


def damage_dealt(hit: DamageV2) -> int:
    """Compute the damage of a hit by the model of ``necp_validate.events.combat``, in hit points."""
    range_cm = WEAPONS[hit.weapon].range_cm
    half_cm = range_cm // 2
    falloff_pct = 100
    if hit.distance_cm > half_cm:
        falloff_pct = 100 - 50 * (hit.distance_cm - half_cm) // (range_cm - half_cm)
    crit_pct = CRIT_PCT if hit.critical else 100
    raw = hit.damage * ZONE_PCT[hit.zone] * falloff_pct * crit_pct * 100
    return max(1, raw // (100 + hit.armour) // 1_000_000)


def check_hit(hit: DamageV2) -> str | None:
    """Say which limit of the weapon a hit breaks, if any."""
    weapon = WEAPONS[hit.weapon]
    if hit.damage > weapon.max_damage:
        return "damage"
    if hit.distance_cm > weapon.range_cm:
        return "range"
    if hit.shots > 1 and hit.shots * 1_000 > weapon.max_rounds_per_s * hit.window_ms:
        return "rate-of-fire"
    return None


def check_move(move: MoveV1) -> str | None:
    """Say whether a move was faster than its mode allows."""
    (x0, y0, z0), (x1, y1, z1) = move.from_cm, move.to_cm
    # Squares in (cm * ms / s), so that no root and no rounding decides.
    dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
    squared = (dx * dx + dy * dy + dz * dz) * 1_000_000
    limit = MAX_SPEED_CM_S[move.mode] * move.elapsed_ms * SPEED_TOLERANCE_PCT // 100
    return "speed" if squared > limit * limit else None


class CombatHandler:
    """Anti-cheat and damage; totals are per match since the last collection."""

    def __init__(self) -> None:
        self._damage: dict[str, int] = {}
        self._counts = {"hits": 0, "healed": 0, "moves": 0, "abilities": 0, "kills": 0}
        self._rules: dict[type[EventData], Callable[[Any, str], str | None]] = {
            DamageV2: self._hit,
            HealV1: self._heal,
            MoveV1: self._move,
            AbilityCastV1: self._ability,
            KillV1: self._kill,
        }

    def open(self, partition: int) -> Handle:  # noqa: ARG002 (combat keeps nothing by partition)
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""
        rules = self._rules

        def handle(event: Event[EventData]) -> str | None:
            data = event.data
            return rules[type(data)](data, event.key)

        return handle

    def drop(self, partition: int) -> None:
        """Combat keeps nothing by partition."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the totals: damage by match, and counts."""
        counts = {name: count for name, count in self._counts.items() if count}
        results: dict[str, Any] = cast("dict[str, Any]", counts)
        if self._damage:
            results["damage"] = self._damage
        self._damage = {}
        self._counts = dict.fromkeys(self._counts, 0)
        return [], results

    def _hit(self, hit: DamageV2, match: str) -> str | None:
        reason = check_hit(hit)
        if reason is None:
            self._damage[match] = self._damage.get(match, 0) + damage_dealt(hit)
            self._counts["hits"] += 1
        return reason

    def _heal(self, heal: HealV1, match: str) -> str | None:  # noqa: ARG002 (all rules take the same)
        if heal.amount > MAX_HEAL[heal.source]:
            return "heal"
        self._counts["healed"] += heal.amount
        return None

    def _move(self, move: MoveV1, match: str) -> str | None:  # noqa: ARG002 (all rules take the same)
        reason = check_move(move)
        if reason is None:
            self._counts["moves"] += 1
        return reason

    def _ability(self, cast_: AbilityCastV1, match: str) -> str | None:  # noqa: ARG002 (all rules take the same)
        if cast_.since_last_ms < COOLDOWN_MS[cast_.ability]:
            return "cooldown"
        self._counts["abilities"] += 1
        return None

    def _kill(self, kill: KillV1, match: str) -> str | None:  # noqa: ARG002 (all rules take the same)
        if kill.distance_cm > WEAPONS[kill.weapon].range_cm:
            return "range"
        if kill.killer == kill.victim:
            return "self-kill"
        self._counts["kills"] += 1
        return None
