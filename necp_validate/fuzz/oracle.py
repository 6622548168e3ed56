"""What must become of every event, by the documented rules alone: an independent restatement of the event core's.

Written from the descriptions in ``events``, with a JSON parser and arithmetic of its own: no decoder, no handler and no
books of the event core are used, so a defect there is not repeated here. Events are told in their partition's order.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from necp_validate.events.combat import COOLDOWN_MS, CRIT_PCT, MAX_HEAL, MAX_SPEED_CM_S, WEAPONS, ZONE_PCT
from necp_validate.events.economy import OPENING_BALANCE, OPENING_STOCK, TREASURY
from necp_validate.events.social import MAX_MESSAGES_PER_MINUTE, RANKS
from necp_validate.events.system import CORES_MAX, MAX_SESSION_S, MIN_CLIENT_BUILD
from necp_validate.fuzz.cases import Case, Expected

Data = Mapping[str, Any]
Leg = tuple[str, str, str, str, int]
"""Shard, debit, credit, asset and amount of one posting."""

SPEED_TOLERANCE: Final = Fraction(11, 10)
"""A move may be a tenth faster than its mode's top speed."""
_MONEY: Final = "eddies"


@dataclass(slots=True)
class Effects:
    """What events have changed, in the terms in which the event core's outputs say it.

    Args:
        damage: hit points dealt.
        legs: postings of the ledger by the event's id.
        chat: ids of messages by region and channel, in their order.
        audit: ids of the entries of the audit trail.
        booked: number of processed events by type.
    """

    damage: int = 0
    legs: dict[str, list[Leg]] = field(default_factory=dict)
    chat: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    audit: Counter[str] = field(default_factory=Counter)
    booked: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Region:
    founders: dict[str, str] = field(default_factory=dict)
    member_of: dict[str, str] = field(default_factory=dict)


