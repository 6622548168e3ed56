"""Players of the simulated run: the suite's own players on a small world, which can be given flaws.

What the players are and count is the real code, fed with real datagrams and messages; only the gateway is made up:
two groups of players far from one another, each around the border of two cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, Literal

from necp_validate.events.topics import Domain
from necp_validate.players.account import Account
from necp_validate.players.persona import Persona
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles
from necp_validate.players.player import Session
from necp_validate.realtime.cells import (
    MAX_PART,
    Cell,
    StateHead,
    cell_checksum,
    delta,
    encode_parts,
    encode_state,
)
from necp_validate.realtime.frames import ACK_BITS, Direction, Kind, Sealer
from necp_validate.realtime.messages import Accepted, Chat, Goodbye, Refused, Result, Streams, Summary, Welcome
from necp_validate.realtime.replica import Workshop
from necp_validate.realtime.state import State, pack
from necp_validate.record import CertificateProbe, Interruption, Layout, PlayersRecord, PlayersRow
from necp_validate.record.store import LatencyMap
from necp_validate.selftest.simulated.scenario import END_S, PLAYERS, PLAYERS_LEFT, SCENARIO, START_US

Flaw = Literal[
    "wrong checksum",
    "forgets to send",
    "neighbour hidden",
    "far cell shown",
    "chat out of order",
    "chat not shown",
    "no answer",
    "two answers",
    "batch too large",
    "tick too fast",
    "tick does not return",
    "never limits",
    "limits everybody",
    "lets expired certificates in",
    "session breaks",
    "no state by datagram",
    "one datagram per change",
]

SECONDS: Final = round(END_S)
NPCS: Final = 110
_IN_A_GROUP: Final = 3
_GRID: Final = 1_000
_CALM_HZ, _BUSY_HZ = 4, 2
_BUSY = range(10, 20)
_GREEDY_S, _GREEDY_PER_S = 30, 60
_LOST_OF: Final = 37
_LOGIN_US: Final = 20_000
_WRONG_FROM: Final = 50
"""Tick from which the flaws of the state show."""
_KEY: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a process of players leaves."""

    record: PlayersRecord
    latency: LatencyMap
    rows: tuple[PlayersRow, ...]


@dataclass(slots=True)
class _Delivery:
    """A version on its way to a player, and how many of its parts are not acknowledged."""

    cell: Cell
    version: int
    left: int


LAYOUTS: Final = tuple(
    Layout(record=name, naive=40, aligned=24, mean=32.0, worst=40, packed=23) for name in ("state", "event")
)
"""A record that saves what is claimed; the suite's own do not."""

_Part = tuple[bytes, int, _Delivery]
"""A part, how many changes it has, and what it delivers."""


@dataclass(slots=True)
class _Client:
    """A player, and what the gateway knows of what it has."""

    session: Session
    sealer: Sealer
    entity: int
    acked: dict[Cell, int] = field(default_factory=dict)
    on_way: dict[int, list[_Delivery]] = field(default_factory=dict)
    got: list[int] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    left: float = 1_000.0


@cache
def played(flaw: Flaw | None = None) -> Played:
    """Play; the same again for the same flaw."""
    return _Game(flaw).play()


