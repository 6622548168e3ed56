"""What the gateway sent on its own account: ``history/gateway.json``. It tells who asks too often, as audit events."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.core.intervals import IntervalSet
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
    killed: bool = False


_AFTER_THE_LAST_LOOK = 10
_DOMAIN, _TOPIC = "system", "game.system.events"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """Everything that the gateways of a run sent on their own account."""

    streams: tuple[OwnStream, ...] = ()

    def as_load(self) -> LoadRecord:
        """The same as the checks of delivery want to have it: events that may be in the log or not.

        Nobody outside of the gateway knows which of them were acknowledged, so none of them can be missing.
        """
        return LoadRecord(worker="gateway", streams=tuple(_record(one) for one in self.streams))


def _record(own: OwnStream) -> StreamRecord:
    sent = own.sent + (_AFTER_THE_LAST_LOOK if own.killed else 0)
    return StreamRecord(
        stream=own.stream,
        domain=_DOMAIN,
        topic=_TOPIC,
        key=own.key,
        sent=sent,
        acked=IntervalSet(),
        unknown=IntervalSet([(0, sent - 1)]) if sent else IntervalSet(),
    )
