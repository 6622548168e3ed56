"""World state in datagrams: the cell parts of a STATE, what a delta holds, and how it is applied.

A *version* of a cell is the number of the tick at which it last changed. A part says how to get from one version
(``base``; 0 is nothing at all) to another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple

from necp_validate.realtime.frames import MAX_BODY, BadFrame
from necp_validate.realtime.state import RECORD_BYTES, checksum

Cell = tuple[int, int]
Entities = Mapping[int, bytes]
"""Canonical records by entity."""

_HEAD: Final = Struct("<IQIIHHB")
_PART: Final = Struct("<HHIIIHHBBH")
_ID: Final = Struct("<I")
HEAD_BYTES: Final = _HEAD.size
PART_BYTES: Final = _PART.size
MAX_PART: Final = MAX_BODY - HEAD_BYTES
MAX_COUNT: Final = 255
"""Most changes, and most removals, in one part; also the most parts in one datagram."""

GROUPS: Final[tuple[tuple[int, int], ...]] = ((4, 8), (8, 12), (12, 16), (16, 20), (20, 22), (22, 24), (24, 26))
"""What each bit of a mask stands for, as bytes of the canonical record: x, y, z, velocity, yaw, hp, mode and flags."""

FULL_MASK: Final = (1 << len(GROUPS)) - 1
CHANGE_BYTES: Final = tuple(
    5 + sum(end - start for bit, (start, end) in enumerate(GROUPS) if mask >> bit & 1) for mask in range(FULL_MASK + 1)
)
"""Bytes of one change by its mask."""

_GROUPS_OF: Final = tuple(
    tuple(group for bit, group in enumerate(GROUPS) if mask >> bit & 1) for mask in range(FULL_MASK + 1)
)


class StateHead(NamedTuple):
    """Beginning of a STATE.

    Args:
        tick: number of the tick.
        server_us: when it began, microseconds since the epoch.
        last_input: newest INPUT applied for the player before it.
        self_id: the player's entity.
        center_x: cell that the player's entity is in at this tick.
        center_y: its row.
        parts: number of parts that follow.
    """

    tick: int
    server_us: int
    last_input: int
    self_id: int
    center_x: int
    center_y: int
    parts: int


class PartHead(NamedTuple):
    """Beginning of a cell part.

    Args:
        cx: the cell.
        cy: its row.
        base: version that the part builds upon; 0 for none.
        version: version that all parts together give.
        checksum: of the whole cell in that version.
        part: number of this part, from 0.
        parts: how many parts there are.
        changed: number of changes.
        removed: number of removals.
        length: bytes that follow.
    """

    cx: int
    cy: int
    base: int
    version: int
    checksum: int
    part: int
    parts: int
    changed: int
    removed: int
    length: int


class Part(NamedTuple):
    """A decoded cell part: entities removed, and changes as ``(id, mask, values of its groups)``."""

    head: PartHead
    removed: tuple[int, ...]
    changed: tuple[tuple[int, int, bytes], ...]


class Inconsistent(Exception):
    """A delta does not fit its base: it removes or changes what is not there."""


def encode_state(head: StateHead, parts: Iterable[bytes]) -> bytes:
    """Encode the body of a STATE; ``head.parts`` must be the number of parts."""
    return b"".join((_HEAD.pack(*head), *parts))


def decode_state(body: bytes) -> tuple[StateHead, list[bytes]]:
    """Split the body of a STATE into its head and its parts, which stay encoded (see :func:`decode_part`).

    Raises:
        BadFrame: ``body``.
    """
    if len(body) < HEAD_BYTES:
        raise BadFrame("body")
    head = StateHead(*_HEAD.unpack_from(body))
    parts = []
    position = HEAD_BYTES
    for _ in range(head.parts):
        start = position
        position += PART_BYTES
        if position > len(body):
            raise BadFrame("body")
        position += body[position - 2] | body[position - 1] << 8
        parts.append(body[start:position])
    if position != len(body):
        raise BadFrame("body")
    return head, parts


def decode_part(blob: bytes) -> Part:
    """Decode one cell part.

    Raises:
        BadFrame: ``body``.
    """
    if len(blob) < PART_BYTES:
        raise BadFrame("body")
    head = PartHead(*_PART.unpack_from(blob))
    position = PART_BYTES + 4 * head.removed
    if len(blob) != PART_BYTES + head.length or position > len(blob) or head.part >= head.parts:
        raise BadFrame("body")
    removed = tuple(_ID.unpack_from(blob, start)[0] for start in range(PART_BYTES, position, 4))
    changed = []
    for _ in range(head.changed):
        if position + 5 > len(blob) or blob[position + 4] > FULL_MASK:
            raise BadFrame("body")
        mask = blob[position + 4]
        end = position + CHANGE_BYTES[mask]
        changed.append((_ID.unpack_from(blob, position)[0], mask, blob[position + 5 : end]))
        position = end
    if position != len(blob):
        raise BadFrame("body")
    return Part(head, removed, tuple(changed))


def apply(base: Entities, parts: Iterable[Part]) -> dict[int, bytes]:
    """Apply all parts of a version to the entities of its base.

    Raises:
        Inconsistent: they do not fit the base.
    """
    entities = dict(base)
    for part in parts:
        for entity in part.removed:
            if entities.pop(entity, None) is None:
                raise Inconsistent(f"removes entity {entity}, which is not in the base")
        for entity, mask, values in part.changed:
            if mask == FULL_MASK:
                entities[entity] = _ID.pack(entity) + values
                continue
            old = entities.get(entity)
            if old is None:
                raise Inconsistent(f"changes entity {entity}, which is not in the base")
            record = bytearray(old)
            position = 0
            for start, end in _GROUPS_OF[mask]:
                record[start:end] = values[position : position + end - start]
                position += end - start
            entities[entity] = bytes(record)
    return entities


def canonical_bytes(entities: Entities) -> bytes:
    """The canonical records of a cell, sorted by id, one after the other."""
    return b"".join([entities[entity] for entity in sorted(entities)])


def cell_checksum(entities: Entities) -> int:
    """Checksum of a cell."""
    return checksum(canonical_bytes(entities))


def encode_change(record: bytes, mask: int) -> bytes:
    """Encode the change of an entity: the groups of its new record that ``mask`` names."""
    return b"".join((record[:4], bytes((mask,)), *(record[start:end] for start, end in _GROUPS_OF[mask])))


def change_mask(old: bytes | None, new: bytes) -> int:
    """Say which groups of a record differ; all of them for an entity that was not there."""
    if old is None:
        return FULL_MASK
    return sum(1 << bit for bit, (start, end) in enumerate(GROUPS) if old[start:end] != new[start:end])


def delta(base: Entities, new: Entities) -> tuple[list[int], list[bytes]]:
    """Compute a delta: the ids removed, and the encoded changes, both sorted by id.

    This is the definition; the gateway computes the same by column.
    """
    changes = []
    for entity in sorted(new):
        mask = change_mask(base.get(entity), new[entity])
        if mask:
            changes.append(encode_change(new[entity], mask))
    return sorted(base.keys() - new.keys()), changes


def encode_parts(
    cell: Cell,
    *,
    base: int,
    version: int,
    cell_checksum: int,
    removed: Sequence[int],
    changes: Sequence[bytes],
    batch: int,
) -> list[tuple[bytes, int]]:
    """Encode a delta as parts that each fit into a datagram.

    Args:
        cell: the cell.
        base: version that it builds upon; 0 for none.
        version: version that it leads to.
        cell_checksum: of the cell in that version.
        removed: ids removed.
        changes: encoded changes.
        batch: most changes and removals together in one part.

    Returns:
        Each part with the number of changes and removals in it; one empty part if there are none.
    """
    batch = min(batch, MAX_COUNT)
    shares: list[tuple[list[int], list[bytes]]] = [([], [])]
    size = PART_BYTES
    count = 0
    for entity in removed:
        if count == batch or size + 4 > MAX_PART:
            shares.append(([], []))
            size, count = PART_BYTES, 0
        shares[-1][0].append(entity)
        size += 4
        count += 1
    for change in changes:
        if count == batch or size + len(change) > MAX_PART:
            shares.append(([], []))
            size, count = PART_BYTES, 0
        shares[-1][1].append(change)
        size += len(change)
        count += 1
    return [
        (
            part_blob(
                cell,
                base=base,
                version=version,
                cell_checksum=cell_checksum,
                part=number,
                parts=len(shares),
                removed=gone,
                changed=len(some),
                changes=b"".join(some),
            ),
            len(gone) + len(some),
        )
        for number, (gone, some) in enumerate(shares)
    ]


def part_blob(
    cell: Cell,
    *,
    base: int,
    version: int,
    cell_checksum: int,
    part: int,
    parts: int,
    removed: Sequence[int],
    changed: int,
    changes: bytes,
) -> bytes:
    """Encode one part from ``changed`` encoded changes, joined in ``changes``."""
    gone = b"".join([_ID.pack(entity) for entity in removed])
    head = _PART.pack(*cell, base, version, cell_checksum, part, parts, changed, len(removed), len(gone) + len(changes))
    return head + gone + changes


def full_bytes(entities: int) -> int:
    """Bytes that the full state of a cell with so many entities takes in a datagram, head of the part included."""
    return PART_BYTES + entities * (5 + RECORD_BYTES - 4)
