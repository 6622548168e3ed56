"""What one player knows of the world, and what it is to be sent.

A player that has acknowledged every datagram of a tick knows its neighbourhood as it was then, whatever was lost
before. So one number, the newest such tick, says what it knows; only cells that have come near since are exceptions.
And all players with the same number in the same cell are sent the same, which is put together only once.
"""

from __future__ import annotations

from typing import Final

from necp_validate.realtime.frames import ACK_BITS, Ack
from necp_validate.reference.gateway.encoding import Batch, Encoder

RESEND_S: Final = 0.2
"""When nothing has changed since, the same is not sent again before this time has passed: the acknowledgement may
be on its way."""

MAX_UNACKED: Final = 1_024
"""Datagrams whose acknowledgement is awaited; one more, and the oldest counts as lost."""

_NONE: Final[tuple[Batch, ...]] = ()


class _Sent:
    """The datagrams of one tick for one player.

    Attributes:
        tick: the tick.
        left: datagrams not acknowledged yet.
    """

    __slots__ = ("left", "tick")

    def __init__(self, tick: int, left: int) -> None:
        self.tick = tick
        self.left = left


class View:
    """What one player knows of the world."""

    __slots__ = ("_again_s", "_center", "_entered", "_known", "_last", "_sent", "_unacked")

    def __init__(self) -> None:
        self._center = -1
        self._known = 0
        self._entered: dict[int, int] = {}
        self._unacked: dict[int, _Sent] = {}
        self._sent = _Sent(0, 0)
        self._last = (-1, 0)
        self._again_s = 0.0

    def update(self, encoder: Encoder, center: int, now_s: float) -> tuple[Batch, ...]:
        """Say what the player is to be sent for the newest tick, a datagram at a time.

        Args:
            encoder: of the newest tick.
            center: cell of the player's entity.
            now_s: clock.
        """
        if center != self._center:
            self._go(encoder, center)
        known = self._known
        newest = encoder.nearby(center).newest
        if newest <= known and not self._entered:
            return _NONE
        if self._last == (center, newest) and now_s < self._again_s:
            return _NONE
        self._last = (center, newest)
        self._again_s = now_s + RESEND_S
        plan = encoder.plan(center, known, tuple(self._entered) if known else ())
        self._sent = _Sent(encoder.tick, len(plan))
        return plan

    def sent(self, seq: int) -> None:
        """Note the number of a datagram of the newest update."""
        self._unacked[seq] = self._sent
        if len(self._unacked) > MAX_UNACKED:
            del self._unacked[next(iter(self._unacked))]

    def acknowledge(self, ack: Ack) -> None:
        """Take an acknowledgement; what it says of datagrams that were never sent changes nothing."""
        newest, bits = ack
        done = []
        for seq, sent in self._unacked.items():
            behind = newest - seq
            if behind < 0:
                break
            if behind == 0 or (behind <= ACK_BITS and bits >> (behind - 1) & 1):
                done.append(seq)
                sent.left -= 1
                if sent.left == 0 and sent.tick > self._known:
                    self._known = sent.tick
                    if self._entered:
                        self._entered = {cell: tick for cell, tick in self._entered.items() if tick > sent.tick}
            elif behind > ACK_BITS:
                done.append(seq)
        for seq in done:
            del self._unacked[seq]

    def _go(self, encoder: Encoder, center: int) -> None:
        """Move to another cell: what comes near begins from nothing, although it may have been near before."""
        before = encoder.near(self._center) if self._center >= 0 else ()
        near = encoder.near(center)
        entered = self._entered
        self._entered = {
            cell: encoder.tick if cell not in before else entered[cell]
            for cell in near
            if cell not in before or cell in entered
        }
        self._center = center
