"""The rules of the gateway without its sockets: who is logged in, and what becomes of their actions."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple
from zlib import crc32

from necp_validate.events.envelope import encode as encode_event
from necp_validate.events.envelope import event_id
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.events.system import AuditV2
from necp_validate.events.topics import Domain
from necp_validate.realtime.constants import INPUTS_PER_S
from necp_validate.realtime.messages import (
    Accepted,
    Action,
    ActionData,
    BadMessage,
    Chat,
    Goodbye,
    Hit,
    Login,
    Ping,
    Pong,
    Refusal,
    Refused,
    Result,
    ResultName,
    Streams,
    Welcome,
    action_data,
    encode,
)
from necp_validate.reference.gateway.actions import draft
from necp_validate.reference.gateway.backbone import Backbone, ChatRecord, Delivered
from necp_validate.reference.gateway.config import GatewayConfig
from necp_validate.reference.gateway.encoding import Encoder
from necp_validate.reference.gateway.interest import View
from necp_validate.reference.gateway.limits import RequestLimits
from necp_validate.reference.gateway.metrics import Tally
from necp_validate.reference.gateway.results import Results
from necp_validate.reference.gateway.sessions import MAX_IN_FLIGHT, Outlet, Session, Sessions, Stream
from necp_validate.reference.gateway.ticking import AdaptiveRate
from necp_validate.reference.gateway.world import World
from necp_validate.reference.token_bucket import TokenBucket

log: Final = logging.getLogger(__name__)

CLOCK_TOLERANCE_US: Final = 600_000_000
"""An action says when it was meant to be sent; so far may it be from the gateway's own clock."""

MAX_WAITING: Final = 200_000
"""Acknowledged events of all players that wait for their receipt; beyond, actions are ``unavailable``."""

_RESULTS: Final[dict[Outcome, ResultName]] = {
    Outcome.PROCESSED: "processed",
    Outcome.REJECTED: "rejected",
    Outcome.DEAD_LETTERED: "dead-lettered",
}


