"""The tick: the world moves on, and every player is sent what is new around it."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from necp_validate.realtime.cells import StateHead, encode_state
from necp_validate.realtime.constants import KEEP_ALIVE_S
from necp_validate.realtime.frames import Kind
from necp_validate.reference.gateway.gateway import Gateway
from necp_validate.reference.gateway.metrics import GatewayMetrics
from necp_validate.reference.gateway.sessions import Address, Session

SLICE: Final = 100
"""After so many players, a tick lets the event loop do other work."""

MAX_STEP_S: Final = 1.0
"""The world never moves on by more at once, however late a tick is."""

_STATE: Final = int(Kind.STATE)


class DatagramOutlet(Protocol):
    """Where datagrams go."""

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one; it may be lost."""


class Updates:
    """Ticks.

    Args:
        gateway: the gateway.
        outlet: where datagrams go.
        metrics: told how long ticks take.
    """

    def __init__(self, gateway: Gateway, outlet: DatagramOutlet, metrics: GatewayMetrics) -> None:
        self._gateway = gateway
        self._outlet = outlet
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until told to stop."""
        gateway, rate, clock = self._gateway, self._gateway.rate, self._gateway.clock
        due_s = last_s = clock()
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due_s - clock()))
            begin_s = clock()
            await self.tick(begin_s - last_s)
            last_s = begin_s
            end_s = clock()
            self._metrics.tick_seconds.observe(end_s - due_s)
            rate.observe(end_s - due_s, end_s)
            due_s += rate.interval_s
            if due_s < end_s:  # ticks that are overdue are left out: catching up would only add to the load
                gateway.tally.late_ticks += 1
                due_s = end_s

    async def tick(self, elapsed_s: float) -> None:
        """Move the world on and send what is new.

        Args:
            elapsed_s: time since the last tick.
        """
        gateway = self._gateway
        world, encoder = gateway.world, gateway.encoder
        server_us = gateway.now_us()
        world.step(min(elapsed_s, MAX_STEP_S))
        encoder.refresh()
        # A session that ends or begins while others get theirs must not shift what is theirs: both by slot, as of now.
        centers = world.cell.tolist()
        applied = world.applied.tolist()
        for number, session in enumerate(gateway.sessions, start=1):
            if session.address is not None and not session.closed and centers[session.slot] >= 0:
                self._send(session, centers[session.slot], applied[session.slot], server_us)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def _send(self, session: Session, center: int, applied: int, server_us: int) -> None:
        gateway = self._gateway
        encoder, tally, view = gateway.encoder, gateway.tally, session.view
        now_s = gateway.clock()
        tick = gateway.world.tick
        cy, cx = divmod(center, gateway.world.cells)
        tally.full_snapshot_bytes += encoder.nearby(center).full_bytes
        for data, parts, changes in view.update(encoder, center, now_s):
            head = StateHead(tick, server_us, applied, session.entity, cx, cy, parts)
            self._seal(session, encode_state(head, (data,)), now_s)
            view.sent(session.sealer.seq)
            tally.updates += changes
        if now_s - session.last_sent_s >= KEEP_ALIVE_S:
            head = StateHead(tick, server_us, applied, session.entity, cx, cy, 0)
            self._seal(session, encode_state(head, ()), now_s)

    def _seal(self, session: Session, body: bytes, now_s: float) -> None:
        assert session.address is not None
        datagram = session.sealer.seal(_STATE, body)
        self._outlet.send(datagram, session.address)
        tally = self._gateway.tally
        tally.datagrams_out += 1
        tally.bytes_out += len(datagram)
        tally.sends += 1
        session.last_sent_s = now_s
