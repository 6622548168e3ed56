"""Cell parts of the newest tick, made by column for all cells at once, and kept by (cell, base, version)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from necp_validate.realtime.cells import (
    CHANGE_BYTES,
    FULL_MASK,
    GROUPS,
    MAX_COUNT,
    MAX_PART,
    PART_BYTES,
    encode_parts,
    full_bytes,
    part_blob,
)
from necp_validate.realtime.state import RECORD_BYTES, Array
from necp_validate.reference.gateway.world import CellLog, World

Blobs = list[tuple[bytes, int]]
"""The parts of a delta, each with the number of changes and removals in it."""


class Batch(NamedTuple):
    """What goes into one datagram: parts, joined, how many, and how many changes and removals are in them."""

    data: bytes
    parts: int
    changes: int


class Nearby(NamedTuple):
    """The cells of a neighbourhood: their logs, the newest of their versions, and the bytes of their full state."""

    logs: list[tuple[int, CellLog]]
    newest: int
    full_bytes: int


def _kept_columns() -> Array:
    """By mask, which columns of a fully encoded change stay."""
    keep = np.zeros((FULL_MASK + 1, RECORD_BYTES + 1), bool)
    for mask in range(1, FULL_MASK + 1):
        keep[mask, :5] = True
        for bit, (start, end) in enumerate(GROUPS):
            if mask >> bit & 1:
                keep[mask, start + 1 : end + 1] = True
    return keep


_KEEP: Final = _kept_columns()
_LENGTH: Final = np.array((0, *CHANGE_BYTES[1:]), np.int64)
"""Bytes of a change by mask; one without any group is not sent."""


class _Deltas:
    """What has changed since one tick, for all entities in the world's order."""

    __slots__ = ("count", "data", "ends")

    def __init__(self, full: Array, masks: Array) -> None:
        full[:, 4] = masks
        self.data: bytes = full[_KEEP[masks]].tobytes()
        self.ends: list[int] = [0, *np.cumsum(_LENGTH[masks]).tolist()]
        self.count: list[int] = [0, *np.cumsum(masks != 0).tolist()]


