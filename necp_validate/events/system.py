"""Events of the system domain; the key is the game server that reports."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from necp_validate.events.base import EntityId, EventData, ShortText

MIN_CLIENT_BUILD: Final = 4_200
"""Sessions of clients older than this build are rejected."""

MAX_SESSION_S: Final = 7 * 24 * 60 * 60
"""No session lasts longer; one that claims to is rejected."""

CORES_MAX: Final = 1_024

Severity = Literal["info", "warning", "critical"]


class AuditV1(EventData, frozen=True, kw_only=True):
    """Who did what to what, and whether they were allowed to; without a severity."""

    type_name = "system.audit"
    version = 1

    actor: EntityId
    action: ShortText
    resource: ShortText
    decision: Literal["allowed", "denied"]

    def upcast(self) -> AuditV2:
        """Read an entry of version 1: a denial is a warning, anything else for information."""
        return AuditV2(
            actor=self.actor,
            action=self.action,
            resource=self.resource,
            decision=self.decision,
            severity="warning" if self.decision == "denied" else "info",
            source=None,
        )


class AuditV2(EventData, frozen=True, kw_only=True):
    """Who did what to what, from where, and whether they were allowed to."""

    type_name = "system.audit"
    version = 2

    actor: EntityId
    action: ShortText
    resource: ShortText
    decision: Literal["allowed", "denied"]
    severity: Severity
    source: Annotated[str, Meta(max_length=64)] | None


class HealthV1(EventData, frozen=True, kw_only=True):
    """State of a service at a moment; ``cpu_millis`` are thousandths of a core of ``cores``."""

    type_name = "system.health"
    version = 1

    service: EntityId
    status: Literal["up", "degraded", "down"]
    cores: Annotated[int, Meta(ge=1, le=CORES_MAX)]
    cpu_millis: Annotated[int, Meta(ge=0, le=10**9)]
    memory_bytes: Annotated[int, Meta(ge=0, le=1 << 50)]
    uptime_s: Annotated[int, Meta(ge=0, le=10**10)]


class SessionStartV1(EventData, frozen=True, kw_only=True):
    """A player's client connected."""

    type_name = "system.session_start"
    version = 1

    session: EntityId
    player: EntityId
    client_build: Annotated[int, Meta(ge=1, le=1_000_000)]
    platform: Literal["pc", "console", "cloud"]


class SessionEndV1(EventData, frozen=True, kw_only=True):
    """A player's client went away."""

    type_name = "system.session_end"
    version = 1

    session: EntityId
    player: EntityId
    duration_s: Annotated[int, Meta(ge=0, le=10**10)]
    cause: Literal["logout", "timeout", "kick", "crash"]


class ConfigChangeV1(EventData, frozen=True, kw_only=True):
    """A setting of a service was changed."""

    type_name = "system.config_change"
    version = 1

    service: EntityId
    setting: ShortText
    old: ShortText | None
    new: ShortText | None
    changed_by: EntityId


EVENTS: Final[tuple[type[EventData], ...]] = (
    AuditV1,
    AuditV2,
    HealthV1,
    SessionStartV1,
    SessionEndV1,
    ConfigChangeV1,
)
