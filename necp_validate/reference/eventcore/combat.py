"""Combat: anti-cheat against the balance tables, and the damage model.

The rules look at one event alone, so a verdict depends neither on other streams nor on a redelivery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

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
from necp_validate.reference.eventcore.handling import Counts, Handle, Output

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
        self._counts = Counts()
        self._rules: dict[type[EventData], Callable[[Any, str, dict[str, int]], str | None]] = {
            DamageV2: self._hit,
            HealV1: self._heal,
            MoveV1: self._move,
            AbilityCastV1: self._ability,
            KillV1: self._kill,
        }

    def open(self, partition: int) -> Handle:
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""
        rules, counts = self._rules, self._counts.of(partition)

        def handle(event: Event[EventData]) -> str | None:
            data = event.data
            return rules[type(data)](data, event.key, counts)

        return handle

    def drop(self, partition: int) -> None:
        """Combat keeps nothing by partition."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the totals: damage by match, and counts."""
        results: dict[str, Any] = self._counts.take()
        if self._damage:
            results["damage"] = self._damage
        self._damage = {}
        return [], results

    def _hit(self, hit: DamageV2, match: str, counts: dict[str, int]) -> str | None:
        reason = check_hit(hit)
        if reason is None:
            self._damage[match] = self._damage.get(match, 0) + damage_dealt(hit)
            counts["hits"] = counts.get("hits", 0) + 1
        return reason

    def _heal(self, heal: HealV1, _match: str, counts: dict[str, int]) -> str | None:
        if heal.amount > MAX_HEAL[heal.source]:
            return "heal"
        counts["healed"] = counts.get("healed", 0) + heal.amount
        return None

    def _move(self, move: MoveV1, _match: str, counts: dict[str, int]) -> str | None:
        reason = check_move(move)
        if reason is None:
            counts["moves"] = counts.get("moves", 0) + 1
        return reason

    def _ability(self, cast_: AbilityCastV1, _match: str, counts: dict[str, int]) -> str | None:
        if cast_.since_last_ms < COOLDOWN_MS[cast_.ability]:
            return "cooldown"
        counts["abilities"] = counts.get("abilities", 0) + 1
        return None

    def _kill(self, kill: KillV1, _match: str, counts: dict[str, int]) -> str | None:
        if kill.distance_cm > WEAPONS[kill.weapon].range_cm:
            return "range"
        if kill.killer == kill.victim:
            return "self-kill"
        counts["kills"] = counts.get("kills", 0) + 1
        return None
