"""Server and clients over a channel that loses, repeats and reorders: what a client has is what the server has."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from necp_validate.realtime import cells as wire
from necp_validate.realtime.cells import StateHead, canonical_bytes, decode_part, decode_state, delta, encode_state
from necp_validate.realtime.constants import KEPT_VERSIONS, TOP_SPEED
from necp_validate.realtime.frames import Ack, Window
from necp_validate.realtime.replica import Replica, Workshop
from necp_validate.realtime.state import RECORD_BYTES, unpack
from necp_validate.reference.gateway.encoding import Encoder
from necp_validate.reference.gateway.interest import View
from necp_validate.reference.gateway.world import World

GRID, CELLS = 60, 6
TICK_S = 0.05


@dataclass(slots=True)
class Player:
    """One player: its entity and view on the server, its copy, and datagrams under way."""

    entity: int
    slot: int
    view: View
    replica: Replica
    seq: int = 0
    window: Window = field(default_factory=Window)
    to_client: list[tuple[int, bytes]] = field(default_factory=list)
    to_server: deque[Ack] = field(default_factory=deque)
    largest: int = 0


class Game:
    """A server and its players; time is the number of ticks."""

    def __init__(self, seed: int, *, batch: int = 100, use_delta: bool = True) -> None:
        self.rng = random.Random(seed)
        self.world = World(GRID, CELLS)
        self.encoder = Encoder(self.world, batch=batch, delta=use_delta)
        self.workshop = Workshop()
        self.players: list[Player] = []
        self.batch = batch
        self.bytes = 0
        self.full_bytes = 0

    def join(self) -> Player:
        size = GRID * CELLS
        entity, slot = self.world.spawn(self.rng.randrange(size), self.rng.randrange(size), self.rng.randrange(50))
        player = Player(entity, slot, View(), Replica(self.workshop))
        self.players.append(player)
        return player

    def leave(self) -> None:
        player = self.players.pop(self.rng.randrange(len(self.players)))
        self.world.remove(player.entity)

    def tick(self) -> None:
        """One tick; the datagrams are under way."""
        rng, world = self.rng, self.world
        for player in self.players:
            if rng.random() < 0.4:
                mode = rng.randrange(len(TOP_SPEED))
                top = TOP_SPEED[mode]
                world.wish(
                    player.slot, world.tick + 1, mode, rng.randint(-top, top), rng.randint(-top, top), rng.randrange(99)
                )
            if rng.random() < 0.05:
                world.hurt(player.entity, rng.randrange(1, 2_000))
        world.step(TICK_S)
        self.encoder.refresh()
        for player in self.players:
            center = int(world.cell[player.slot])
            cy, cx = divmod(center, CELLS)
            self.full_bytes += self.encoder.nearby(center).full_bytes
            for data, parts, changes in player.view.update(self.encoder, center, world.tick * TICK_S):
                head = StateHead(world.tick, 0, int(world.applied[player.slot]), player.entity, cx, cy, parts)
                body = encode_state(head, [data])
                assert len(body) <= wire.MAX_BODY
                assert changes <= self.batch
                assert changes == sum(sum(decode_part(part).head[7:9]) for part in decode_state(body)[1])
                self.bytes += len(body)
                player.seq += 1
                player.view.sent(player.seq)
                player.to_client.append((player.seq, body))

    def carry(self, *, loss: float, repeat: float, delay: float) -> None:
        """Carry what is under way; what is delayed comes later and in another order."""
        for player in self.players:
            rng = self.rng
            rng.shuffle(player.to_client)
            waiting = []
            for seq, body in player.to_client:
                if rng.random() < delay:
                    waiting.append((seq, body))
                    continue
                if rng.random() < repeat:
                    waiting.append((seq, body))
                if rng.random() >= loss and player.window.status(seq) is None:
                    player.window.add(seq)
                    player.replica.receive(seq, body)
            player.to_client = waiting
            player.to_server.append(player.replica.ack())
            while player.to_server and rng.random() >= delay:
                ack = player.to_server.popleft()
                if rng.random() >= loss:
                    player.view.acknowledge(ack)

    def settle(self) -> None:
        """Ticks without loss, until nothing more is to be said."""
        for _ in range(8):
            self.tick()
            self.carry(loss=0, repeat=0, delay=0)

    def check(self) -> None:
        """Every player has exactly the cells around it, exactly as they are, and none else."""
        world = self.world
        for player in self.players:
            center = int(world.cell[player.slot])
            expected = {}
            for cell in self.encoder.near(center):
                start, end = world.spans.get(cell, (0, 0))
                if end > start:
                    expected[cell % CELLS, cell // CELLS] = world.packed[start:end].tobytes()
            found = {
                cell: canonical_bytes(copy.content.entities)
                for cell, copy in player.replica.cells.items()
                if copy.content.entities
            }
            assert found == expected
            assert player.replica.counts.divergences == 0, player.replica.counts.examples
            assert player.replica.counts.missing_base == 0
            own = player.replica.own()
            assert own is not None
            assert own.id == player.entity


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    players=st.integers(1, 25),
    ticks=st.integers(1, 60),
    batch=st.sampled_from([1, 3, 100, 255]),
    use_delta=st.booleans(),
    loss=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    repeat=st.sampled_from([0.0, 0.3]),
    delay=st.sampled_from([0.0, 0.3, 0.7]),
)
def test_all_copies_converge(
    seed: int, players: int, ticks: int, batch: int, use_delta: bool, loss: float, repeat: float, delay: float
) -> None:
    """Whatever the channel did, and although players came, went and moved meanwhile."""
    game = Game(seed, batch=batch, use_delta=use_delta)
    for _ in range(players):
        game.join()
    for _ in range(ticks):
        if game.rng.random() < 0.1:
            game.join()
        if game.rng.random() < 0.1 and len(game.players) > 1:
            game.leave()
        game.tick()
        game.carry(loss=loss, repeat=repeat, delay=delay)
    game.settle()
    game.check()


def test_the_check_notices_a_wrong_record() -> None:
    """The proof that the test above can fail: one bit in one copy."""
    game = Game(1)
    for _ in range(5):
        game.join()
    game.settle()
    copy = game.players[0].replica.cells[game.players[0].replica.center]
    record = bytearray(copy.content.entities[game.players[0].entity])
    record[4] ^= 1
    copy.content.entities[game.players[0].entity] = bytes(record)
    with pytest.raises(AssertionError):
        game.check()


def test_a_corrupted_state_is_a_divergence() -> None:
    """A gateway whose cells are not what it says is found out by the checksum, and nothing is acknowledged."""
    game = Game(2)
    player = game.join()
    game.tick()
    ((seq, body),) = player.to_client
    wrong = bytearray(body)
    wrong[-1] ^= 1
    player.replica.receive(seq, bytes(wrong))
    assert player.replica.counts.divergences == 1
    assert "checksum" in player.replica.counts.examples[0]
    assert player.replica.ack() == Ack(0, 0)


def test_deltas_by_column_are_deltas_by_definition() -> None:
    """The encoder's parts change nothing but what differs, as ``delta`` says; from every base that is kept."""
    game = Game(3)
    for _ in range(30):
        game.join()
    history: dict[tuple[int, int], dict[int, bytes]] = {}
    compared = 0
    for _ in range(40):
        if game.rng.random() < 0.2:
            game.leave()
            game.join()
        game.tick()
        world = game.world
        for cell, log in world.logs.items():
            start, end = world.spans.get(cell, (0, 0))
            data = world.packed[start:end].tobytes()
            records = [data[place : place + RECORD_BYTES] for place in range(0, len(data), RECORD_BYTES)]
            now = {unpack(record).id: record for record in records}
            for base in (version for version in log.versions if version != log.version):
                removed, changes = delta(history[cell, base], now)
                parts = [decode_part(blob) for blob, _ in game.encoder.blobs(cell, base)]
                assert sorted(entity for part in parts for entity in part.removed) == removed
                assert {change[0] for part in parts for change in part.changed} >= {
                    int.from_bytes(change[:4], "little") for change in changes
                }
                assert wire.apply(history[cell, base], parts) == now
                compared += 1
            history[cell, log.version] = now
    assert compared > 1_000


