"""System: the audit trail, and reports of health and sessions that are checked for sense."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from necp_validate.events.base import Event, EventData
from necp_validate.events.system import (
    MAX_SESSION_S,
    MIN_CLIENT_BUILD,
    AuditV2,
    HealthV1,
    SessionEndV1,
    SessionStartV1,
)
from necp_validate.events.topics import AUDIT_TOPIC, TOPICS
from necp_validate.reference.eventcore.handling import Counts, Handle, Output

_ENCODE: Final = msgspec.json.Encoder().encode
_AUDIT_PARTITIONS: Final = TOPICS[AUDIT_TOPIC].partitions


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the audit trail.

    Args:
        id: id of the event.
        server: who reported it.
        at_us: when, microseconds since the epoch.
        actor, action, resource, decision, severity, source: as reported.
    """

    id: str
    server: str
    at_us: int
    actor: str
    action: str
    resource: str
    decision: str
    severity: str
    source: str | None


class SystemHandler:
    """Passes audit events on, one record each, and counts the rest."""

    def __init__(self) -> None:
        self._audit: list[Output] = []
        self._counts = Counts()

    def open(self, partition: int) -> Handle:
        """See :class:`necp_validate.reference.eventcore.handling.Handler`."""

        counts = self._counts.of(partition)

        def handle(event: Event[EventData]) -> str | None:
            data = event.data
            reason = check(data)
            if reason is None:
                counts[data.type_name] = counts.get(data.type_name, 0) + 1
                if type(data) is AuditV2:
                    self._audit.append(_audit_output(partition, event, data))
            return reason

        return handle

    def drop(self, partition: int) -> None:
        """Nothing is kept by partition."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Take the audit records and the counts by type."""
        outputs, results = self._audit, self._counts.take()
        self._audit = []
        return outputs, results


def check(data: EventData) -> str | None:
    """Say why a report cannot be true, or a session must not be let in."""
    match data:
        case HealthV1() if data.cpu_millis > data.cores * 1_000:
            return "cpu-above-cores"
        case SessionStartV1() if data.client_build < MIN_CLIENT_BUILD:
            return "client-too-old"
        case SessionEndV1() if data.duration_s > MAX_SESSION_S:
            return "session-too-long"
    return None


def _audit_output(partition: int, event: Event[EventData], data: AuditV2) -> Output:
    entry = AuditEntry(
        id=event.id,
        server=event.key,
        at_us=event.ts,
        actor=data.actor,
        action=data.action,
        resource=data.resource,
        decision=data.decision,
        severity=data.severity,
        source=data.source,
    )
    return Output(
        topic=AUDIT_TOPIC,
        partition=partition % _AUDIT_PARTITIONS,
        key=event.key.encode(),
        value=_ENCODE(entry),
    )