class Encoder:
    """Gives what leads from what a player knows to the newest tick.

    Args:
        world: the world.
        batch: most changes and removals in one datagram.
        delta: whether cells are sent as deltas, or as full state only.
    """

    def __init__(self, world: World, *, batch: int, delta: bool) -> None:
        self._world = world
        self._batch = batch
        self._delta = delta
        self._blobs: dict[int, dict[int, Blobs]] = {}
        """By cell, and then by what is known of it: by tick, and, less than 0, by base."""
        self._deltas: dict[int, _Deltas] = {}
        self._full: Array = np.zeros((0, RECORD_BYTES + 1), np.uint8)
        self._near: dict[int, tuple[int, ...]] = {}
        self._nearby: dict[int, Nearby] = {}
        self._plans: dict[tuple[int, int, tuple[int, ...]], tuple[Batch, ...]] = {}
        self.tick = 0
        """Number of the tick that it gives."""

    def refresh(self) -> None:
        """Take in the world's newest tick; to be called after each."""
        world = self._world
        self.tick = world.tick
        for cell in world.changed:
            self._blobs.pop(cell, None)
        self._deltas = {}
        self._nearby = {}
        self._plans = {}
        raw = world.packed.view(np.uint8).reshape(len(world.packed), RECORD_BYTES)
        self._full = np.empty((len(raw), RECORD_BYTES + 1), np.uint8)
        self._full[:, :4] = raw[:, :4]
        self._full[:, 5:] = raw[:, 4:]

    def near(self, center: int) -> tuple[int, ...]:
        """The cells of a neighbourhood, its centre first."""
        found = self._near.get(center)
        if found is None:
            width = self._world.cells
            cy, cx = divmod(center, width)
            around = [
                y * width + x
                for y in range(max(0, cy - 1), min(width, cy + 2))
                for x in range(max(0, cx - 1), min(width, cx + 2))
            ]
            around.remove(center)
            found = self._near[center] = (center, *around)
        return found

    def nearby(self, center: int) -> Nearby:
        """The cells of a neighbourhood that anybody was ever in."""
        found = self._nearby.get(center)
        if found is None:
            world = self._world
            logs = [(cell, world.logs[cell]) for cell in self.near(center) if cell in world.logs]
            size = newest = 0
            for cell, log in logs:
                start, end = world.spans.get(cell, (0, 0))
                size += full_bytes(end - start)
                newest = max(newest, log.version)
            found = self._nearby[center] = Nearby(logs, newest, size)
        return found

    def plan(self, center: int, known: int, unknown: tuple[int, ...]) -> tuple[Batch, ...]:
        """Put together the datagrams for a player.

        Args:
            center: cell that it is in.
            known: tick as of which it knows its neighbourhood; 0 if it knows nothing.
            unknown: cells of the neighbourhood that it does not know nevertheless.
        """
        key = (center, known, unknown)
        found = self._plans.get(key)
        if found is None:
            found = self._plans[key] = tuple(self._put_together(self._wanted(key)))
        return found

    def blobs(self, cell: int, known: int) -> Blobs:
        """Encode what leads to the newest version of a cell.

        Args:
            cell: number of a cell that anybody was ever in.
            known: tick as of which it is known; 0 for not at all, or if there are to be no deltas.
        """
        made = self._blobs.get(cell)
        if made is None:
            made = self._blobs[cell] = {}
        found = made.get(known)
        if found is None:
            base = self._world.logs[cell].base_at(known)
            found = made.get(-base)
            if found is None:
                # From the base or from the tick: in between nothing has changed, and there are fewer ticks than bases.
                found = made[-base] = self._encode(cell, base, self._since(known if base else 0))
            made[known] = found
        return found

    def _wanted(self, key: tuple[int, int, tuple[int, ...]]) -> Iterator[tuple[bytes, int]]:
        center, known, unknown = key
        for cell, log in self.nearby(center).logs:
            if cell in unknown:
                yield from self.blobs(cell, 0)
            elif log.version > known:
                yield from self.blobs(cell, known if self._delta else 0)

    def _put_together(self, parts: Iterator[tuple[bytes, int]]) -> Iterator[Batch]:
        """Fill datagrams, as far as length and batch allow."""
        batch = self._batch
        gathered: list[bytes] = []
        size = changes = 0
        for blob, count in parts:
            if gathered and (size + len(blob) > MAX_PART or changes + count > batch or len(gathered) == MAX_COUNT):
                yield Batch(b"".join(gathered), len(gathered), changes)
                gathered = []
                size = changes = 0
            gathered.append(blob)
            size += len(blob)
            changes += count
        if gathered:
            yield Batch(b"".join(gathered), len(gathered), changes)

    def _encode(self, cell: int, base: int, deltas: _Deltas) -> Blobs:
        world = self._world
        log = world.logs[cell]
        start, end = world.spans.get(cell, (0, 0))
        removed = log.removed_since(base) if base else []
        if removed:
            here = set(world.packed["id"][start:end].tolist())
            removed = [entity for entity in removed if entity not in here]
        changed = deltas.count[end] - deltas.count[start]
        first, last = deltas.ends[start], deltas.ends[end]
        cy, cx = divmod(cell, world.cells)
        batch = min(self._batch, MAX_COUNT)
        if len(removed) + changed <= batch and PART_BYTES + 4 * len(removed) + last - first <= MAX_PART:
            blob = part_blob(
                (cx, cy),
                base=base,
                version=log.version,
                cell_checksum=log.checksum,
                part=0,
                parts=1,
                removed=removed,
                changed=changed,
                changes=deltas.data[first:last],
            )
            return [(blob, len(removed) + changed)]
        ends = deltas.ends
        changes = [deltas.data[ends[i] : ends[i + 1]] for i in range(start, end) if ends[i] != ends[i + 1]]
        return encode_parts(
            (cx, cy),
            base=base,
            version=log.version,
            cell_checksum=log.checksum,
            removed=removed,
            changes=changes,
            batch=batch,
        )

    def _since(self, known: int) -> _Deltas:
        deltas = self._deltas.get(known)
        if deltas is None:
            world = self._world
            order = world.order
            if known:
                masks = np.zeros(len(order), np.uint8)
                for bit in range(len(GROUPS)):
                    masks |= (world.changed_at[bit][order] > known).astype(np.uint8) << bit
                masks[world.entered[order] > known] = FULL_MASK
            else:
                masks = np.full(len(order), FULL_MASK, np.uint8)
            deltas = self._deltas[known] = _Deltas(self._full, masks)
        return deltas