def test_a_base_that_is_not_kept_any_more_is_not_built_upon() -> None:
    """A client silent for long gets full state again, and converges."""
    game = Game(4)
    for _ in range(10):
        game.join()
    game.settle()
    for _ in range(3 * KEPT_VERSIONS):
        game.tick()
        for player in game.players:
            player.to_client.clear()
    assert all(len(log.versions) <= KEPT_VERSIONS for log in game.world.logs.values())
    game.settle()
    game.check()


def test_memory_does_not_grow_with_time() -> None:
    """Neither side keeps more than what may still be needed."""
    game = Game(5)
    for _ in range(20):
        game.join()
    for _ in range(600):
        if game.rng.random() < 0.3:
            game.leave()
            game.join()
        game.tick()
        game.carry(loss=0.3, repeat=0.1, delay=0.3)
    for player in game.players:
        assert len(player.replica.cells) <= 9
        for copy in player.replica.cells.values():
            assert len(copy.kept) <= KEPT_VERSIONS
            assert len(copy.unfinished) <= KEPT_VERSIONS
    left = max(len(log.left) for log in game.world.logs.values())
    assert left <= KEPT_VERSIONS * len(game.players)


def test_deltas_save_bytes() -> None:
    """The same game with and without them."""
    sent = {}
    for use_delta in (True, False):
        game = Game(6, use_delta=use_delta)
        for _ in range(40):
            game.join()
        for _ in range(50):
            game.tick()
            game.carry(loss=0.02, repeat=0, delay=0.1)
        sent[use_delta] = game.bytes
    assert sent[True] < 0.9 * sent[False]
