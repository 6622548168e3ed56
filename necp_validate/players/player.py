"""One session of a player, without any I/O: what comes in is handed to it, what goes out it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from necp_validate.events.topics import Domain
from necp_validate.players.account import Account
from necp_validate.players.actions import SessionActions
from necp_validate.players.persona import Choice, Persona, number_of
from necp_validate.players.view import View
from necp_validate.realtime.frames import (
    BadFrame,
    Direction,
    Input,
    Kind,
    Opener,
    Sealer,
    encode_ack,
    encode_input,
    read_header,
)
from necp_validate.realtime.messages import (
    Accepted,
    Chat,
    Error,
    GatewayMessage,
    Goodbye,
    Pong,
    Refused,
    Result,
    Summary,
    Welcome,
    json_action,
    udp_action,
)
from necp_validate.realtime.replica import Workshop
from necp_validate.realtime.state import State, unpack
from necp_validate.record import GreedySession, IntervalSet

_AGE_SAMPLED: Final = 8
_ECHO_US: Final = 2_000_000
"""So long after its result, a message must have been shown to who sent it."""


@dataclass(slots=True)
class _Talk:
    """Chat of one channel as it came in one session."""

    offset: int = -1
    said: dict[str, IntervalSet] = field(default_factory=dict)


def _never() -> bool:
    return False


class Session:
    """A player who is logged in.

    Args:
        persona: who it is.
        match: the match it plays in.
        welcome: the gateway's answer to its login.
        account: of the process.
        workshop: shared by all views of the process.
        now_us: clock.
        greedy: whether it exceeds the limit on purpose.
        loses: whether the player's line loses the next datagram, either way.
    """

    def __init__(
        self,
        persona: Persona,
        match: str,
        welcome: Welcome,
        account: Account,
        workshop: Workshop,
        now_us: int,
        *,
        greedy: bool = False,
        loses: Callable[[], bool] = _never,
    ) -> None:
        key = bytes.fromhex(welcome.key)
        self.persona = persona
        self.welcome = welcome
        self.id = int(welcome.session, 16)
        self.view = View(workshop)
        self.begun_us = now_us
        self.state_us = 0
        """When state came last; 0 as long as none has."""
        self.converged_us = 0
        self.summary: Summary | None = None
        self.over: str | None = None
        """Why the session is over, once it is."""
        self.leaving = False
        self.loses = loses
        self._account = account
        self._sealer = Sealer(self.id, key, Direction.TO_GATEWAY)
        self._opener = Opener(key, Direction.TO_CLIENT)
        self._came = 0
        self._inputs = 0
        self._talks: dict[str, _Talk] = {}
        self._to_be_shown: dict[int, int] = {}
        self._greedy = _Greed(now_us) if greedy else None
        streams = welcome.streams
        self.actions = SessionActions(
            account,
            {
                str(Domain.COMBAT): (streams.combat, Domain.COMBAT.topic, match),
                str(Domain.ECONOMY): (streams.economy, Domain.ECONOMY.topic, persona.market),
                str(Domain.SOCIAL): (streams.social, Domain.SOCIAL.topic, persona.region),
            },
        )
        account.opened(self.view)
        persona.arrive()

    @property
    def limited(self) -> bool:
        """Whether a greedy player has been refused for its rate."""
        return self._greedy is not None and self._greedy.limited_once

    def hello(self) -> bytes:
        """The datagram that tells the gateway where to send state."""
        return self._sealer.seal(Kind.HELLO)

    def move(self) -> bytes:
        """An INPUT datagram: the next step, with what has been received."""
        own = self.own() if self.persona.turns() else None
        step = self.persona.step(own)
        self._inputs += 1
        return self._sealer.seal(Kind.INPUT, encode_input(self.view.ack(), Input(self._inputs, *step)))

    def own(self) -> State | None:
        """The player's own entity, where it is known."""
        copy = self.view.cells.get(self.view.center)
        record = copy.content.entities.get(self.view.self_id) if copy is not None else None
        return unpack(record) if record is not None else None

    def hit(self, intended_us: int, now_us: int) -> bytes:
        """An ACTION datagram: a hit on somebody in the same cell."""
        copy = self.view.cells.get(self.view.center)
        others = [] if copy is None else [e for e in copy.content.entities.items() if e[0] != self.view.self_id][:64]
        choice = self.persona.hit(self.own(), [unpack(record) for _, record in others])
        number = self._begin(choice, intended_us, now_us, by_udp=True)
        body = encode_ack(self.view.ack()) + udp_action(number, intended_us, choice.kind, choice.data)
        return self._sealer.seal(Kind.ACTION, body)

    def say(self, kind: str, intended_us: int, now_us: int) -> bytes:
        """A WebSocket message: a ``trade``, a ``chat`` or a ``transfer``."""
        persona = self.persona
        if kind == "trade":
            choice = persona.trade()
        elif kind == "chat":
            choice = persona.chat(now_us)
        else:
            choice = persona.transfer()
        number = self._begin(choice, intended_us, now_us, by_udp=False)
        if choice.kind == "chat":
            self._to_be_shown[number] = number_of(choice.data.text) or 0  # type: ignore[attr-defined]  # it is a Say
        text = json_action(number, intended_us, choice.kind, choice.data)
        self._account.websocket["actions"] += 1
        return text

    def _begin(self, choice: Choice, intended_us: int, now_us: int, *, by_udp: bool) -> int:
        number = self.actions.begin(choice.kind, choice.domain, intended_us, choice.event, by_udp=by_udp)
        if by_udp:
            self._account.udp["actions"] += 1
        if self._greedy is not None:
            self._greedy.asked(number, now_us)
        self._account.latency("late", choice.kind, intended_us, now_us - intended_us)
        return number

    def datagram(self, datagram: bytes, now_us: int) -> bool:
        """Take a datagram that came for this session; tell whether it was state that could be used."""
        if self.loses():
            return False
        try:
            header = read_header(datagram)
            body, _ = self._opener.open(datagram, header.seq)
            if header.kind != Kind.STATE:
                raise BadFrame("kind")
            head = self.view.take(header.seq, body, now_us)
        except BadFrame as error:
            self._account.bad[error.reason] += 1
            return False
        self._came += 1
        if header.seq % _AGE_SAMPLED == 0:
            self._account.latency("age", "state", now_us, now_us - head.server_us)
        self.state_us = now_us
        if not self.converged_us and self.view.converged:
            self.converged_us = now_us
        if self.view.snapshot is not None:
            self._account.interest.add(self.view.snapshot, now_us)
            self.view.snapshot = None
        return True

    def message(self, message: GatewayMessage, now_us: int) -> None:
        """Take a WebSocket message."""
        match message:
            case Accepted():
                self.actions.accepted(message, now_us)
            case Result():
                action = self.actions.result(message, now_us)
                if action is not None and action.kind == "chat" and message.outcome != "processed":
                    self._to_be_shown.pop(message.n, None)
                elif action is not None and action.kind == "chat":
                    self._due_by(message.n, now_us)
            case Refused():
                self._refused(message, now_us)
            case Chat():
                self._chat(message)
            case Goodbye():
                self.summary = message.summary
                self.over = message.reason
            case Error():
                self._account.error(f"{self.persona.name}: {message.code}: {message.message}")
                self.over = message.code
            case Welcome() | Pong():
                pass

    def _refused(self, message: Refused, now_us: int) -> None:
        self._to_be_shown.pop(message.n, None)
        self.actions.refused(message)
        if message.reason != "rate-limited":
            return
        if self._greedy is not None:
            self._greedy.limited(message.n, now_us)
        else:
            self._account.sessions["limited_unduly"] += 1

    def _due_by(self, number: int, now_us: int) -> None:
        said = self._to_be_shown.pop(number, None)
        if said is None:
            return
        talks = [talk.said.get(self.persona.name) for talk in self._talks.values()]
        if not any(seen is not None and said in seen for seen in talks):
            # Kept by what was said, with the time of the result: the message itself may come a little later.
            self._to_be_shown[-said] = now_us

    def _chat(self, message: Chat) -> None:
        account = self._account
        account.chat["messages"] += 1
        number = number_of(message.text)
        if number is None:
            return  # not by a player of this suite
        talk = self._talks.setdefault(message.channel, _Talk())
        said = talk.said.setdefault(message.sender, IntervalSet())
        if message.sender == self.persona.name:
            self._to_be_shown.pop(-number, None)
        where = f"{self.persona.name} got {message.text!r} at offset {message.offset}"
        if number in said:
            account.chat_problem("repeated", where)
        elif (said.last or 0) > number:
            account.chat_problem("disordered", f"{where} after number {said.last}")
        elif message.offset < talk.offset:
            account.chat_problem("disordered", f"{where} after offset {talk.offset}")
        said.add(number, number)
        talk.offset = max(talk.offset, message.offset)

    def close(self, now_us: int) -> None:
        """The session is over; called once."""
        account = self._account
        # Datagrams that came out of order or not at all: numbers have no holes, so the count tells.
        account.udp["lost"] += max(self._opener.window.newest - self._came, 0)
        if self.summary is not None:
            for result_us in [at for number, at in self._to_be_shown.items() if number < 0]:
                if now_us - result_us > _ECHO_US:
                    account.chat_problem("undelivered", f"{self.persona.name}: processed and not shown")
            if not self.state_us and now_us - self.begun_us > _ECHO_US:
                account.sessions["without_state"] += 1
        self.actions.close(self.summary)
        account.closed(self.view)
        if self._greedy is not None:
            account.greedy.append(self._greedy.summed_up(now_us))