class LoginRefused(Exception):
    """A login was refused.

    Args:
        code: one word: ``rate-limited``, ``full``, ``starting`` or ``shutdown``.
        message: the reason in words.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Sent(NamedTuple):
    """An action whose event was sent."""

    session: Session
    n: int
    event: str
    kind: str
    data: ActionData


class Gateway:
    """The gateway without its sockets.

    Args:
        config: the configuration.
        backbone: takes the events.
        clock: seconds, monotonic.
        now_us: microseconds since the epoch.
    """

    def __init__(
        self,
        config: GatewayConfig,
        backbone: Backbone,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self.config = config
        self.clock = clock
        self.now_us = now_us
        self.tally = Tally()
        self.world = World(config.grid, config.cells)
        self.encoder = Encoder(self.world, batch=config.batch, delta=config.delta)
        self.sessions = Sessions()
        self.rate = AdaptiveRate(config.tick_min_hz, config.tick_max_hz, adaptive=config.adaptive_tick)
        self.udp_port = 0
        self.draining = False
        self._backbone = backbone
        self._limits = RequestLimits(config.requests_per_min, clock)
        self._results: Results[_Sent] = Results()
        self._audits = Stream()

    @property
    def waiting(self) -> int:
        """Actions of present sessions that wait for an acknowledgement or a result."""
        return sum(len(session.in_flight) for session in self.sessions)

    def login(self, login: Login, outlet: Outlet) -> Session:
        """Begin a session and welcome the player; an older session of the same player ends.

        Args:
            login: what the client asks for.
            outlet: where its messages go.

        Raises:
            LoginRefused: it gets none.
        """
        now_s = self.clock()
        limit = self._limits.of(login.player)
        if limit.take(now_s):
            self.tally.limited += 1
            self._refuse_login("rate-limited", f"{login.player}: too many requests within a minute")
        if self.draining:
            self._refuse_login("shutdown", "the gateway is shutting down")
        if not self._backbone.ready:
            self._refuse_login("starting", "the gateway is not connected to its backbone yet")
        older = self.sessions.of(login.player)
        if older is None and self.sessions.full:
            self._refuse_login("full", f"there are {len(self.sessions)} players already")
        if older is not None:
            self.end(older, "replaced")
        session = Session(
            self.sessions.new_id(),
            player=login.player,
            match=login.match,
            region=login.region,
            outlet=outlet,
            limit=limit,
            states=TokenBucket(INPUTS_PER_S, INPUTS_PER_S, now_s),
            view=View(),
        )
        session.entity, session.slot = self.world.spawn(*self._place(login.match))
        self.sessions.add(session)
        self.tally.logins["replacing" if older else "accepted"] += 1
        outlet.send(self._welcome(session))
        return session

    def end(self, session: Session, reason: str) -> None:
        """End a session and say goodbye; whatever waits for its result is told that none will come."""
        if self.sessions.remove(session):
            self.world.remove(session.entity)
            self._give_up(session)
            session.outlet.finish(Goodbye(reason=reason, summary=session.summary()))

    def lost(self, session: Session) -> None:
        """End a session whose connection is gone."""
        if self.sessions.remove(session):
            self.world.remove(session.entity)

    def ping(self, session: Session, ping: Ping) -> None:
        """Answer a ping."""
        wait_s = self._limited(session)
        if wait_s:
            session.outlet.send(Refused(n=0, reason="rate-limited", retry_after_ms=int(1_000 * wait_s) + 1))
        else:
            session.outlet.send(Pong(n=ping.n))

    def act(self, session: Session, action: Action, *, udp: bool) -> None:
        """Take an action: send its event, or refuse it.

        Args:
            session: whose it is.
            action: the action.
            udp: whether it came in a datagram.
        """
        n = action.n
        if n in session.udp_numbers or n in session.ws_numbers:
            session.dropped["duplicate"] += 1
            self.tally.dropped["duplicate"] += 1
            return
        numbers = session.udp_numbers if udp else session.ws_numbers
        if numbers.full:
            self._refuse(session, action, "invalid")
            return
        numbers.add(n)
        wait_s = self._limited(session)
        if wait_s:
            self._refuse(session, action, "rate-limited", int(1_000 * wait_s) + 1)
            return
        if (
            self.draining
            or not self._backbone.ready
            or len(session.in_flight) >= MAX_IN_FLIGHT
            or len(self._results) >= MAX_WAITING
        ):
            self._refuse(session, action, "unavailable")
            return
        try:
            data = action_data(action, udp=udp)
        except BadMessage:
            self._refuse(session, action, "invalid")
            return
        if abs(action.ts_us - self.now_us()) > CLOCK_TOLERANCE_US:
            self._refuse(session, action, "invalid")
            return
        if self._send(session, action, data):
            session.in_flight.add(n)
        else:
            self._refuse(session, action, "unavailable")

    def sweep(self) -> None:
        """Forget results that nobody waits for any more; to be called every few seconds."""
        self._results.forget(lambda sent: sent.session.closed)

    def on_delivered(self, reports: list[Delivered]) -> None:
        """See :class:`necp_validate.reference.gateway.backbone.Listener`."""
        for sent, error, topic, partition, offset in reports:
            if error:
                log.warning("%s: an event was not acknowledged: %s", topic, error)
            if sent is None or sent.session.closed or sent.n not in sent.session.in_flight:
                continue
            session = sent.session
            if error:
                session.in_flight.discard(sent.n)
                self.tally.actions[sent.kind, "unavailable"] += 1
                session.outlet.send(Refused(n=sent.n, reason="unavailable"))
                continue
            session.outlet.send(Accepted(n=sent.n, event=sent.event, topic=topic, partition=partition, offset=offset))
            outcome = self._results.acknowledged(topic, partition, offset, sent)
            if outcome is not None:
                self._finish(sent, outcome)

    def on_receipts(self, receipts: list[Receipt]) -> None:
        """See :class:`necp_validate.reference.gateway.backbone.Listener`."""
        for receipt in receipts:
            for sent, outcome in self._results.receipt(receipt.topic, receipt.runs):
                self._finish(sent, outcome)

    def on_chat(self, records: list[ChatRecord]) -> None:
        """See :class:`necp_validate.reference.gateway.backbone.Listener`."""
        for region, channel, messages, partition, offset in records:
            outlets = [session.outlet for session in self.sessions.in_region(region)]
            if not outlets:
                continue
            for _, sender, _, words in messages:
                text = encode(Chat(channel=channel, sender=sender, text=words, partition=partition, offset=offset))
                for outlet in outlets:
                    outlet.send_encoded(text)

    def _refuse_login(self, code: str, message: str) -> None:
        self.tally.logins[code] += 1
        raise LoginRefused(code, message)

    def _place(self, match: str) -> tuple[int, int]:
        """Choose where a player begins: players of a match begin near each other."""
        grid, size = self.config.grid, self.world.limit
        seed = crc32(match.encode())
        middle_x, middle_y = (seed & 0xFFFF) * size // 0xFFFF, (seed >> 16) * size // 0xFFFF
        spread = 3 * grid
        return (
            middle_x - spread // 2 + secrets.randbelow(spread),
            middle_y - spread // 2 + secrets.randbelow(spread),
        )

    def _welcome(self, session: Session) -> Welcome:
        return Welcome(
            session=f"{session.id:016x}",
            key=session.secret.hex(),
            udp_port=self.udp_port,
            entity=session.entity,
            tick_hz=round(self.rate.hz, 2),
            grid=self.config.grid,
            cells=self.config.cells,
            streams=Streams(
                combat=session.streams[Domain.COMBAT].name,
                economy=session.streams[Domain.ECONOMY].name,
                social=session.streams[Domain.SOCIAL].name,
            ),
        )

    def _limited(self, session: Session) -> float:
        """Count a request; give the seconds to wait if it is one too many."""
        now_s = self.clock()
        wait_s = session.limit.take(now_s)
        if wait_s:
            self.tally.limited += 1
            if session.limit.to_be_audited(now_s):
                self._audit(session)
        return wait_s

    def _refuse(self, session: Session, action: Action, reason: Refusal, retry_after_ms: int = 0) -> None:
        self.tally.actions[_known_kind(action.kind), reason] += 1
        session.outlet.send(Refused(n=action.n, reason=reason, retry_after_ms=retry_after_ms))

    def _give_up(self, session: Session) -> None:
        for n in sorted(session.in_flight):
            self.tally.actions["any", "unavailable"] += 1
            session.outlet.send(Refused(n=n, reason="unavailable"))
        session.in_flight.clear()

    def _send(self, session: Session, action: Action, data: ActionData) -> bool:
        domain, key, event = draft(data, player=session.player, match=session.match, region=session.region)
        stream = session.streams[domain]
        value = encode_event(event, key=key, ts_us=action.ts_us, stream=stream.name, seq=stream.seq)
        sent = _Sent(session, action.n, event_id(stream.name, stream.seq), action.kind, data)
        if not self._backbone.send(domain.topic, key.encode(), value, sent):
            return False
        stream.seq += 1
        return True

    def _finish(self, sent: _Sent, outcome: Outcome) -> None:
        session = sent.session
        self.tally.actions[sent.kind, _RESULTS[outcome]] += 1
        if isinstance(sent.data, Hit) and outcome is Outcome.PROCESSED:
            self.world.hurt(sent.data.target, sent.data.damage)
        if sent.n in session.in_flight:
            session.in_flight.discard(sent.n)
            session.outlet.send(Result(n=sent.n, outcome=_RESULTS[outcome]))

    def audits(self) -> dict[str, str | int]:
        """Say which stream the gateway's own audit events are of, and how many there are."""
        return {"stream": self._audits.name, "key": self.config.instance[:64], "sent": self._audits.seq}

    def _audit(self, session: Session) -> None:
        """Report that a player is over the limit; if there is no room for that, it is not sent."""
        stream, key = self._audits, self.config.instance[:64]
        data = AuditV2(
            actor=session.player,
            action="rate-limit",
            resource=f"gateway/{self.config.instance[:64]}",
            decision="denied",
            severity="warning",
            source=f"{session.id:016x}",
        )
        value = encode_event(data, key=key, ts_us=self.now_us(), stream=stream.name, seq=stream.seq)
        if self._backbone.send(Domain.SYSTEM.topic, key.encode(), value, None):
            stream.seq += 1


def _known_kind(kind: str) -> str:
    """Kinds that do not exist share one name, or a hostile client could make metrics without end."""
    return kind if kind in _KINDS else "unknown"


_KINDS: Final = frozenset(("hit", "trade", "transfer", "chat", "guild"))
