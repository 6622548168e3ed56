"""A player's view of the world: a replica that also counts what came, and can be held against the truth."""

from __future__ import annotations

from typing import Final, NamedTuple

from necp_validate.realtime.cells import HEAD_BYTES, Cell, Part, PartHead, StateHead, decode_state, full_bytes
from necp_validate.realtime.replica import CellCopy, Content, Replica, Workshop

SAMPLED_TICKS: Final = 20
"""Every so many ticks, views are compared."""

WHOLE_AFTER_US: Final = 1_000_000
"""So long after a datagram was lost, or after the first one came, what was missing may still be on its way.

Counted to the newest datagram that the view rests on: a gateway that stands still sends nothing again meanwhile."""

_EMPTY_CELL: Final = full_bytes(0)
_PER_ENTITY: Final = full_bytes(1) - _EMPTY_CELL


class Snapshot(NamedTuple):
    """A view at one tick.

    Args:
        tick: which.
        entity: the player's own.
        center: the cell that the gateway said it was in.
        cells: contents of the cells it had.
        whole: whether everything sent up to then had come.
    """

    tick: int
    entity: int
    center: Cell
    cells: dict[Cell, Content]
    whole: bool


class View(Replica):
    """A replica with accounts.

    A view *as of* tick n is what it held when the first datagram of a later tick came: a cell that did not change is
    not sent, so there is no other sign that a tick is complete.

    Args:
        workshop: shared by all views of a process, so that the same change is decoded once.
    """

    __slots__ = (
        *("_came", "_last_us", "_not_whole_us", "changes", "entities_held", "far", "full_bytes"),
        *("snapshot", "tick_us", "ticks"),
    )

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        self.changes = 0
        self.full_bytes = 0
        self.far = 0
        """Parts of cells beyond the neighbourhood that their own datagram names."""
        self.entities_held = 0
        self.ticks = 0
        self.tick_us = 0
        """When the first datagram of the newest tick came."""
        self.snapshot: Snapshot | None = None
        """The newest sampled view; taken away by whoever compares it."""
        self._came = 0
        self._last_us = 0
        self._not_whole_us = 0

    def take(self, seq: int, body: bytes, now_us: int) -> StateHead:
        """Take a STATE that was not received before.

        Args:
            seq: number of its datagram.
            body: its body.
            now_us: when it came.

        Raises:
            BadFrame: it is not to be read; nothing is changed.
        """
        head, blobs = decode_state(body)
        decode = self._workshop.decode
        parts = [decode(blob) for blob in blobs]
        newer = head.tick > self.tick
        if seq != self._came + 1 or not self.tick:
            self._not_whole_us = now_us
        self._came = max(self._came, seq)
        if newer and self.tick:
            sampled = (head.tick - 1) // SAMPLED_TICKS * SAMPLED_TICKS
            if sampled >= self.tick:
                self.snapshot = Snapshot(
                    sampled,
                    self.self_id,
                    self.center,
                    {cell: copy.content for cell, copy in self.cells.items()},
                    self._last_us - self._not_whole_us > WHOLE_AFTER_US,
                )
        self._last_us = now_us
        self._look(head)
        usable = self._take_parts(head, parts, blobs)
        if newer:
            self.ticks += 1
            self.tick_us = now_us
            self.full_bytes += HEAD_BYTES + _EMPTY_CELL * len(self.cells) + _PER_ENTITY * self.entities_held
        if usable and self._acked.status(seq) is None:
            self._acked.add(seq)
        return head

    def _take_parts(self, head: StateHead, parts: list[Part], blobs: list[bytes]) -> bool:
        counts = self.counts
        usable, batch = True, 0
        overtaken = head.tick < self.tick
        for part, blob in zip(parts, blobs, strict=True):
            of = part.head
            batch += of.changed + of.removed
            if abs(of.cx - head.center_x) > 1 or abs(of.cy - head.center_y) > 1:
                self.far += 1
            usable &= self._take(of, blob, overtaken=overtaken)
        counts.datagrams += 1
        counts.parts += len(parts)
        counts.largest_batch = max(counts.largest_batch, batch)
        self.changes += batch
        return usable

    def _look(self, head: StateHead) -> None:
        center = self.center
        super()._look(head)
        if self.center != center:
            self.entities_held = sum(len(copy.content.entities) for copy in self.cells.values())

    def _finish(self, copy: CellCopy, head: PartHead, base: Content, blobs: tuple[bytes, ...]) -> bool:
        before = len(copy.content.entities)
        finished = super()._finish(copy, head, base, blobs)
        self.entities_held += len(copy.content.entities) - before
        return finished

    @property
    def converged(self) -> bool:
        """Whether the player sees itself where the gateway says it is."""
        copy = self.cells.get(self.center)
        return copy is not None and self.self_id in copy.content.entities
