"""The world by column: entities, their movement, the cells they are in, and since when everything is as it is.

No version of a cell is stored. For every group of fields of an entity the world keeps the tick of its last change, and
for every cell who has left it; that is enough to say what differs from any version that may be a base.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Any, Final

import numpy as np

from necp_validate.realtime.cells import GROUPS
from necp_validate.realtime.constants import FULL_HP, KEPT_VERSIONS
from necp_validate.realtime.state import EMPTY_CHECKSUM, FIELDS, MEMORY_DTYPE, RECORD_BYTES, WIRE_DTYPE, Array, checksum

_GROUP_FIELDS: Final = (("x",), ("y",), ("z",), ("vx", "vy"), ("yaw",), ("hp",), ("mode", "flags"))
assert len(_GROUP_FIELDS) == len(GROUPS)
_NOWHERE: Final = -1
_FIRST_SLOTS: Final = 256


class CellLog:
    """What a cell remembers.

    Attributes:
        version: tick of its last change.
        checksum: of what is in it.
        versions: the newest of its versions, oldest first.
        left: who has left: ``(tick, entity, tick of entering)``, oldest first.
    """

    __slots__ = ("checksum", "left", "version", "versions")

    def __init__(self) -> None:
        self.version = 0
        self.checksum = EMPTY_CHECKSUM
        self.versions: deque[int] = deque(maxlen=KEPT_VERSIONS)
        self.left: deque[tuple[int, int, int]] = deque()

    def change(self, tick: int, sum_: int) -> None:
        """Note a new version."""
        self.version = tick
        self.checksum = sum_
        self.versions.append(tick)
        oldest = self.versions[0]
        while self.left and self.left[0][0] <= oldest:
            self.left.popleft()

    def removed_since(self, base: int) -> list[int]:
        """Entities that were in it in version ``base`` and have left since; some may be back."""
        return [entity for tick, entity, entered in self.left if tick > base >= entered]

    def base_at(self, tick: int) -> int:
        """The version that was the newest at a tick, if it may be a base; else 0.

        Deltas from versions that are not kept would miss who has left.
        """
        position = bisect_right(self.versions, tick)
        return self.versions[position - 1] if position else 0


class World:
    """All entities.

    Args:
        grid: width of a cell, in world units.
        cells: number of cells in a row, and of rows.
    """

    def __init__(self, grid: int, cells: int) -> None:
        self.grid = grid
        self.cells = cells
        self.limit = grid * cells - 1
        """Largest coordinate."""
        self.tick = 0
        self.logs: dict[int, CellLog] = {}
        """Cells that anybody was ever in, by ``cy * cells + cx``."""
        self.order: Array = np.zeros(0, np.int64)
        """Slots of all entities, by cell and id."""
        self.packed: Array = np.zeros(0, WIRE_DTYPE)
        """Their records, in that order."""
        self.spans: dict[int, tuple[int, int]] = {}
        """Where in that order a cell begins and ends."""
        self.changed: set[int] = set()
        """Cells that the newest tick changed."""
        self._next_id = 1
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._gone: list[tuple[int, int, int]] = []
        self._wishes: dict[int, tuple[int, int, int, int, int]] = {}
        self._next: Array = np.zeros(0, MEMORY_DTYPE)
        self._published: Array = np.zeros(0, MEMORY_DTYPE)
        self._x: Array = np.zeros(0)
        self._y: Array = np.zeros(0)
        self._alive: Array = np.zeros(0, bool)
        self.cell: Array = np.zeros(0, np.int64)
        """Cell by slot."""
        self.entered: Array = np.zeros(0, np.int64)
        """By slot, the tick at which the entity came into its cell."""
        self.changed_at: Array = np.zeros((len(GROUPS), 0), np.int64)
        """By group and slot, the tick of the last change."""
        self.applied: Array = np.zeros(0, np.uint32)
        """By slot, number of the newest input that was applied."""
        self._grow(_FIRST_SLOTS)

    def __len__(self) -> int:
        return len(self._slots)

    def spawn(self, x: int, y: int, z: int = 0) -> tuple[int, int]:
        """Put a new entity into the world; it is there from the next tick on.

        Returns:
            Its id, which is never used again, and its slot.
        """
        if not self._free:
            self._grow(2 * len(self._alive))
        slot = self._free.pop()
        entity = self._next_id
        self._next_id += 1
        self._slots[entity] = slot
        record = self._next[slot : slot + 1]
        record[:] = np.zeros(1, MEMORY_DTYPE)
        record["id"], record["hp"], record["z"] = entity, FULL_HP, z
        self._x[slot], self._y[slot] = min(max(x, 0), self.limit), min(max(y, 0), self.limit)
        self._alive[slot] = True
        self.cell[slot] = _NOWHERE
        self.applied[slot] = 0
        return entity, slot

    def remove(self, entity: int) -> None:
        """Take an entity out of the world; cells show it at the next tick."""
        slot = self._slots.pop(entity)
        self._wishes.pop(slot, None)
        if self.cell[slot] != _NOWHERE:
            self._gone.append((int(self.cell[slot]), entity, int(self.entered[slot])))
        self._alive[slot] = False
        self.cell[slot] = _NOWHERE
        self._free.append(slot)

    def wish(self, slot: int, number: int, mode: int, vx: int, vy: int, yaw: int) -> None:
        """Take a player's wish for the next tick; a newer one replaces it."""
        self._wishes[slot] = (number, mode, vx, vy, yaw)

    def hurt(self, entity: int, damage: int) -> None:
        """Take hit points from an entity, if it is there; at 0 it is whole again, as the reference has no death."""
        slot = self._slots.get(entity)
        if slot is not None:
            left = int(self._next["hp"][slot]) - damage
            self._next["hp"][slot] = left if left > 0 else FULL_HP

    def step(self, elapsed_s: float) -> None:
        """Make the next tick.

        Args:
            elapsed_s: time since the last one.
        """
        self.tick += 1
        self._apply_wishes()
        self._move(elapsed_s)
        touched = self._note_changes() | self._note_moves()
        self._sort()
        self._publish(touched)

    def _apply_wishes(self) -> None:
        if not self._wishes:
            return
        slots = np.fromiter(self._wishes.keys(), np.int64, len(self._wishes))
        numbers, modes, vx, vy, yaw = np.array(list(self._wishes.values()), np.int64).T
        records = self._next
        records["mode"][slots], records["vx"][slots], records["vy"][slots] = modes, vx, vy
        records["yaw"][slots] = yaw
        self.applied[slots] = numbers
        self._wishes.clear()

    def _move(self, elapsed_s: float) -> None:
        records = self._next
        for place, speed, name in ((self._x, "vx", "x"), (self._y, "vy", "y")):
            place += records[speed] * elapsed_s
            np.clip(place, 0, self.limit, out=place)
            records[name] = np.rint(place)

    def _note_changes(self) -> set[int]:
        """Compare with what was published; give the cells of what has changed."""
        old, new = self._published, self._next
        for group, names in enumerate(_GROUP_FIELDS):
            differs = old[names[0]] != new[names[0]]
            for name in names[1:]:
                differs |= old[name] != new[name]
            self.changed_at[group][differs] = self.tick
        changed = self._alive & (self.changed_at.max(axis=0) == self.tick) & (self.cell != _NOWHERE)
        return set(np.unique(self.cell[changed]).tolist())

    def _note_moves(self) -> set[int]:
        """Assign cells; give those that somebody has entered or left."""
        new = self._next
        cells = (new["y"] // self.grid).astype(np.int64) * self.cells + new["x"] // self.grid
        moved = np.flatnonzero(self._alive & (cells != self.cell))
        touched = set()
        leavers = self._gone
        self._gone = []
        for slot in moved.tolist():
            if self.cell[slot] != _NOWHERE:
                leavers.append((int(self.cell[slot]), int(new["id"][slot]), int(self.entered[slot])))
            touched.add(int(cells[slot]))
        for cell, entity, entered in leavers:
            self._log(cell).left.append((self.tick, entity, entered))
            touched.add(cell)
        self.cell[moved] = cells[moved]
        self.entered[moved] = self.tick
        return touched

    def _sort(self) -> None:
        alive = np.flatnonzero(self._alive)
        ids = self._next["id"][alive].astype(np.int64)
        self.order = alive[np.argsort(self.cell[alive] << 32 | ids)]
        records = self._next[self.order]
        self.packed = np.empty(len(records), WIRE_DTYPE)
        for name in FIELDS:
            self.packed[name] = records[name]
        numbers, starts = np.unique(self.cell[self.order], return_index=True)
        ends = np.append(starts, len(self.order))[1:]
        self.spans = dict(
            zip(numbers.tolist(), zip(starts.tolist(), ends.tolist(), strict=True), strict=True),
        )

    def _publish(self, touched: set[int]) -> None:
        data = memoryview(self.packed.tobytes())
        for cell in touched:
            start, end = self.spans.get(cell, (0, 0))
            self._log(cell).change(self.tick, checksum(data[start * RECORD_BYTES : end * RECORD_BYTES]))
        self.changed = touched
        self._published[:] = self._next

    def _log(self, cell: int) -> CellLog:
        log = self.logs.get(cell)
        if log is None:
            log = self.logs[cell] = CellLog()
        return log

    def _grow(self, size: int) -> None:
        old = len(self._alive)
        more = size - old
        self._next = np.concatenate([self._next, np.zeros(more, MEMORY_DTYPE)])
        self._published = np.concatenate([self._published, np.zeros(more, MEMORY_DTYPE)])
        self._x, self._y = _longer(self._x, more), _longer(self._y, more)
        self._alive = _longer(self._alive, more)
        self.cell = _longer(self.cell, more, _NOWHERE)
        self.entered = _longer(self.entered, more)
        self.changed_at = np.concatenate([self.changed_at, np.zeros((len(GROUPS), more), np.int64)], axis=1)
        self.applied = _longer(self.applied, more)
        self._free.extend(range(size - 1, old - 1, -1))


def _longer(array: Array, more: int, value: Any = 0) -> Array:
    return np.concatenate([array, np.full(more, value, array.dtype)])
