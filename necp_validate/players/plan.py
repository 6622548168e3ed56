"""What a players' process is told: one JSON file, written by the runner."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec


class PlayPhase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase as the players see it; the phases are those of the load, in the same order.

    Args:
        name: unique name.
        kind: warmup, steady, surge, fault or recovery.
        duration_s: length, ramp included.
        players: how many are to be online; who is too many logs out, who is missing logs in at ``login_per_s``.
        hot_share: share of the players that gather in one place for one match.
    """

    name: str
    kind: str
    duration_s: float
    players: int
    hot_share: float = 0.0


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate in PEM and its key, and the authority that the gateway's own certificate is from.

    Args:
        ca: file that the gateway's certificate is verified with.
        certificate: the player's certificate; empty for none.
        key: its private key.
    """

    ca: str
    certificate: str = ""
    key: str = ""


class PlayersPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a players' process needs.

    Args:
        run_dir: the run directory; history goes below it.
        run_id: makes the players' names unique to the run.
        seed: same seed, same moves and actions.
        phases: in order.
        websocket_url: ``wss://host:port`` of the gateway; a gateway that comes back has the same one.
        udp_host: where its datagrams go; the port is told by ``welcome``.
        tls: what the players log in with.
        refused_tls: by name (``none``, ``expired``, ``wrong-ca``), what must be refused.
        processes: players' processes; each takes every n-th player.
        udp_group: players that share one UDP socket, as behind one NAT.
        move_hz: INPUT datagrams per second and player.
        hit_per_s: hits per second and player.
        trade_per_s: trades per second and player.
        chat_per_s: chat messages per second and player.
        greedy: players that exceed the rate limit on purpose, on top of those of the phases.
        limit_per_minute: requests that one session may make in a minute.
        batch: most entity changes in one datagram.
        tick_min_hz: slowest tick of the gateway.
        tick_max_hz: its fastest.
        grid: width of a cell, in world units.
        login_per_s: logins per second while players are missing; a herd is a high one.
        bad_line_share: share of the players whose own line loses datagrams, on purpose, so that loss is always seen.
        bad_line_loss: share of the datagrams that such a line loses, each way.
        start_us: second 0 of the first phase (epoch); without it the process waits for a line ``start <epoch us>``
            on its standard input, after it has printed ``ready``.
        drain_timeout_s: how long to wait, in the end, for the results of the last actions.
    """

    run_dir: str
    run_id: str
    seed: int
    phases: list[PlayPhase]
    websocket_url: str
    udp_host: str
    tls: TlsFiles
    refused_tls: dict[str, TlsFiles] = {}
    processes: int = 1
    udp_group: int = 50
    move_hz: float = 5.0
    hit_per_s: float = 0.2
    trade_per_s: float = 0.02
    chat_per_s: float = 0.01
    greedy: int = 1
    limit_per_minute: int = 1000
    batch: int = 100
    tick_min_hz: float = 2.0
    tick_max_hz: float = 20.0
    grid: int = 1000
    login_per_s: float = 100.0
    bad_line_share: float = 0.05
    bad_line_loss: float = 0.1
    start_us: int | None = None
    drain_timeout_s: float = 30.0

    @property
    def duration_s(self) -> float:
        """Seconds of all phases."""
        return math.fsum(phase.duration_s for phase in self.phases)

    @property
    def most_players(self) -> int:
        """How many players are online at the busiest time, the greedy ones left out."""
        return max((phase.players for phase in self.phases), default=0)


def read_plan(path: Path) -> PlayersPlan:
    """Read a plan.

    Raises:
        msgspec.ValidationError: the file is not a plan.
    """
    return msgspec.json.decode(path.read_bytes(), type=PlayersPlan)
