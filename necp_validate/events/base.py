"""What every event is made of: its data, the envelope around it, and the refusal of an invalid one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

EntityId = Annotated[str, Meta(min_length=1, max_length=40, description="id of a player, account or entity")]
Key = Annotated[str, Meta(min_length=1, max_length=64, description="record key: one game server's stream")]
ShortText = Annotated[str, Meta(min_length=1, max_length=120)]


class EventData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, omit_defaults=False):
    """Payload of an event; subclasses name their type and version and hold the fields and constraints."""

    type_name: ClassVar[str]
    version: ClassVar[int]

    def upcast(self) -> EventData:
        """Give the same fact as the next newer version; the newest version gives itself."""
        return self


DataT = TypeVar("DataT")


class Event(
    msgspec.Struct,
    Generic[DataT],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """An event as read from a record's value.

    Args:
        type: ``<domain>.<name>``.
        v: version of the type as it was sent; ``data`` is already upcast to the newest one.
        key: key of the record, the game server that the stream belongs to.
        data: payload.
        ts: intended send time, microseconds since the epoch.
        id: ``<stream>-<sequence>``.
        crc: CRC-32 of all bytes before it, lower hex.
    """

    type: str
    v: int
    key: Key
    data: DataT
    ts: int
    id: str
    crc: str

    @property
    def stream(self) -> str:
        """The stream, 8 lower-case hex digits."""
        return self.id[:8]

    @property
    def seq(self) -> int:
        """Number of the event in its stream, from 0."""
        return int(self.id[9:])


Reason = Literal["malformed", "unknown-type", "invalid-data", "bad-crc"]
REASONS: Final[tuple[Reason, ...]] = ("malformed", "unknown-type", "invalid-data", "bad-crc")


class InvalidEvent(Exception):
    """A value is not a valid event and belongs into the dead-letter topic.

    Args:
        reason: kind of the defect, one of :data:`REASONS`.
        detail: what exactly is wrong with it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
