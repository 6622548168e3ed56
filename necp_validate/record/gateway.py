"""What the gateway sent on its own account: ``history/gateway.json``. It tells who asks too often, as audit events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.record.model import LoadRecord, StreamRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStream:
    """The audit events of one gateway process.

    Args:
        instance: the gateway, e.g. ``gateway-0``; the one that took its place has a stream of its own.
        stream: 8 hexadecimal digits.
        key: key of its records.
        sent: events that it had sent when it was asked last.
        killed: whether it was killed, so that there may be a few more.
    """

    instance: str
    stream: str
    key: str
    sent: int
    killed: bool


_AFTER_THE_LAST_LOOK = 10
_DOMAIN, _TOPIC = "system", "game.system.events"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """Everything that the gateways of a run sent on their own account."""

    streams: tuple[OwnStream, ...]

    def as_load(self) -> LoadRecord:
        """The same as the checks of delivery want to have it: events that may be in the log or not.

        Only the gateway knows which of them were acknowledged: none can be missing, and no ack can be
        at odds with the log.
        """
        return unheard_load("gateway", self.streams)


def unheard_load(worker: str, streams: Iterable[OwnStream]) -> LoadRecord:
    """Streams of a service as those of a sender that heard of nothing; one that was killed may have sent a few more."""
    return LoadRecord(
        worker=worker,
        streams=tuple(
            StreamRecord.unheard(
                own.stream,
                domain=_DOMAIN,
                topic=_TOPIC,
                key=own.key,
                sent=own.sent + (_AFTER_THE_LAST_LOOK if own.killed else 0),
            )
            for own in streams
        ),
        guarantees={},
        planted={},
        inconsistent_offsets=0,
        offset_not_monotonic=0,
    )
