"""Combat sessions: hits, moves, abilities, heals and kills, each of them now and then a cheat.

The model judges one event by the balance tables and the formula of ``necp_validate.events.combat``, in fractions. What
must hold: a cheat is rejected wherever it stands in its match, everything else is processed, and damage, healing and
counts of the receipts are the model's. A hit that is delivered again is judged as it was before; combat is handled at
least once, and nobody claims that it deals its damage once only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from necp_validate.events.base import EventData
from necp_validate.events.combat import (
    COOLDOWN_MS,
    CRIT_PCT,
    MAX_HEAL,
    MAX_SPEED_CM_S,
    WEAPONS,
    ZONE_PCT,
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
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent
from necp_validate.fuzz.machines.machine import KEYS, DomainMachine, assert_same, at_least_once

TOTALS: Final = ("damage", "hits", "healed", "moves", "abilities", "kills")
_TOLERANCE: Final = Fraction(110, 100)
"""Of the top speed; the reference allows clients' clocks so much."""

matches: Final = st.sampled_from(KEYS)
players: Final = st.sampled_from(("vic", "jackie", "tbug"))
weapons: Final[st.SearchStrategy[WeaponName]] = st.sampled_from(
    ("pistol", "smg", "rifle", "sniper", "shotgun", "katana")
)
zones: Final[st.SearchStrategy[ZoneName]] = st.sampled_from(("torso", "head", "limb"))
modes: Final[st.SearchStrategy[MoveMode]] = st.sampled_from(("walk", "sprint", "dash", "vehicle"))
abilities: Final[st.SearchStrategy[AbilityName]] = st.sampled_from(
    ("overclock", "optical_camo", "quickhack", "adrenaline", "smart_shield")
)
sources: Final[st.SearchStrategy[HealSource]] = st.sampled_from(("medkit", "stim", "implant"))
over: Final = st.sampled_from((0, 1, -1)) | st.integers(-1_000, 1_000)
"""By how much a limit is exceeded; what is not more than 0 keeps it."""
coordinates: Final = st.integers(-1_000, 1_000)


def fair(data: EventData) -> bool:
    """Say whether an event keeps all limits of the balance tables."""
    match data:
        case DamageV1():
            return data.damage <= WEAPONS[data.weapon].max_damage
        case DamageV2():
            weapon = WEAPONS[data.weapon]
            allowed = Fraction(weapon.max_rounds_per_s * data.window_ms, 1_000)
            in_rate = data.shots == 1 or data.shots <= allowed  # the first shot needs no time before it
            return data.damage <= weapon.max_damage and data.distance_cm <= weapon.range_cm and in_rate
        case HealV1():
            return data.amount <= MAX_HEAL[data.source]
        case MoveV1():
            return _fair_move(data)
        case AbilityCastV1():
            return data.since_last_ms >= COOLDOWN_MS[data.ability]
        case KillV1():
            return data.killer != data.victim and data.distance_cm <= WEAPONS[data.weapon].range_cm
    raise AssertionError(f"not of combat: {data}")


def damage_of(data: DamageV1 | DamageV2) -> int:
    """Compute the damage of a hit: the product of its factors, rounded down twice, and at least 1."""
    zone, falloff = 100, Fraction(0)
    if isinstance(data, DamageV2):
        reach = WEAPONS[data.weapon].range_cm
        half = reach // 2
        zone, falloff = ZONE_PCT[data.zone], Fraction(50 * max(0, data.distance_cm - half), reach - half)
    factors = (zone, 100 - floor(falloff), CRIT_PCT if data.critical else 100)
    exact = Fraction(data.damage * 100, 100 + data.armour)
    for factor in factors:
        exact *= Fraction(factor, 100)
    return max(1, floor(exact))


