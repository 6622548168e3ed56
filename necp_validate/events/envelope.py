"""The envelope: how an event becomes the value of a record and back.

A value is JSON without spaces in exactly this order of fields, with a tail of fixed width (see ``tail.py``)::

    {"type":"combat.damage","v":2,"key":"match-0001","data":{...},"ts":...,"id":"...","crc":"..."}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from zlib import crc32

import msgspec

from necp_validate.events.base import Event, EventData, InvalidEvent, Reason
from necp_validate.events.registry import EventType, event_types
from necp_validate.events.tail import (
    CRC,
    CRC_COVERS,
    ID,
    SEQ,
    STREAM,
    TAIL_LENGTH,
    TS,
    event_id,
    seal,
    split_tail,
)

__all__ = [
    "CRC",
    "CRC_COVERS",
    "ID",
    "SEQ",
    "STREAM",
    "TAIL_LENGTH",
    "TS",
    "Decoder",
    "Event",
    "InvalidEvent",
    "decode",
    "encode",
    "event_id",
    "head",
    "seal",
    "split_tail",
]

_ENCODE: Final = msgspec.json.Encoder().encode
_TAIL: Final = re.compile(rb',"ts":[1-9]\d{15},"id":"[0-9a-f]{8}-\d{12}","crc":"[0-9a-f]{8}"}', re.ASCII)
_ANY: Final = msgspec.json.Decoder(Event[msgspec.Raw])


def head(type_name: str, version: int, *, key: str, data: bytes) -> bytes:
    """Build the part of a value before its tail from data that is JSON already (see :func:`seal`)."""
    return b'{"type":"%b","v":%d,"key":%b,"data":%b' % (type_name.encode(), version, _ENCODE(key), data)


def encode(data: EventData, *, key: str, ts_us: int, stream: str, seq: int) -> bytes:
    """Encode an event as the value of a record.

    Args:
        data: payload; its class says type and version.
        key: key of the record.
        ts_us: intended send time, microseconds since the epoch (16 digits).
        stream: 8 lower-case hex digits.
        seq: number of the event in its stream, from 0, without holes.
    """
    front = head(data.type_name, data.version, key=key, data=_ENCODE(data))
    return seal(front, ts_us, event_id(stream, seq))


class Decoder:
    """Decodes and validates values; knows a set of event types.

    Args:
        types: the types to accept, by default all; any other is refused as ``unknown-type``.
    """

    __slots__ = ("_by_prefix", "_names")

    def __init__(self, types: Iterable[EventType] | None = None) -> None:
        known = tuple(event_types() if types is None else types)
        self._names = {(kind.name, kind.version) for kind in known}
        self._by_prefix = {kind.prefix: (_reader(kind), _members(kind)) for kind in known}

    def decode(self, value: bytes) -> Event[EventData]:
        """Decode one value; its data comes in the newest version of its type.

        Raises:
            InvalidEvent: with the reason ``bad-crc``, ``malformed``, ``unknown-type`` or ``invalid-data``.
        """
        if b"%08x" % crc32(value[:-18]) != value[-10:-2] or _TAIL.match(value, len(value) - 69) is None:
            raise _damage(value)
        found = self._by_prefix.get(value.partition(b',"key":"')[0])
        if found is None:
            raise self._stranger(value)
        read, members = found
        try:
            event = read(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _defect(value, error) from None
        # Every field is there, and each has one colon: no more colons, no field twice. More may be in texts.
        if value.count(b":") != members:
            _refuse_repetition(value)
        return event

    def _stranger(self, value: bytes) -> InvalidEvent:
        """Say why no reader fits: not an envelope, an unknown type, or not in the canonical form."""
        try:
            event = _ANY.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return InvalidEvent("malformed", str(error))
        if (event.type, event.v) in self._names:
            return InvalidEvent("malformed", "the fields are not in the canonical order and form")
        return InvalidEvent("unknown-type", f"{event.type[:64]!r} version {event.v}")


def _reader(kind: EventType) -> Callable[[bytes], Event[EventData]]:
    # The class is known at run time only, which the type system cannot follow.
    read: Callable[[bytes], Event[EventData]] = msgspec.json.Decoder(Event[kind.data]).decode  # type: ignore[name-defined]
    if kind.newest:
        return read
    return lambda value: kind.upcast(read(value))


def _members(kind: EventType) -> int:
    """Members of an event's objects: all fields are required, and no field of the data is an object itself."""
    return len(Event.__struct_fields__) + len(kind.data.__struct_fields__)


def _refuse_repetition(value: bytes) -> None:
    """Refuse a value in which a field is there twice: readers differ in which of the two they take.

    Raises:
        InvalidEvent: it is so.
    """

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(members)
        if len(seen) < len(members):
            names = [name for name, _ in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidEvent("malformed", f"the field {twice!r} is there twice")
        return seen

    json.loads(value, object_pairs_hook=once)


def _damage(value: bytes) -> InvalidEvent:
    """Say why the tail does not hold: the checksum is wrong, or there is no such tail at all."""
    if len(value) > TAIL_LENGTH and _TAIL.match(value, len(value) - TAIL_LENGTH):
        return InvalidEvent("bad-crc", f"crc {value[CRC].decode()}, computed {crc32(value[CRC_COVERS]):08x}")
    return InvalidEvent("malformed", f"no tail of fixed width at the end of {len(value)} bytes")


def _defect(value: bytes, error: Exception) -> InvalidEvent:
    """Say whether the envelope or the data is at fault for ``error``."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidEvent("malformed", str(error))
    reason: Reason = "invalid-data"
    try:
        _ANY.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = "malformed"
    return InvalidEvent(reason, str(error))


_DEFAULT: Final = Decoder()


def decode(value: bytes) -> Event[EventData]:
    """Decode a value of any known type; see :meth:`Decoder.decode`."""
    return _DEFAULT.decode(value)
