"""Did each player see its neighbourhood and nothing else? Views at one tick, held against all players' own positions.

What a player knows of itself came to it with its own cell, and says nothing of what the gateway chose to tell the
others; so the positions of all players of a process together are the truth that each view is compared with. Players
of other processes, and other entities, are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from necp_validate.players.view import Snapshot
from necp_validate.realtime.cells import Cell
from necp_validate.realtime.replica import NOTHING, Content
from necp_validate.realtime.state import unpack
from necp_validate.record import InterestSeen

_EXAMPLES: Final = 10
_WAIT_US: Final = 2_000_000
"""So long after its first view came, a tick is compared with the views that are there."""


@dataclass(slots=True)
class _Compared:
    """What one content of a cell is, against those known to be in it."""

    expected: int
    missing: list[int]
    different: list[int]
    strangers: list[int]


@dataclass(slots=True)
class _Tick:
    first_us: int
    snapshots: list[Snapshot] = field(default_factory=list)


class InterestWatch:
    """Collects views by tick and compares them.

    Args:
        grid: width of a cell in world units; known once the first player is logged in.
    """

    def __init__(self, grid: int = 0) -> None:
        self.grid = grid
        self.far = 0
        """Parts that came for cells beyond the neighbourhood; summed up by the owner of the views."""
        self._ticks: dict[int, _Tick] = {}
        self._views = self._skipped = self._expected = self._others = 0
        self._missing = self._different = self._outside = 0
        self._examples: list[str] = []

    def add(self, snapshot: Snapshot, now_us: int) -> None:
        """Take the view of a player at a tick."""
        if not snapshot.whole:
            self._skipped += 1
            return
        tick = self._ticks.get(snapshot.tick)
        if tick is None:
            tick = self._ticks[snapshot.tick] = _Tick(now_us)
        tick.snapshots.append(snapshot)

    def forget(self) -> None:
        """Give up what has not been compared: the gateway was restarted and counts its ticks anew."""
        self._skipped += sum(len(tick.snapshots) for tick in self._ticks.values())
        self._ticks.clear()

    def settle(self, now_us: int) -> None:
        """Compare the ticks whose views have had time to come in."""
        due = [number for number, tick in self._ticks.items() if now_us - tick.first_us >= _WAIT_US]
        for number in due:
            self.compare(self._ticks.pop(number).snapshots)

    def compare(self, snapshots: Iterable[Snapshot]) -> None:
        """Compare views of one tick with one another."""
        snapshots = list(snapshots)
        truth: dict[Cell, dict[int, bytes]] = {}
        for snapshot in snapshots:
            record = snapshot.cells.get(snapshot.center, NOTHING).entities.get(snapshot.entity)
            if record is None:
                self._missing += 1
                self._note(f"tick {snapshot.tick}: entity {snapshot.entity} does not see itself in {snapshot.center}")
            else:
                truth.setdefault(self._cell(record), {})[snapshot.entity] = record
        known = sum(len(there) for there in truth.values())
        where = {entity: cell for cell, there in truth.items() for entity in there}
        made: dict[tuple[Cell, Content], _Compared] = {}
        for snapshot in snapshots:
            self._views += 1
            x, y = snapshot.center
            seen = 0
            for cell in {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} | snapshot.cells.keys():
                content = snapshot.cells.get(cell, NOTHING)
                if not content.entities and cell not in truth:
                    continue
                found = made.get((cell, content))
                if found is None:
                    found = made[cell, content] = self._compare(cell, content, truth.get(cell, {}), where)
                self._count(snapshot, cell, found)
                seen += found.expected
            self._others += known - seen

    def _compare(self, cell: Cell, content: Content, there: dict[int, bytes], where: dict[int, Cell]) -> _Compared:
        shown = content.entities
        return _Compared(
            expected=len(there),
            missing=[entity for entity in there if entity not in shown],
            different=[entity for entity, record in there.items() if shown.get(entity, record) != record],
            strangers=[
                entity
                for entity, record in shown.items()
                if where.get(entity, cell) != cell or self._cell(record) != cell
            ],
        )

    def _count(self, snapshot: Snapshot, cell: Cell, found: _Compared) -> None:
        x, y = snapshot.center
        if abs(cell[0] - x) > 1 or abs(cell[1] - y) > 1:
            # Whatever it holds: this cell is none of the player's business.
            shown = snapshot.cells[cell].entities
            self._outside += len(shown)
            self._note(
                f"tick {snapshot.tick}: entity {snapshot.entity} in {snapshot.center} sees {len(shown)} in {cell}"
            )
            return
        self._expected += found.expected
        self._missing += len(found.missing)
        self._different += len(found.different)
        self._outside += len(found.strangers)
        for words, entities in (
            ("does not see", found.missing),
            ("sees another state of", found.different),
            ("sees where it is not", found.strangers),
        ):
            if entities:
                who = f"entity {snapshot.entity} in {snapshot.center}"
                self._note(
                    f"tick {snapshot.tick}: {who} {words} entity {entities[0]} in {cell}, and {len(entities)} so"
                )

    def _cell(self, record: bytes) -> Cell:
        state = unpack(record)
        return state.x // self.grid, state.y // self.grid

    def _note(self, text: str) -> None:
        if len(self._examples) < _EXAMPLES:
            self._examples.append(text)

    def seen(self) -> InterestSeen:
        """The account so far."""
        return InterestSeen(
            views=self._views,
            skipped=self._skipped,
            expected=self._expected,
            missing=self._missing,
            different=self._different,
            outside=self._outside + self.far,
            others=self._others,
            examples=tuple(self._examples),
        )