class Referee:
    """Judges events one by one and adds up what they bring."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()

    def apply(self, sent: Sent) -> bool:
        """Take an event in; say whether it is fair."""
        if not fair(sent.data):
            return False
        match sent.data:
            case DamageV1() | DamageV2():
                self.totals.update(damage=damage_of(sent.data), hits=1)
            case HealV1():
                self.totals["healed"] += sent.data.amount
            case MoveV1():
                self.totals["moves"] += 1
            case AbilityCastV1():
                self.totals["abilities"] += 1
            case KillV1():
                self.totals["kills"] += 1
        return True

    def forget(self) -> None:
        """A referee that looks at one event alone has nothing to forget."""


class CombatMachine(DomainMachine):
    """Drives combat and compares it with :class:`Referee`."""

    domain = Domain.COMBAT
    events = DomainMachine.events

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.referee = Referee()

    @rule(
        target=events,
        match=matches,
        attacker=players,
        target_=players,
        weapon=weapons,
        zone=zones,
        over_damage=over,
        over_range=over | st.integers(-150_000, 0),
        armour=st.integers(0, 1_000),
        critical=st.booleans(),
    )
    def hit(
        self,
        match: str,
        attacker: str,
        target_: str,
        weapon: WeaponName,
        zone: ZoneName,
        over_damage: int,
        over_range: int,
        armour: int,
        critical: bool,
    ) -> Sent:
        """One shot that hits, around the most that its weapon does and how far it reaches."""
        data = DamageV2(
            attacker=attacker,
            target=target_,
            weapon=weapon,
            damage=max(1, WEAPONS[weapon].max_damage + over_damage),
            armour=armour,
            critical=critical,
            zone=zone,
            distance_cm=max(0, WEAPONS[weapon].range_cm + over_range),
            shots=1,
            window_ms=1_000,
        )
        return self.send(self.make(match, data))

    @rule(target=events, match=matches, weapon=weapons, over_shots=over, window_ms=st.integers(1, 60_000))
    def burst(self, match: str, weapon: WeaponName, over_shots: int, window_ms: int) -> Sent:
        """Hits out of a burst, around the weapon's rate of fire."""
        allowed = WEAPONS[weapon].max_rounds_per_s * window_ms // 1_000
        data = DamageV2(
            attacker="vic",
            target="jackie",
            weapon=weapon,
            damage=1,
            armour=0,
            critical=False,
            zone="torso",
            distance_cm=0,
            shots=min(max(1, allowed + over_shots), 1_000),
            window_ms=window_ms,
        )
        return self.send(self.make(match, data))

    @rule(target=events, match=matches, weapon=weapons, over_damage=over, armour=st.integers(0, 1_000))
    def hit_v1(self, match: str, weapon: WeaponName, over_damage: int, armour: int) -> Sent:
        """A hit as the clients of the version before report it."""
        damage = max(1, WEAPONS[weapon].max_damage + over_damage)
        data = DamageV1(attacker="vic", target="jackie", weapon=weapon, damage=damage, armour=armour, critical=False)
        return self.send(self.make(match, data))

    @rule(
        target=events,
        match=matches,
        mode=modes,
        elapsed_ms=st.integers(1, 60_000),
        over_cm=over,
        start=st.tuples(coordinates, coordinates, coordinates),
        sideways=coordinates,
    )
    def move(
        self, match: str, mode: MoveMode, elapsed_ms: int, over_cm: int, start: tuple[int, int, int], sideways: int
    ) -> Sent:
        """A move about as far as its mode allows, and perhaps a little to the side."""
        far = max(0, MAX_SPEED_CM_S[mode] * elapsed_ms * 110 // 100_000 + over_cm)
        x, y, z = start
        data = MoveV1(player="vic", mode=mode, from_cm=start, to_cm=(x + far, y - sideways, z), elapsed_ms=elapsed_ms)
        return self.send(self.make(match, data))

    @rule(target=events, match=matches, ability=abilities, over_ms=over)
    def cast(self, match: str, ability: AbilityName, over_ms: int) -> Sent:
        """An ability, around the end of its cooldown."""
        since = COOLDOWN_MS[ability] - over_ms
        return self.send(
            self.make(match, AbilityCastV1(caster="vic", ability=ability, target=None, since_last_ms=since))
        )

    @rule(target=events, match=matches, source=sources, over_amount=over)
    def heal(self, match: str, source: HealSource, over_amount: int) -> Sent:
        """Hit points given back, around the most that a source has."""
        amount = max(1, MAX_HEAL[source] + over_amount)
        return self.send(self.make(match, HealV1(healer="vic", target="vic", source=source, amount=amount)))

    @rule(target=events, match=matches, killer=players, victim=players, weapon=weapons, over_range=over)
    def kill(self, match: str, killer: str, victim: str, weapon: WeaponName, over_range: int) -> Sent:
        """A kill, around the weapon's range."""
        distance = max(0, WEAPONS[weapon].range_cm + over_range)
        data = KillV1(killer=killer, victim=victim, weapon=weapon, distance_cm=distance, assists=[])
        return self.send(self.make(match, data))

    def predict(self, batch: Sequence[Sent], crash: Crash | None) -> list[tuple[Outcome, ...]]:
        """The verdict on each event, again for those that are handled again."""
        return at_least_once(batch, crash, self.referee)

    def check(self) -> None:
        """Compare the receipts' totals with the model's."""
        assert_same(
            "totals", {name: self.driver.total(name) for name in TOTALS}, {n: self.referee.totals[n] for n in TOTALS}
        )


def _fair_move(move: MoveV1) -> bool:
    """Compare squares, as a root would round: what was covered, and the most that may be in the time."""
    covered = sum((b - a) ** 2 for a, b in zip(move.from_cm, move.to_cm, strict=True))
    most = _TOLERANCE * MAX_SPEED_CM_S[move.mode] * Fraction(move.elapsed_ms, 1_000)
    return covered <= most**2
