"""The state record of an entity: on the wire, in memory, and what the order of its fields costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FIELDS: Final[dict[str, str]] = {
    "id": "u4",
    "x": "i4",
    "y": "i4",
    "z": "i4",
    "vx": "i2",
    "vy": "i2",
    "yaw": "u2",
    "hp": "u2",
    "mode": "u1",
    "flags": "u1",
}
"""The fields in the order of the wire, with numpy's names of their types."""

RECORD: Final = Struct("<IiiihhHHBB")
RECORD_BYTES: Final = RECORD.size
WIRE_DTYPE: Final = np.dtype([(name, f"<{kind}") for name, kind in FIELDS.items()])
"""Packed, as on the wire."""

MEMORY_DTYPE: Final = np.dtype(list(FIELDS.items()), align=True)
"""Aligned, as a C compiler would lay it out."""

EMPTY_CHECKSUM: Final = crc32(b"")


class State(NamedTuple):
    """State of one entity.

    Args:
        id: its number.
        x: position, in world units.
        y: position.
        z: height.
        vx: velocity, in world units a second.
        vy: velocity.
        yaw: where it looks, in 1/65,536 of a turn.
        hp: hit points.
        mode: index into ``constants.MODES``.
        flags: reserved; 0.
    """

    id: int
    x: int
    y: int
    z: int
    vx: int
    vy: int
    yaw: int
    hp: int
    mode: int
    flags: int


def pack(state: State) -> bytes:
    """Encode one record canonically."""
    return RECORD.pack(*state)


def unpack(record: bytes) -> State:
    """Decode one canonical record.

    Raises:
        struct.error: it has not the length of one.
    """
    return State(*RECORD.unpack(record))


def canonical(records: Array) -> bytes:
    """Encode records canonically: packed, sorted by id.

    Args:
        records: structured array with the fields of :data:`FIELDS`, in any order and layout.
    """
    packed = np.empty(len(records), WIRE_DTYPE)
    for name in FIELDS:
        packed[name] = records[name]
    return packed[np.argsort(packed["id"], kind="stable")].tobytes()


def parse(data: bytes) -> Iterator[State]:
    """Decode canonical records."""
    return (State(*fields) for fields in RECORD.iter_unpack(data))


def checksum(data: bytes | memoryview) -> int:
    """Checksum of a cell whose canonical records are ``data``."""
    return crc32(data)


class LayoutSaving(NamedTuple):
    """Bytes that one record takes as a C struct, by the order of its fields.

    Args:
        record: which record.
        naive: fields in the order in which one would declare them, by meaning.
        aligned: widest fields first, which is the least.
        mean: on average over all orders.
        worst: in the worst of all orders.
        packed: without any padding, as on the wire.
    """

    record: str
    naive: int
    aligned: int
    mean: float
    worst: int
    packed: int

    @property
    def saved_pct(self) -> float:
        """What the aligned order saves of the naive one, in percent."""
        return 100 * (self.naive - self.aligned) / self.naive


NAIVE_STATE: Final[tuple[tuple[str, int], ...]] = (
    ("id", 4),
    ("mode", 1),
    ("x", 4),
    ("y", 4),
    ("z", 4),
    ("yaw", 2),
    ("vx", 2),
    ("vy", 2),
    ("flags", 1),
    ("hp", 2),
)
"""The state record as one would declare it without thinking of alignment: who, how, where, whither, in what state."""

NAIVE_EVENT: Final[tuple[tuple[str, int], ...]] = (
    ("type", 2),
    ("v", 1),
    ("key", 4),
    ("ts", 8),
    ("stream", 4),
    ("seq", 8),
    ("crc", 4),
)
"""An event's envelope in the order of its fields on the wire, type and key as numbers."""


def c_size(widths: Sequence[int]) -> int:
    """Size of a C struct whose fields have these widths, naturally aligned."""
    offset = 0
    for width in widths:
        offset += -offset % width + width
    return offset + -offset % max(widths)


def layout_savings() -> tuple[LayoutSaving, ...]:
    """Compare the layouts of the state record and of the event record."""
    return tuple(_saving(name, fields) for name, fields in (("state", NAIVE_STATE), ("event", NAIVE_EVENT)))


def _saving(record: str, fields: Sequence[tuple[str, int]]) -> LayoutSaving:
    widths = [width for _, width in fields]
    sizes = [c_size(order) for order in _orders(tuple(sorted(widths)))]
    return LayoutSaving(
        record=record,
        naive=c_size(widths),
        aligned=c_size(sorted(widths, reverse=True)),
        mean=sum(sizes) / len(sizes),
        worst=max(sizes),
        packed=sum(widths),
    )


def _orders(widths: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All orders of sorted widths that differ; each stands for equally many orders of the fields."""
    if not widths:
        yield ()
    for width, _ in groupby(widths):
        position = widths.index(width)
        for rest in _orders(widths[:position] + widths[position + 1 :]):
            yield (width, *rest)
