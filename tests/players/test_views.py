"""Views of players, held against one another: what is missing of a lossy line is no finding, what is withheld is."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from necp_validate.players.interest import InterestWatch
from necp_validate.players.view import SAMPLED_TICKS, View
from necp_validate.realtime.cells import StateHead, encode_state
from necp_validate.realtime.replica import Workshop
from necp_validate.reference.gateway import interest
from necp_validate.reference.gateway.encoding import Encoder
from necp_validate.reference.gateway.world import World

GRID, CELLS = 100, 4
TICK_US = 50_000


@dataclass
class Player:
    entity: int
    slot: int
    view: View
    told: interest.View = field(default_factory=interest.View)
    seq: int = 0


class Game:
    """Three players in one place, who walk; every datagram comes at once, unless a test says otherwise."""

    def __init__(self) -> None:
        self.world = World(GRID, CELLS)
        self.encoder = Encoder(self.world, batch=100, delta=True)
        self.watch = InterestWatch(GRID)
        workshop = Workshop()
        self.players = [Player(*self.world.spawn(150 + n, 150), View(workshop)) for n in range(3)]
        self.now_us = 1_000_000

    def tick(self, *, lost_by: Player | None = None, withheld_from: Player | None = None, us: int = TICK_US) -> None:
        """A tick and what is sent of it; nobody acknowledges anything, so all of it is sent again each time.

        Args:
            lost_by: whose datagrams are lost on their way.
            withheld_from: to whom nothing is sent.
            us: since the tick before.
        """
        self.now_us += us
        for player in self.players:
            self.world.wish(player.slot, self.world.tick + 1, 1, 1 + self.world.tick % 3, 1, self.world.tick)
        self.world.step(us / 1e6)
        self.encoder.refresh()
        for player in self.players:
            if player is withheld_from:
                continue
            center = int(self.world.cell[player.slot])
            cy, cx = divmod(center, CELLS)
            for data, parts, _ in player.told.update(self.encoder, center, self.now_us / 1e6):
                player.seq += 1
                head = StateHead(self.world.tick, self.now_us, 0, player.entity, cx, cy, parts)
                if player is not lost_by:
                    player.view.take(player.seq, encode_state(head, (data,)), self.now_us)
            if player.view.snapshot is not None:
                self.watch.add(player.view.snapshot, self.now_us)
                player.view.snapshot = None

    def until_before(self, sampled: int) -> None:
        """Go on until the tick before one that is compared."""
        while self.world.tick < sampled - 1:
            self.tick()


@pytest.fixture
def game() -> Game:
    game = Game()
    game.until_before(3 * SAMPLED_TICKS)
    return game


def compared(game: Game) -> tuple[int, int]:
    """How many views of the newest sample were compared, and how many sights in them were wrong."""
    before = game.watch.seen()
    game.watch.settle(game.now_us + 10**9)
    after = game.watch.seen()
    return after.views - before.views, after.missing + after.different - before.missing - before.different


def test_views_that_are_whole_agree(game: Game) -> None:
    game.watch.settle(game.now_us + 10**9)
    game.tick()
    game.tick()
    assert compared(game) == (3, 0)


def test_what_is_withheld_of_one_player_is_found(game: Game) -> None:
    game.watch.settle(game.now_us + 10**9)
    game.tick(withheld_from=game.players[0])
    game.tick()
    views, wrong = compared(game)
    assert views == 3
    assert wrong > 0


@pytest.mark.parametrize("stalled_us", [TICK_US, 1_500_000], ids=["at once", "after a second and a half"])
def test_what_a_line_lost_just_before_is_no_finding_whenever_the_next_tick_comes(game: Game, stalled_us: int) -> None:
    """A gateway that stands still has had no chance to send it again, however much time has passed."""
    game.watch.settle(game.now_us + 10**9)
    game.tick(lost_by=game.players[0])
    game.tick(us=stalled_us)
    assert compared(game) == (2, 0)


def test_a_loss_that_was_seen_in_the_last_tick_before_a_stall_is_no_finding(game: Game) -> None:
    """Of two datagrams the first is lost, the second shows the gap; then nothing comes for more than a second."""
    game.watch.settle(game.now_us + 10**9)
    player = game.players[0]
    game.tick(lost_by=player)
    cy, cx = divmod(int(game.world.cell[player.slot]), CELLS)
    head = StateHead(game.world.tick, game.now_us, 0, player.entity, cx, cy, 0)
    player.seq += 1
    player.view.take(player.seq, encode_state(head, ()), game.now_us)
    game.tick(us=1_500_000)
    assert compared(game) == (2, 0)


def test_a_view_is_whole_again_a_second_after_the_loss(game: Game) -> None:
    game.tick(lost_by=game.players[0])
    game.until_before(5 * SAMPLED_TICKS)
    game.watch.settle(game.now_us + 10**9)
    game.tick()
    game.tick()
    assert compared(game) == (3, 0)
