"""One player through all its sessions: its name, and what it chooses to do next."""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Final, NamedTuple
from zlib import crc32

from necp_validate.events.base import EventData
from necp_validate.events.combat import WEAPONS, DamageV2
from necp_validate.events.economy import ITEMS, TradeV1, TransferV2
from necp_validate.events.social import ChatMessageV2
from necp_validate.events.topics import Domain
from necp_validate.players.agenda import region
from necp_validate.realtime.constants import MODES, TOP_SPEED, WORLD_UNIT_CM
from necp_validate.realtime.messages import ActionData, Hit, Say, Trade, Transfer
from necp_validate.realtime.state import State

CHANNEL: Final = "general"
_MARKETS: Final = 64
_WALK, _SPRINT = MODES.index("walk"), MODES.index("sprint")
_STRAY: Final = 900
"""World units that a player strays from where it began, so that who is together stays together."""

_TURN_MOVES: Final = 12


class Choice(NamedTuple):
    """Something to do: the action, and the event that must come of it."""

    kind: str
    domain: str
    data: ActionData
    event: EventData


class Step(NamedTuple):
    """How to go on: way of moving, velocity in world units a second, direction of looking."""

    mode: int
    vx: int
    vy: int
    yaw: int


class Persona:
    """A player.

    Args:
        number: which.
        run_id: makes its name unique to the run.
        seed: same seed, same choices.
    """

    def __init__(self, number: int, run_id: str, seed: int) -> None:
        self.number = number
        # The run's id begins with its time: the end is what differs between runs of one day.
        self.name = f"p{number:05d}-{run_id[-16:]}"
        self.region = region(number)
        self._rng = random.Random(f"{seed}/player/{number}")
        self._orders = 0
        self._said = 0
        self._said_us: deque[int] = deque()
        self._begin: tuple[int, int] | None = None
        self._step = Step(0, 0, 0, 0)
        self._moves = 0

    @property
    def market(self) -> str:
        """Key of its economy events."""
        return f"market-{crc32(self.name.encode()) % _MARKETS:04d}"

    def arrive(self) -> None:
        """Begin a session: its place is that of the first state that comes."""
        self._begin = None
        self._moves = 0

    def step(self, own: State | None) -> Step:
        """How to move from now on.

        Args:
            own: the player's entity, where it is known.
        """
        self._moves += 1
        if own is None:
            return self._step
        if self._begin is None:
            self._begin = (own.x, own.y)
        if self._moves % _TURN_MOVES == 1:
            away_x, away_y = own.x - self._begin[0], own.y - self._begin[1]
            if away_x * away_x + away_y * away_y > _STRAY * _STRAY:
                angle = math.atan2(-away_y, -away_x)
            else:
                angle = self._rng.random() * math.tau
            mode = _SPRINT if self._rng.random() < 0.5 else _WALK
            # A little below the top speed: rounding must not make it a cheat.
            speed = (TOP_SPEED[mode] - 2) * (0.0 if self._rng.random() < 0.15 else 1.0)
            yaw = round(angle % math.tau / math.tau * 65_536) % 65_536
            self._step = Step(mode, round(speed * math.cos(angle)), round(speed * math.sin(angle)), yaw)
        return self._step

    def turns(self) -> bool:
        """Whether the next step looks at where the player is."""
        return self._begin is None or self._moves % _TURN_MOVES == 0

    def hit(self, own: State | None, others: list[State]) -> Choice:
        """A shot at somebody in sight, with a weapon that reaches; at nothing in particular if nobody is."""
        target = self._rng.choice(others) if others else None
        distance_cm = 0
        if own is not None and target is not None:
            distance_cm = round(math.hypot(own.x - target.x, own.y - target.y) * WORLD_UNIT_CM)
        weapon: str = next(name for name in ("pistol", "rifle", "sniper") if distance_cm <= WEAPONS[name].range_cm)
        hit = Hit(
            target=target.id if target is not None else 1,
            weapon=weapon,  # type: ignore[arg-type]  # one of the names, which the type system cannot see
            damage=self._rng.randint(1, WEAPONS[weapon].max_damage),
            armour=self._rng.randrange(0, 200),
            critical=self._rng.random() < 0.1,
            distance_cm=distance_cm,
        )
        event = DamageV2(
            attacker=self.name,
            target=f"entity-{hit.target}",
            weapon=hit.weapon,
            damage=hit.damage,
            armour=hit.armour,
            critical=hit.critical,
            zone=hit.zone,
            distance_cm=hit.distance_cm,
            shots=hit.shots,
            window_ms=hit.window_ms,
        )
        return Choice("hit", str(Domain.COMBAT), hit, event)

    def trade(self) -> Choice:
        """A small purchase."""
        self._orders += 1
        trade = Trade(
            order=f"{self.name[:24]}-o{self._orders}",
            seller="npc-vendor",
            item=self._rng.choice(ITEMS),
            quantity=self._rng.randint(1, 20),
            unit_price=self._rng.randint(1, 500),
        )
        event = TradeV1(
            order=trade.order,
            buyer=self.name,
            seller=trade.seller,
            item=trade.item,
            quantity=trade.quantity,
            unit_price=trade.unit_price,
        )
        return Choice("trade", str(Domain.ECONOMY), trade, event)

    def transfer(self) -> Choice:
        """One coin to the same account, again and again: what a greedy player asks for."""
        transfer = Transfer(credit="npc-vendor", amount=1)
        event = TransferV2(debit=self.name, credit="npc-vendor", amount=1, currency="eddies", memo=None)
        return Choice("transfer", str(Domain.ECONOMY), transfer, event)

    def chat(self, now_us: int) -> Choice:
        """A message that says who sent it and which of its messages it is."""
        said = self._said_us
        while said and said[0] <= now_us - 60_000_000:
            said.popleft()
        said.append(now_us)
        self._said += 1
        say = Say(channel=CHANNEL, text=f"{self.name} says {self._said}", sent_last_minute=len(said))
        event = ChatMessageV2(
            channel=say.channel,
            sender=self.name,
            text=say.text,
            language=say.language,
            sent_last_minute=say.sent_last_minute,
        )
        return Choice("chat", str(Domain.SOCIAL), say, event)


def number_of(text: str) -> int | None:
    """The number in a message that :meth:`Persona.chat` made; ``None`` for any other message."""
    number = text.rpartition(" ")[2]
    return int(number) if " says " in text and number.isascii() and number.isdigit() else None
