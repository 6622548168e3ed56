"""What the players of a process share: their sockets, the clock that says who is due, the account."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import gevent

from necp_validate.core.first_failure import FirstFailure
from necp_validate.players.account import Account
from necp_validate.players.agenda import Stay, agenda
from necp_validate.players.persona import Persona
from necp_validate.players.plan import PlayersPlan
from necp_validate.players.player import Session
from necp_validate.players.sockets import Broken, Line, SharedSocket, tls_context
from necp_validate.realtime.replica import Workshop

_IDLE_S: Final = 0.002
_AT_ONCE: Final = 200
_GREED: Final = 6.0
"""So many times the limit does a greedy player ask for, until it is limited."""

_GREED_LIMITED: Final = 1.5
"""And so many times from then on: still over the limit, and not a flood, which would cost it its session."""

Due = tuple[int, int, "Playing", str, int]
"""When (epoch), a number that keeps the order, who, what, and how far it is to the next one in microseconds."""


class Playing:
    """A session with its connections."""

    def __init__(self, session: Session, line: Line, udp: SharedSocket) -> None:
        self.session = session
        self.line = line
        self.udp = udp
        self.acting = True

    def send(self, datagram: bytes) -> None:
        """Send a datagram, unless the player's own line loses it."""
        if not self.session.loses():
            self.udp.send(datagram)

    def close(self) -> None:
        """Let go of the connections; the socket is the others', too."""
        self.acting = False
        self.udp.sessions.pop(self.session.id, None)
        self.line.close()


class Game:
    """The shared state of one process of players.

    Args:
        plan: what to do.
        worker: index of this process, from 0.
        start_us: second 0 of the first phase (epoch).
        failure: takes what ends a greenlet early.
    """

    def __init__(self, plan: PlayersPlan, worker: int, start_us: int, failure: FirstFailure) -> None:
        self.plan = plan
        self.worker = worker
        self.start_us = start_us
        self.failure = failure
        self.account = Account(plan, f"p{worker}", start_us)
        self.workshop = Workshop()
        self.context = tls_context(plan.tls)
        self.playing: dict[int, Playing] = {}
        self.done = 0
        everybody = list(enumerate(agenda(plan)))
        self._waiting = iter(everybody[worker :: plan.processes])
        self.players = len(everybody[worker :: plan.processes])
        self._udp: dict[tuple[int, int], SharedSocket] = {}
        self._due: list[Due] = []
        self._order = count()

    @property
    def end_us(self) -> int:
        """When the last phase ends (epoch)."""
        return self.start_us + round(self.plan.duration_s * 1e6)

    def claim(self) -> tuple[Persona, list[Stay], bool] | None:
        """Give the next player of this process to a user, and whether it is a greedy one; None when all are taken."""
        taken = next(self._waiting, None)
        if taken is None:
            return None
        number, stays = taken
        return Persona(number, self.plan.run_id, self.plan.seed), stays, number >= self.plan.most_players

    def line_of(self, number: int) -> Callable[[], bool]:
        """Whether the next datagram of a player is lost on its own line; most have a good one."""
        rng = random.Random(f"{self.plan.seed}/line/{number}")
        if rng.random() >= self.plan.bad_line_share:
            return lambda: False
        return lambda: rng.random() < self.plan.bad_line_loss

    def udp(self, number: int, port: int) -> SharedSocket:
        """The socket that a player shares with its group."""
        group = number // self.plan.udp_group
        found = self._udp.get((group, port))
        if found is None:
            found = self._udp[group, port] = SharedSocket((self.plan.udp_host, port), self._came)
            self.failure.watch(found.reader)
        return found

    def _came(self, length: int, problem: str) -> None:
        if problem:
            self.account.bad[problem] += 1
        if length:
            self.account.udp["bytes_received"] += length

    def enter(self, playing: Playing, *, greedy: bool) -> None:
        """A session begins: from now on its moves and actions are due."""
        session, plan = playing.session, self.plan
        self.playing[session.id] = playing
        rng = random.Random(f"{plan.seed}/{session.persona.number}/{session.begun_us}")
        if greedy:
            rates = {"move": plan.move_hz, "transfer": _GREED * plan.limit_per_minute / 60}
        else:
            rates = {"move": plan.move_hz, "hit": plan.hit_per_s, "trade": plan.trade_per_s, "chat": plan.chat_per_s}
        for what, per_s in rates.items():
            if per_s > 0:
                step_us = round(1e6 / per_s)
                begin_us = session.begun_us + round(rng.random() * step_us)
                heapq.heappush(self._due, (begin_us, next(self._order), playing, what, step_us))

    def leave(self, playing: Playing) -> None:
        """A session is over."""
        self.playing.pop(playing.session.id, None)
        playing.close()
        playing.session.close(time.time_ns() // 1000)

    def play(self, running: Callable[[], bool]) -> None:
        """Do what is due, as long as ``running`` says so; a greenlet of its own."""
        due = self._due
        while running():
            now_us = time.time_ns() // 1000
            for _ in range(_AT_ONCE):
                if not due or due[0][0] > now_us:
                    gevent.sleep(_IDLE_S)
                    break
                self._do(*heapq.heappop(due), now_us)
            else:
                gevent.sleep(0)

    def _do(self, due_us: int, _: int, playing: Playing, what: str, step_us: int, now_us: int) -> None:
        if not playing.acting:
            return
        session = playing.session
        next_us = due_us + step_us
        if what == "move":
            # A move is where to go from now on, so one that is late stands for those that it made late.
            next_us += max(now_us - next_us, 0) // step_us * step_us
            playing.send(session.move())
        elif what == "hit":
            playing.send(session.hit(due_us, now_us))
        else:
            text = session.say(what, due_us, now_us)
            try:
                playing.line.send(text)
            except Broken:
                return  # whoever reads from the line sees it too
            if session.limited:
                step_us = round(60e6 / (_GREED_LIMITED * self.plan.limit_per_minute))
                next_us = due_us + step_us
        heapq.heappush(self._due, (next_us, next(self._order), playing, what, step_us))

    @property
    def online(self) -> int:
        """Players that have state."""
        return sum(one.session.state_us > 0 for one in self.playing.values())

    def close(self) -> None:
        """Close the sockets; the sessions must be over."""
        for udp in self._udp.values():
            udp.close()