class Oracle:
    """Says what must become of each event, and sums up what they change.

    State belongs to a record key (a shard, a region), so only the order within a partition matters.
    """

    def __init__(self) -> None:
        self.effects = Effects()
        self._seen: set[str] = set()
        self._held: dict[tuple[str, str, str], int] = {}
        self._regions: dict[str, _Region] = defaultdict(_Region)

    def tell(self, case: Case) -> tuple[Expected, str]:
        """Take the next event of its partition; say what must become of it, and why.

        Args:
            case: as it was sent.
        """
        if not case.valid:
            return Expected.DEAD_LETTERED, case.problem
        event = json.loads(case.value or b"")
        rule = _RULES[event["type"]]
        why = rule(self, event, event["data"])
        if why:
            return Expected.REJECTED, why
        self.effects.booked[event["type"]] += 1
        return Expected.PROCESSED, ""

    def _hit(self, _event: Data, hit: Data) -> str:
        weapon = WEAPONS[hit["weapon"]]
        distance, shots, window_ms = hit.get("distance_cm", 0), hit.get("shots", 1), hit.get("window_ms", 1_000)
        if hit["damage"] > weapon.max_damage:
            return "damage"
        if distance > weapon.range_cm:
            return "range"
        if shots > 1 and Fraction(shots * 1_000, window_ms) > weapon.max_rounds_per_s:
            return "rate-of-fire"
        near = weapon.range_cm // 2
        falloff = 100 - max(distance - near, 0) * 50 // (weapon.range_cm - near)
        critical = CRIT_PCT if hit["critical"] else 100
        raw = hit["damage"] * ZONE_PCT[hit.get("zone", "torso")] * falloff * critical * 100
        self.effects.damage += max(raw // ((100 + hit["armour"]) * 1_000_000), 1)
        return ""

    def _heal(self, _event: Data, heal: Data) -> str:
        return "heal" if heal["amount"] > MAX_HEAL[heal["source"]] else ""

    def _move(self, _event: Data, move: Data) -> str:
        squared = sum((b - a) ** 2 for a, b in zip(move["from_cm"], move["to_cm"], strict=True))
        # Both sides in (cm * ms / s) squared; the limit is rounded down to a whole number, as it is defined.
        limit = int(MAX_SPEED_CM_S[move["mode"]] * move["elapsed_ms"] * SPEED_TOLERANCE)
        return "speed" if squared * 1_000_000 > limit**2 else ""

    def _ability(self, _event: Data, cast: Data) -> str:
        return "cooldown" if cast["since_last_ms"] < COOLDOWN_MS[cast["ability"]] else ""

    def _kill(self, _event: Data, kill: Data) -> str:
        if kill["distance_cm"] > WEAPONS[kill["weapon"]].range_cm:
            return "range"
        return "self-kill" if kill["killer"] == kill["victim"] else ""

    def _once(self, event: Data) -> bool:
        new = event["id"] not in self._seen
        self._seen.add(event["id"])
        return new

    def _has(self, shard: str, account: str, asset: str, amount: int) -> bool:
        opening = OPENING_BALANCE if asset == _MONEY else OPENING_STOCK
        return account == TREASURY or self._held.get((shard, account, asset), opening) >= amount

    def _book(self, event: Data, *moves: tuple[str, str, str, int]) -> None:
        shard, legs = event["key"], []
        for debit, credit, asset, amount in moves:
            opening = OPENING_BALANCE if asset == _MONEY else OPENING_STOCK
            for account, change in ((debit, -amount), (credit, amount)):
                place = (shard, account, asset)
                self._held[place] = self._held.get(place, opening) + change
            legs.append((shard, debit, credit, asset, amount))
        self.effects.legs[event["id"]] = legs

    def _transfer(self, event: Data, transfer: Data) -> str:
        if not self._once(event):
            return "duplicate"
        debit, credit, amount = transfer["debit"], transfer["credit"], transfer["amount"]
        if debit == credit:
            return "to-oneself"
        if not self._has(event["key"], debit, _MONEY, amount):
            return "insufficient-funds"
        self._book(event, (debit, credit, _MONEY, amount))
        return ""

    def _reward(self, event: Data, reward: Data) -> str:
        if not self._once(event):
            return "duplicate"
        if reward["account"] == TREASURY:
            return "to-oneself"
        self._book(event, (TREASURY, reward["account"], _MONEY, reward["amount"]))
        return ""

    def _trade(self, event: Data, trade: Data) -> str:
        if not self._once(event):
            return "duplicate"
        buyer, seller, item, quantity = trade["buyer"], trade["seller"], trade["item"], trade["quantity"]
        price = quantity * trade["unit_price"]
        if buyer == seller:
            return "to-oneself"
        if not self._has(event["key"], seller, item, quantity):
            return "insufficient-stock"
        if not self._has(event["key"], buyer, _MONEY, price):
            return "insufficient-funds"
        self._book(event, (buyer, seller, _MONEY, price), (seller, buyer, item, quantity))
        return ""

    def _listing(self, event: Data, listing: Data) -> str:
        if not self._once(event):
            return "duplicate"
        covered = self._has(event["key"], listing["seller"], listing["item"], listing["quantity"])
        return "" if covered else "insufficient-stock"

    def _price_tick(self, event: Data, tick: Data) -> str:
        if not self._once(event):
            return "duplicate"
        return "crossed-prices" if tick["bid"] > tick["ask"] else ""

    def _chat(self, event: Data, message: Data) -> str:
        if message.get("sent_last_minute", 1) > MAX_MESSAGES_PER_MINUTE:
            return "flood"
        self.effects.chat[event["key"], message["channel"]].append(event["id"])
        return ""

    def _guild_create(self, event: Data, founding: Data) -> str:
        region, guild, leader = self._regions[event["key"]], founding["guild"], founding["leader"]
        if region.founders.get(guild, leader) != leader:
            return "guild-exists"
        if region.member_of.get(leader, guild) != guild:
            return "in-another-guild"
        region.founders[guild], region.member_of[leader] = leader, guild
        return ""

    def _guild_join(self, event: Data, joining: Data) -> str:
        region, player = self._regions[event["key"]], joining["player"]
        if RANKS[joining["inviter_rank"]] < RANKS["officer"]:
            return "inviter-rank"
        if region.member_of.get(player, joining["guild"]) != joining["guild"]:
            return "in-another-guild"
        region.member_of[player] = joining["guild"]
        return ""

    def _guild_leave(self, event: Data, leaving: Data) -> str:
        region, guild, player = self._regions[event["key"]], leaving["guild"], leaving["player"]
        if leaving["rank"] == "leader" or region.founders.get(guild) == player:
            successor = leaving["successor"]
            if successor in (None, player):
                return "no-successor"
            if region.member_of.get(successor, guild) != guild:
                return "in-another-guild"
            region.member_of[successor] = guild
            if region.founders.get(guild) == player:
                region.founders[guild] = successor
        self._goes(region, guild, player)
        return ""

    def _guild_kick(self, event: Data, kick: Data) -> str:
        region, guild, player = self._regions[event["key"]], kick["guild"], kick["player"]
        rank = RANKS["leader" if region.founders.get(guild) == player else kick["rank"]]
        if RANKS[kick["by_rank"]] < RANKS["officer"] or rank >= RANKS[kick["by_rank"]]:
            return "kick-rank"
        self._goes(region, guild, player)
        return ""

    @staticmethod
    def _goes(region: _Region, guild: str, player: str) -> None:
        if region.member_of.get(player) == guild:
            del region.member_of[player]

    def _friend(self, _event: Data, friendship: Data) -> str:
        return "self-friend" if friendship["player"] == friendship["friend"] else ""

    def _audit(self, event: Data, _entry: Data) -> str:
        self.effects.audit[event["id"]] += 1
        return ""

    def _health(self, _event: Data, health: Data) -> str:
        return "cpu-above-cores" if health["cpu_millis"] > min(health["cores"], CORES_MAX) * 1_000 else ""

    def _session_start(self, _event: Data, session: Data) -> str:
        return "client-too-old" if session["client_build"] < MIN_CLIENT_BUILD else ""

    def _session_end(self, _event: Data, session: Data) -> str:
        return "session-too-long" if session["duration_s"] > MAX_SESSION_S else ""

    def _config_change(self, _event: Data, _change: Data) -> str:
        return ""


_RULES: Final[Mapping[str, Callable[[Oracle, Data, Data], str]]] = {
    "combat.damage": Oracle._hit,
    "combat.heal": Oracle._heal,
    "combat.move": Oracle._move,
    "combat.ability_cast": Oracle._ability,
    "combat.kill": Oracle._kill,
    "economy.transfer": Oracle._transfer,
    "economy.trade": Oracle._trade,
    "economy.reward": Oracle._reward,
    "economy.listing": Oracle._listing,
    "economy.price_tick": Oracle._price_tick,
    "social.chat_message": Oracle._chat,
    "social.guild_create": Oracle._guild_create,
    "social.guild_join": Oracle._guild_join,
    "social.guild_leave": Oracle._guild_leave,
    "social.guild_kick": Oracle._guild_kick,
    "social.friend_add": Oracle._friend,
    "system.audit": Oracle._audit,
    "system.health": Oracle._health,
    "system.session_start": Oracle._session_start,
    "system.session_end": Oracle._session_end,
    "system.config_change": Oracle._config_change,
}
