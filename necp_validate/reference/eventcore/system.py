"""System: the audit trail, and reports of health and sessions that are checked for sense."""

from __future__ import annotations

from typing import Any, Final

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
from necp_validate.reference.audit import AuditEntry, Trail
from necp_validate.reference.eventcore.handling import Counts, Handle, Output

_AUDIT_PARTITIONS: Final = TOPICS[AUDIT_TOPIC].partitions


class SystemHandler:
    """Passes audit events on, one sealed record each, and counts the rest.

    Args:
        trail: seals them.
    """

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self._audit: list[tuple[Event[EventData], AuditV2, int]] = []
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
                    self._audit.append((event, data, partition % _AUDIT_PARTITIONS))
            return reason

        return handle

    def drop(self, partition: int) -> None:
        """Nothing is kept by partition."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        """Seal the audit records, and take the counts by type."""
        audit, self._audit = self._audit, []
        sealed = self._trail.seal([(partition, _entry(event, data)) for event, data, partition in audit])
        outputs = [
            Output(
                topic=AUDIT_TOPIC,
                partition=partition,
                key=event.key.encode(),
                value=record.value,
                acknowledged=record.acknowledged,
            )
            for (event, _, partition), record in zip(audit, sealed, strict=True)
        ]
        return outputs, self._counts.take()


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


def _entry(event: Event[EventData], data: AuditV2) -> AuditEntry:
    return AuditEntry(
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
