"""What lies in the simulated log, and how it came there: events, their acks, and what the event core did with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from necp_validate.events.base import Event, EventData, InvalidEvent
from necp_validate.events.envelope import decode
from necp_validate.events.receipts import Outcome
from necp_validate.events.samples import SampleKind
from necp_validate.events.topics import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event as its sender sends it.

    Args:
        sender: a load worker, a drill's fault id, or the gateway.
    """

    sender: str
    domain: Domain
    stream: str
    key: str
    seq: int
    kind: SampleKind
    ts_us: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An event as it lies in the log."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    sent: Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What the producer was told of an event."""

    sent: Sent
    partition: int
    offset: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What the event core did with a record."""

    domain: Domain
    partition: int
    offset: int
    outcome: Outcome
    done_us: int
    instance: str = "core-0"


@cache
def decoded(value: bytes) -> Event[EventData] | None:
    """An event as the contract decodes it; None of an invalid one. Every simulated run has much the same ones."""
    try:
        return decode(value)
    except InvalidEvent:
        return None


def outcome_of(record: Record) -> Outcome:
    """What a sound event core does with a record."""
    if decoded(record.value) is None:
        return Outcome.DEAD_LETTERED
    return Outcome.REJECTED if record.sent.kind == "cheat" else Outcome.PROCESSED