@cache
def _world(tick: int) -> dict[Cell, dict[int, bytes]]:
    """Everything that there is at a tick, by cell and entity; nothing before the first."""
    world: dict[Cell, dict[int, bytes]] = {}
    for state in _states(tick) if tick > 0 else ():
        world.setdefault((state.x // _GRID, state.y // _GRID), {})[state.id] = _packed(state)
    return world


_packed = cache(pack)


def _states(tick: int) -> Iterator[State]:
    for number in range(PLAYERS):
        group, place = divmod(number, _IN_A_GROUP)
        # To and fro over the border between two cells, each at its own pace.
        at = abs((tick * (3 + place) + 40 * place) % 400 - 200)
        yield State(number + 1, (5 + 10 * group) * _GRID + at - 100, 5_500, 0, 3 + place, 0, 0, 1_000, 0, 0)
    for npc in range(NPCS):
        yield State(1_000 + npc, 5_200 + npc, 5_600, 0, 0, 0, tick // 10, 1_000, 0, 0)


@cache
def _encoded(
    cell: Cell, base: int, version: int, batch: int, hidden: int, flipped: int
) -> tuple[tuple[bytes, int], ...]:
    """What changed in a cell between two ticks, as the gateway sends it; the same in every game.

    Args:
        cell: the cell.
        base, version: the ticks.
        batch: most changes in one part.
        hidden: an entity that is left out; 0 for none.
        flipped: what its checksum is changed by.
    """
    old, new = _world(base).get(cell, {}), _world(version).get(cell, {})
    if hidden:
        new = {entity: record for entity, record in new.items() if entity != hidden}
    removed, changes = delta(old, new)
    total = cell_checksum(new) ^ flipped
    return tuple(
        encode_parts(
            cell, base=base, version=version, cell_checksum=total, removed=removed, changes=changes, batch=batch
        )
    )


class _Game:
    def __init__(self, flaw: Flaw | None) -> None:
        phases = [
            PlayPhase(
                name=phase.name, kind=phase.kind.value, duration_s=phase.duration_s, players=SCENARIO.players_in(phase)
            )
            for phase in SCENARIO.phases
        ]
        self.plan = PlayersPlan(
            run_dir="",
            run_id="selftest",
            seed=1,
            phases=phases,
            websocket_url="wss://gateway",
            udp_host="gateway",
            tls=TlsFiles(ca=""),
            tick_max_hz=_CALM_HZ,
        )
        self.flaw = flaw
        self.account = Account(self.plan, "p0", START_US)
        self.account.grid = self.account.interest.grid = _GRID
        self.account.certificates += _probes(flaw)
        workshop = Workshop()
        self.clients = [self._log_in(number, workshop) for number in range(PLAYERS + 1)]
        self.tick = 0
        self.newest: dict[Cell, int] = {}
        self.offsets: dict[str, int] = {}
        self.datagrams = 0

    def _log_in(self, number: int, workshop: Workshop) -> _Client:
        self.account.sessions["logins"] += 1
        self.account.latency("login", "login", START_US, _LOGIN_US)
        welcome = Welcome(
            session=f"{number + 1:016x}",
            key=_KEY.hex(),
            udp_port=7777,
            entity=number + 1,
            tick_hz=_CALM_HZ,
            grid=_GRID,
            cells=32,
            streams=Streams(combat=f"c{number:07x}", economy=f"e{number:07x}", social=f"5{number:07x}"),
        )
        persona = Persona(number, "selftest", 1)
        greedy = number == PLAYERS
        session = Session(persona, "match-0000", welcome, self.account, workshop, START_US, greedy=greedy)
        return _Client(session, Sealer(session.id, _KEY, Direction.TO_CLIENT), number + 1)

    def play(self) -> Played:
        rows = []
        for second in range(SECONDS):
            begin_us = START_US + second * 1_000_000
            hz = self._hz(second)
            for step in range(hz):
                self._step(begin_us + step * 1_000_000 // hz)
            for client in self.clients[:PLAYERS]:
                self._act(client, second, begin_us + 500_000)
            end_us = begin_us + 1_000_000
            if second < _GREEDY_S:
                self._greed(begin_us)
            if second == _GREEDY_S:
                self._log_out(self.clients[PLAYERS], begin_us)
            self.account.interest.settle(end_us)
            # Two thirds of them are not counted as being there before and after: what weighs is made up, too.
            rows.append(self.account.row(end_us, PLAYERS if second in _BUSY else PLAYERS_LEFT))
        self._end(START_US + SECONDS * 1_000_000)
        rows.append(self.account.row(START_US + (SECONDS + 1) * 1_000_000, 0))
        # The simulated log knows nothing of the players' events: what becomes of events is tested without them.
        record = replace(self.account.record(), streams=(), expected_totals={}, layouts=LAYOUTS)
        return Played(record=record, latency=self.account.histograms, rows=tuple(rows))

    def _hz(self, second: int) -> int:
        if self.flaw == "tick too fast" and second == SECONDS - 1:
            return 3 * _CALM_HZ
        calm = second < _BUSY.start or (second >= _BUSY.stop and self.flaw != "tick does not return")
        return _CALM_HZ if calm else _BUSY_HZ

    def _step(self, now_us: int) -> None:
        self.tick += 1
        before, now = _world(self.tick - 1), _world(self.tick)
        for cell in now.keys() | before.keys():
            if now.get(cell, {}) != before.get(cell, {}):
                self.newest[cell] = self.tick
        for client in self.clients[:PLAYERS]:
            if self.flaw != "no state by datagram":
                self._send(client, now_us)

    def _send(self, client: _Client, now_us: int) -> None:
        x, y = next(cell for cell, there in _world(self.tick).items() if client.entity in there)
        near = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        wrong = self.flaw if client.entity == 1 and self.tick >= _WRONG_FROM else None
        if wrong == "far cell shown":
            near.append((x + 10, y))
        parts: list[_Part] = []
        for cell in near:
            version = self.newest.get(cell)
            if version is None or client.acked.get(cell) == version:
                continue
            parts += self._parts(client, cell, version, wrong)
        if client.acked and self.flaw == "forgets to send" and client.entity == 1 and self.tick % 20 == 0:
            parts = []
        for batch in self._batches(parts):
            head = StateHead(self.tick, now_us - 2_000, 0, client.entity, x, y, len(batch))
            datagram = client.sealer.seal(Kind.STATE, encode_state(head, [part[0] for part in batch]))
            client.on_way[client.sealer.seq] = [delivery for _, _, delivery in batch]
            self.datagrams += 1
            if self.datagrams % _LOST_OF:
                client.session.datagram(datagram, now_us)
        ack = client.session.view.ack()
        for seq in [seq for seq in client.on_way if ack.covers(seq)]:
            for delivery in client.on_way.pop(seq):
                delivery.left -= 1
                if not delivery.left and delivery.version > client.acked.get(delivery.cell, 0):
                    client.acked[delivery.cell] = delivery.version
        client.on_way = {seq: sent for seq, sent in client.on_way.items() if seq >= ack.newest - ACK_BITS}
        for cell in [cell for cell in client.acked if abs(cell[0] - x) > 1]:
            del client.acked[cell]

    def _parts(self, client: _Client, cell: Cell, version: int, wrong: Flaw | None) -> Iterator[_Part]:
        base = 0 if wrong == "neighbour hidden" else client.acked.get(cell, 0)
        batch = 255 if self.flaw == "batch too large" else 1 if self.flaw == "one datagram per change" else 100
        hidden = 2 if wrong == "neighbour hidden" else 0
        flipped = int(wrong == "wrong checksum" and self.tick == _WRONG_FROM + 1)
        encoded = _encoded(cell, base, version, batch, hidden, flipped)
        delivery = _Delivery(cell, version, len(encoded))
        return ((blob, count, delivery) for blob, count in encoded)

    def _batches(self, parts: list[_Part]) -> Iterator[list[_Part]]:
        limit = 100_000 if self.flaw == "batch too large" else 1 if self.flaw == "one datagram per change" else 100
        batch: list[_Part] = []
        for part in parts:
            size = sum(len(one[0]) for one in batch) + len(part[0])
            if batch and (size > MAX_PART or sum(one[1] for one in batch) + part[1] > limit):
                yield batch
                batch = []
            batch.append(part)
        yield batch

    def _act(self, client: _Client, second: int, now_us: int) -> None:
        session = client.session
        session.hit(now_us - 300, now_us)
        hit = session.actions.sent
        if second % 11 != 10:
            client.got.append(hit)
            if not (self.flaw == "no answer" and client.entity == 3 and second == 12):
                self._answer(client, Domain.COMBAT, hit, now_us + 20_000)
            if self.flaw == "two answers" and client.entity == 3 and second == 12:
                session.message(Result(n=hit, outcome="processed"), now_us + 30_000)
        if second % 5 == 0:
            session.say("trade", now_us, now_us)
            self._answer(client, Domain.ECONOMY, session.actions.sent, now_us + 30_000)
            session.say("chat", now_us, now_us)
            limited = self.flaw == "limits everybody" and client.entity == 3 and second == 10
            if limited:
                session.message(Refused(n=session.actions.sent, reason="rate-limited"), now_us)
            else:
                self._answer(client, Domain.SOCIAL, session.actions.sent, now_us + 30_000)
                self._say(client, second, now_us + 35_000)

    def _answer(self, client: _Client, domain: Domain, number: int, now_us: int) -> None:
        streams = {
            Domain.COMBAT: client.session.welcome.streams.combat,
            Domain.ECONOMY: client.session.welcome.streams.economy,
            Domain.SOCIAL: client.session.welcome.streams.social,
        }
        seq = client.events[domain] = client.events.get(domain, -1) + 1
        offset = self.offsets[domain] = self.offsets.get(domain, -1) + 1
        event = f"{streams[domain]}-{seq:012d}"
        accepted = Accepted(n=number, event=event, topic=domain.topic, partition=0, offset=offset)
        client.session.message(accepted, now_us - 10_000)
        client.session.message(Result(n=number, outcome="processed"), now_us)
        self.account.websocket["received"] += 2

    def _say(self, sender: _Client, second: int, now_us: int) -> None:
        name = sender.session.persona.name
        numbers = [second // 5 + 1]
        if self.flaw == "chat out of order" and sender.entity == 3 and second in (10, 15):
            numbers = [] if second == 10 else [4, 3]
        for number in numbers:
            offset = self.offsets["chat"] = self.offsets.get("chat", -1) + 1
            for client in self.clients[:PLAYERS]:
                if self.flaw == "chat not shown" and client is sender and client.entity == 3 and second == 10:
                    continue
                text = f"{name} says {number}"
                message = Chat(channel="general", sender=name, text=text, partition=0, offset=offset)
                client.session.message(message, now_us)

    def _greed(self, begin_us: int) -> None:
        client = self.clients[PLAYERS]
        for request in range(_GREEDY_PER_S):
            now_us = begin_us + request * 1_000_000 // _GREEDY_PER_S
            client.session.say("transfer", now_us, now_us)
            client.left = min(client.left + 1_000 / 60 / _GREEDY_PER_S, 1_000.0)
            if client.left < 1 and self.flaw != "never limits":
                client.session.message(Refused(n=client.session.actions.sent, reason="rate-limited"), now_us)
            else:
                client.left -= 1
                self._answer(client, Domain.ECONOMY, client.session.actions.sent, now_us + 15_000)

    def _end(self, now_us: int) -> None:
        if self.flaw == "session breaks":
            self.account.interruptions.append(Interruption(how="broken", lost_us=now_us - 5_000_000, leaving=False))
        for client in self.clients[:PLAYERS]:
            self._log_out(client, now_us)
        self.account.interest.settle(now_us + 10_000_000)

    def _log_out(self, client: _Client, now_us: int) -> None:
        summary = Summary(
            udp_actions=[(number, number) for number in client.got], ws_actions=[], datagrams_in=0, dropped={}
        )
        client.session.message(Goodbye(reason="logout", summary=summary), now_us)
        if client.entity == PLAYERS + 1:
            client.session.state_us = now_us  # nobody shows the greedy one anything: it is not about state
        client.session.close(now_us)


def _probes(flaw: Flaw | None) -> Iterator[CertificateProbe]:
    for when in ("start", "end"):
        for name in ("valid", "none", "expired", "wrong-ca"):
            wrong = flaw == "lets expired certificates in" and name == "expired" and when == "end"
            refused = name != "valid" and not wrong
            how = "TLS: alert" if refused else "logged in"
            yield CertificateProbe(when=when, certificate=name, refused=refused, how=how)