class _Greed:
    """Requests of a session over the limit: when each was made, and which were refused for their rate."""

    def __init__(self, now_us: int) -> None:
        self._asked = {0: now_us}  # the login is a request
        self._limited: set[int] = set()
        self._limited_us: int | None = None

    @property
    def limited_once(self) -> bool:
        return self._limited_us is not None

    def asked(self, number: int, now_us: int) -> None:
        self._asked[number] = now_us

    def limited(self, number: int, now_us: int) -> None:
        self._limited.add(number)
        if self._limited_us is None:
            self._limited_us = self._asked.get(number, now_us)

    def summed_up(self, now_us: int) -> GreedySession:
        begun_us = self._asked[0]
        first_us = self._limited_us
        allowed = [at for number, at in self._asked.items() if number not in self._limited]
        return GreedySession(
            seconds=(now_us - begun_us) / 1e6,
            requests=len(self._asked),
            answered=len(allowed),
            limited=len(self._limited),
            until_limited_s=None if first_us is None else (first_us - begun_us) / 1e6,
            answered_after=0 if first_us is None else sum(at >= first_us for at in allowed),
            most_in_a_minute=_most_within(allowed, 60_000_000),
        )


def _most_within(times_us: list[int], window_us: int) -> int:
    times_us = sorted(times_us)
    most = first = 0
    for last, at in enumerate(times_us):
        while at - times_us[first] >= window_us:
            first += 1
        most = max(most, last - first + 1)
    return most
