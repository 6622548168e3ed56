"""A peer for the gateway: what one writes with ``websockets`` in an afternoon. Every tick, everything to everybody.

``python -m benchmarks.broadcast serve CERT KEY CA --hz 20`` prints its port. It has no authentication beyond the
certificate, no interest management, no deltas, no datagrams. ``python -m benchmarks.broadcast play URL CERT KEY CA
--players 200 --seconds 20`` are its players; they print what they got.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import ssl
import time
from struct import Struct
from typing import Any

import numpy as np
import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from necp_validate.realtime.state import WIRE_DTYPE

_MOVE = Struct("<hhH")
_SIZE = 32_000


class Server:
    """Entities that move, and everybody's connections.

    Args:
        hz: ticks a second.
    """

    def __init__(self, hz: float) -> None:
        self._hz = hz
        self._free = list(range(4096))
        self._records = np.zeros(4096, WIRE_DTYPE)
        self._there = np.zeros(4096, bool)
        self._connections: set[ServerConnection] = set()

    async def handle(self, connection: ServerConnection) -> None:
        """Take one player's moves until it goes."""
        slot = self._free.pop()
        record = self._records[slot : slot + 1]
        record["id"], record["hp"] = slot + 1, 1000
        record["x"], record["y"] = random.randrange(_SIZE), random.randrange(_SIZE)
        self._there[slot] = True
        self._connections.add(connection)
        try:
            async for message in connection:
                assert isinstance(message, bytes)
                record["vx"], record["vy"], record["yaw"] = _MOVE.unpack(message)
        finally:
            self._connections.discard(connection)
            self._there[slot] = False
            self._free.append(slot)

    async def tick(self) -> None:
        """Move everybody and tell everybody, for ever."""
        due = time.monotonic()
        while True:
            due += 1 / self._hz
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            records = self._records
            for place, speed in (("x", "vx"), ("y", "vy")):
                records[place] = np.clip(records[place] + np.rint(records[speed] / self._hz), 0, _SIZE)
            broadcast(self._connections, records[self._there].tobytes())


async def _serve(arguments: argparse.Namespace) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.cert, arguments.key)
    context.load_verify_locations(arguments.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(arguments.hz)
    async with serve(server.handle, "127.0.0.1", 0, ssl=context, compression=None, max_queue=4) as listening:
        print(next(iter(listening.sockets)).getsockname()[1], flush=True)
        await server.tick()


async def _play(arguments: argparse.Namespace) -> None:
    context = ssl.create_default_context(cafile=arguments.ca)
    context.load_cert_chain(arguments.cert, arguments.key)
    until = time.monotonic() + arguments.seconds
    counts = {"messages": 0, "bytes": 0, "players": 0}

    async def player(number: int) -> None:
        await asyncio.sleep(number / 100)  # as many logins a second as the gateway's players
        async with connect(arguments.url, ssl=context, compression=None, proxy=None) as connection:
            counts["players"] += 1

            async def move() -> None:
                rng = random.Random(number)
                while True:
                    await asyncio.sleep(1 / arguments.move_hz)
                    await connection.send(_MOVE.pack(rng.randrange(-90, 90), rng.randrange(-90, 90), 0))

            moving = asyncio.ensure_future(move())
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(max(until - time.monotonic(), 0)):
                    async for message in connection:
                        counts["messages"] += 1
                        counts["bytes"] += len(message)
            moving.cancel()

    async def report() -> None:
        while True:
            await asyncio.sleep(0.5)
            print(json.dumps({"t": time.monotonic(), **counts}), flush=True)

    reporting = asyncio.ensure_future(report())
    await asyncio.gather(*(player(number) for number in range(arguments.players)))
    reporting.cancel()


def main() -> None:
    """Run the server or its players."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broadcast", description=__doc__)
    parser.add_argument("role", choices=["serve", "play"])
    parser.add_argument("cert")
    parser.add_argument("key")
    parser.add_argument("ca")
    parser.add_argument("--hz", type=float, default=20.0)
    parser.add_argument("--url", default="")
    parser.add_argument("--players", type=int, default=100)
    parser.add_argument("--move-hz", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    roles: dict[str, Any] = {"serve": _serve, "play": _play}
    uvloop.run(roles[arguments.role](arguments))


if __name__ == "__main__":
    main()
