"""A client's copy of its neighbourhood: puts parts together, applies them, compares checksums, says what it has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from necp_validate.realtime.cells import (
    Cell,
    Inconsistent,
    Part,
    PartHead,
    StateHead,
    apply,
    canonical_bytes,
    decode_part,
    decode_state,
)
from necp_validate.realtime.constants import KEPT_VERSIONS
from necp_validate.realtime.frames import Ack, Window
from necp_validate.realtime.state import State, checksum, unpack

CACHED: Final = 20_000
EXAMPLES: Final = 5


class Content:
    """The entities of a cell in one version; never changed once made."""

    __slots__ = ("checksum", "entities")

    def __init__(self, entities: dict[int, bytes]) -> None:
        self.entities = entities
        self.checksum = checksum(canonical_bytes(entities))


NOTHING: Final = Content({})
"""What base 0 stands for."""


class Workshop:
    """Decodes and applies parts, each only once for all replicas that share it.

    What is shared is found by the bytes that came and by the base that they were applied to, so a replica never
    profits from what another one was told.
    """

    def __init__(self) -> None:
        self._parts: OrderedDict[bytes, Part] = OrderedDict()
        self._made: OrderedDict[tuple[Content, tuple[bytes, ...]], Content] = OrderedDict()
        self._known: OrderedDict[bytes, Content] = OrderedDict()

    def decode(self, blob: bytes) -> Part:
        """Decode a part.

        Raises:
            BadFrame: it is not one.
        """
        part = self._parts.get(blob)
        if part is None:
            part = decode_part(blob)
            _put(self._parts, blob, part)
        return part

    def make(self, base: Content, blobs: tuple[bytes, ...]) -> Content:
        """Apply all parts of a version to its base.

        Raises:
            Inconsistent: they do not fit.
        """
        made = self._made.get((base, blobs))
        if made is None:
            entities = apply(base.entities, map(self.decode, blobs))
            data = canonical_bytes(entities)
            made = self._known.get(data)
            if made is None:
                made = Content(entities)
                _put(self._known, data, made)
            _put(self._made, (base, blobs), made)
        return made


K = TypeVar("K")
V = TypeVar("V")


def _put(cache: OrderedDict[K, V], key: K, value: V) -> None:
    cache[key] = value
    if len(cache) > CACHED:
        cache.popitem(last=False)


@dataclass(slots=True)
class Counts:
    """What a replica has seen.

    Args:
        datagrams: STATE datagrams taken.
        parts: cell parts in them.
        applied: versions put together.
        checks: of these, those whose checksum was compared (all of them).
        divergences: of these, those that were not what the gateway has.
        missing_base: parts of the newest tick that could not be used because their base was not there.
        stale: the same, but overtaken by newer datagrams, which is nobody's fault.
        outside: parts of cells that are not in the neighbourhood any more.
        largest_batch: most changes and removals in one datagram.
        examples: the first divergences, in words.
    """

    datagrams: int = 0
    parts: int = 0
    applied: int = 0
    checks: int = 0
    divergences: int = 0
    missing_base: int = 0
    stale: int = 0
    outside: int = 0
    largest_batch: int = 0
    examples: list[str] = field(default_factory=list)


class CellCopy:
    """What a replica has of one cell: versions to build upon, and versions of which parts are missing."""

    __slots__ = ("content", "forgotten", "kept", "unfinished", "version")

    def __init__(self) -> None:
        self.version = 0
        self.content = NOTHING
        self.kept: dict[int, Content] = {}
        self.forgotten = 0
        self.unfinished: dict[tuple[int, int, int], dict[int, bytes]] = {}


class Replica:
    """One player's copy of the world around it.

    Args:
        workshop: shared by the replicas of a process.
    """

    __slots__ = ("_acked", "_workshop", "cells", "center", "counts", "last_input", "self_id", "server_us", "tick")

    def __init__(self, workshop: Workshop | None = None) -> None:
        self._workshop = workshop or Workshop()
        self._acked = Window()
        self.cells: dict[Cell, CellCopy] = {}
        self.counts = Counts()
        self.center: Cell = (0, 0)
        self.tick = 0
        """Newest tick heard of."""
        self.server_us = 0
        self.last_input = 0
        self.self_id = 0

    def receive(self, seq: int, body: bytes) -> StateHead:
        """Take a STATE that was not received before.

        Args:
            seq: number of its datagram.
            body: its body.

        Raises:
            BadFrame: it is not to be read; nothing is changed.
        """
        head, blobs = decode_state(body)
        parts = [self._workshop.decode(blob) for blob in blobs]
        self._look(head)
        counts = self.counts
        counts.datagrams += 1
        counts.parts += len(parts)
        counts.largest_batch = max(counts.largest_batch, sum(part.head.changed + part.head.removed for part in parts))
        usable = True
        for part, blob in zip(parts, blobs, strict=True):
            usable &= self._take(part.head, blob, overtaken=head.tick < self.tick)
        if usable and self._acked.status(seq) is None:
            self._acked.add(seq)
        return head

    def ack(self) -> Ack:
        """What to acknowledge: datagrams all of whose parts could be used."""
        return self._acked.ack()

    def entities(self) -> Iterator[State]:
        """All entities it knows of."""
        for cell in self.cells.values():
            yield from map(unpack, cell.content.entities.values())

    def own(self) -> State | None:
        """The player's own entity, if it is known."""
        for cell in self.cells.values():
            record = cell.content.entities.get(self.self_id)
            if record is not None:
                return unpack(record)
        return None

    def _look(self, head: StateHead) -> None:
        """Go where the newest tick says; forget what is too far from there."""
        if head.tick < self.tick:
            return
        self.tick, self.server_us = head.tick, head.server_us
        self.last_input, self.self_id = head.last_input, head.self_id
        center = (head.center_x, head.center_y)
        if center != self.center:
            self.center = center
            for cell in [cell for cell in self.cells if not self._near(cell)]:
                del self.cells[cell]

    def _near(self, cell: Cell) -> bool:
        return abs(cell[0] - self.center[0]) <= 1 and abs(cell[1] - self.center[1]) <= 1

    def _take(self, head: PartHead, blob: bytes, *, overtaken: bool) -> bool:
        """Take a part; tell whether its datagram may be acknowledged as far as this part goes."""
        cell = (head.cx, head.cy)
        if not self._near(cell):
            # From before the player went away: the gateway has forgotten it too, so nothing depends on it.
            self.counts.outside += 1
            return True
        copy = self.cells.get(cell)
        if copy is None:
            copy = self.cells[cell] = CellCopy()
        if head.version in copy.kept:
            return True
        base = copy.kept.get(head.base) if head.base else NOTHING
        if base is None:
            if overtaken:
                self.counts.stale += 1
            else:
                self.counts.missing_base += 1
            return False
        if head.parts == 1:
            return self._finish(copy, head, base, (blob,))
        key = (head.version, head.base, head.parts)
        share = copy.unfinished.setdefault(key, {})
        share[head.part] = blob
        if len(share) < head.parts:
            return True
        del copy.unfinished[key]
        return self._finish(copy, head, base, tuple(share[number] for number in range(head.parts)))

    def _finish(self, copy: CellCopy, head: PartHead, base: Content, blobs: tuple[bytes, ...]) -> bool:
        counts = self.counts
        counts.applied += 1
        counts.checks += 1
        try:
            content = self._workshop.make(base, blobs)
            problem = "" if content.checksum == head.checksum else f"checksum {content.checksum:08x}"
        except Inconsistent as error:
            problem = str(error)
        if problem:
            counts.divergences += 1
            if len(counts.examples) < EXAMPLES:
                counts.examples.append(f"{problem}; wanted {head}")
            return False
        copy.kept[head.version] = content
        if head.version > copy.version:
            copy.version, copy.content = head.version, content
        self._forget(copy, head.base)
        return True

    def _forget(self, copy: CellCopy, base: int) -> None:
        """Forget versions that the gateway cannot build upon any more: it never goes back to an older base."""
        kept = copy.kept
        if base <= copy.forgotten and len(kept) <= KEPT_VERSIONS:
            return  # nothing is older than when it was last looked for: bases change less often than versions come
        copy.forgotten = max(base, copy.forgotten)
        for version in [version for version in kept if version < base and version != copy.version]:
            del kept[version]
        while len(kept) > KEPT_VERSIONS:
            del kept[min(kept)]
        for key in _older(copy.unfinished, base):
            del copy.unfinished[key]


def _older(unfinished: Iterable[tuple[int, int, int]], base: int) -> list[tuple[int, int, int]]:
    return [key for key in unfinished if key[0] < base]
