"""The gateway beside a plain WebSocket broadcast of full snapshots: same players, moves and ticks, same machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import say, target
from necp_validate.core import SuiteError
from necp_validate.players.plan import PlayersPlan, PlayPhase
from necp_validate.scenario.playing import PlayersRun, tls_files
from necp_validate.stack import LocalStack, PlayerTls
from necp_validate.stack.protocol import GatewayHandle

TICK_HZ = 20
MOVE_HZ = 5.0
MEASURED_S = 12.0
_SETTLE_S = 3.0
_LOGINS_PER_S = 100.0
_BYTES_OUT = re.compile(r'^gateway_bytes_total\{direction="out"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What it took to keep players up to date.

    Args:
        cpu: of the server, in cores.
        bytes_per_s: payload to each player, without the transport's own headers and encryption.
        hz: ticks that each player got in a second.
    """

    cpu: float
    bytes_per_s: float
    hz: float


def measure_gateway(stack: LocalStack, folder: Path, players: int) -> Served:
    """Players of this suite at the reference gateway; none acts, all move.

    Args:
        stack: where the gateway runs.
        folder: for the players' history.
        players: how many.
    """
    env = {"ADAPTIVE_TICK_RATE_ENABLED": "false", "TICK_RATE_MAX_HZ": str(TICK_HZ)}
    gateway = stack.start_gateway(f"gateway-bench-{players}", env)
    try:
        gateway.wait_ready(60)
        login_s = players / _LOGINS_PER_S
        plan = _plan(stack.player_tls(), gateway, folder, players, login_s + _SETTLE_S + MEASURED_S + 2)
        playing = PlayersRun(plan)
        try:
            playing.start()
            assert plan.start_us is not None
            time.sleep(max(plan.start_us / 1e6 - time.time(), 0) + login_s + _SETTLE_S)
            before, began = _gateway_counters(gateway), time.monotonic()
            time.sleep(MEASURED_S)
            after, ended = _gateway_counters(gateway), time.monotonic()
            playing.finish()
        finally:
            playing.stop()
        if min(before["sessions"], after["sessions"]) < players:
            raise SuiteError(f"{after['sessions']:.0f} of {players} players were there")
        seconds = ended - began
        return Served(
            cpu=(after["cpu_s"] - before["cpu_s"]) / seconds,
            bytes_per_s=(after["bytes"] - before["bytes"]) / seconds / players,
            hz=(after["tick"] - before["tick"]) / seconds,
        )
    finally:
        gateway.kill()


def _plan(tls: PlayerTls, gateway: GatewayHandle, folder: Path, players: int, duration_s: float) -> PlayersPlan:
    return PlayersPlan(
        run_dir=str(folder),
        run_id="bench-0000000000000000",
        seed=1,
        phases=[PlayPhase(name="steady", kind="steady", duration_s=duration_s, players=players)],
        websocket_url=gateway.websocket_url,
        udp_host=gateway.udp_address[0],
        tls=tls_files(tls),
        move_hz=MOVE_HZ,
        hit_per_s=0,
        trade_per_s=0,
        chat_per_s=0,
        greedy=0,
        bad_line_share=0,
        login_per_s=_LOGINS_PER_S,
        start_us=time.time_ns() // 1000 + 4_000_000,
    )


def _gateway_counters(gateway: GatewayHandle) -> dict[str, float]:
    with urllib.request.urlopen(f"{gateway.http_url}/health", timeout=10) as answer:
        health = json.loads(answer.read())
    with urllib.request.urlopen(gateway.metrics_url, timeout=10) as answer:
        found = _BYTES_OUT.search(answer.read().decode())
    if found is None:
        raise SuiteError("the gateway has no metric of the bytes it sends")
    return {
        "sessions": health["sessions"],
        "tick": health["tick"],
        "bytes": float(found[1]),
        "cpu_s": gateway.cpu_s(),
    }


def measure_broadcast(tls: PlayerTls, server_tls: tuple[Path, Path], players: int) -> Served:
    """The same number of players at the peer.

    Args:
        tls: what they log in with.
        server_tls: certificate and key of the peer.
        players: how many.
    """
    module = [sys.executable, "-m", "benchmarks.broadcast"]
    serve = [*module, "serve", *map(str, server_tls), str(tls.ca), "--hz", str(TICK_HZ)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"wss://127.0.0.1:{int(server.stdout.readline())}"
            seconds = players / _LOGINS_PER_S + _SETTLE_S + MEASURED_S + 2
            play = [*module, "play", str(tls.certificate), str(tls.key), str(tls.ca), "--url", url]
            play += ["--players", str(players), "--move-hz", str(MOVE_HZ), "--seconds", str(seconds)]
            rows = []
            with subprocess.Popen(play, stdout=subprocess.PIPE, text=True) as playing:
                assert playing.stdout is not None
                process = psutil.Process(server.pid)
                for line in playing.stdout:
                    times = process.cpu_times()
                    rows.append({**json.loads(line), "cpu_s": times.user + times.system})
            if playing.returncode != 0:
                raise SuiteError(f"the peer's players ended with exit code {playing.returncode}")
        finally:
            server.kill()
    full = [row for row in rows if row["players"] == players]
    last = max(row["t"] for row in full) - 1
    measured = [row for row in full if last - MEASURED_S <= row["t"] <= last]
    first, final = measured[0], measured[-1]
    wall_s = final["t"] - first["t"]
    return Served(
        cpu=(final["cpu_s"] - first["cpu_s"]) / wall_s,
        bytes_per_s=(final["bytes"] - first["bytes"]) / wall_s / players,
        hz=(final["messages"] - first["messages"]) / wall_s / players,
    )


def compare(stack: LocalStack, folder: Path, counts: tuple[int, ...] = (100, 400)) -> bool:
    """Measure both at each number of players; tells whether the gateway carries more players a core with most.

    Args:
        stack: a ready one.
        folder: for what the runs leave.
        counts: numbers of players.
    """
    met = True
    for players in counts:
        gateway = measure_gateway(stack, folder / str(players), players)
        peer = measure_broadcast(stack.player_tls(), stack.layout.players.gateway(), players)
        for name, served in (("gateway", gateway), ("broadcast of full snapshots", peer)):
            say(
                f"{name}, {players} players",
                players_per_core=players / served.cpu,
                bytes_per_player_s=served.bytes_per_s,
                hz=served.hz,
            )
        say(
            f"ratio gateway / broadcast, {players} players",
            players_per_core=peer.cpu / gateway.cpu,
            bytes=gateway.bytes_per_s / peer.bytes_per_s,
        )
        met = target("bytes per player, gateway / broadcast", gateway.bytes_per_s / peer.bytes_per_s, 1.0) and met
    return met
