"""System: what game servers report of themselves, and reports that cannot be true."""

from __future__ import annotations

import random
from typing import Final, Literal

from necp_validate.events.base import EventData
from necp_validate.events.system import (
    MAX_SESSION_S,
    MIN_CLIENT_BUILD,
    AuditV1,
    AuditV2,
    ConfigChangeV1,
    HealthV1,
    SessionEndV1,
    SessionStartV1,
)

_SERVICES: Final = ("matchmaker", "inventory", "physics", "gateway", "billing")
_ACTIONS: Final = ("login", "grant-item", "ban", "rotate-secret", "read-topic")
_PLATFORMS: Final[tuple[Literal["pc", "console", "cloud"], ...]] = ("pc", "console", "cloud")
_CAUSES: Final[tuple[Literal["logout", "timeout", "kick", "crash"], ...]] = (
    "logout",
    "timeout",
    "kick",
    "crash",
)


def valid(rng: random.Random) -> EventData:
    """Draw a plausible report: a third are sessions, another third health."""
    draw = rng.random()
    if draw < 0.3:
        return _health(rng, cpu_share=rng.random())
    if draw < 0.5:
        return _session_start(rng, client_build=rng.randint(MIN_CLIENT_BUILD, MIN_CLIENT_BUILD + 500))
    if draw < 0.68:
        return _session_end(rng, duration_s=rng.randint(1, 8 * 3_600))
    if draw < 0.9:
        return _audit(rng)
    if draw < 0.94:
        return AuditV1(actor=_player(rng), action=rng.choice(_ACTIONS), resource="item-vault", decision="denied")
    return ConfigChangeV1(
        service=rng.choice(_SERVICES),
        setting="tick_rate_hz",
        old=str(rng.choice((20, 30, 60))),
        new=str(rng.choice((20, 30, 60))),
        changed_by=f"operator-{rng.randrange(10)}",
    )


def cheat(rng: random.Random) -> EventData:
    """Draw a report that cannot be true, or a session that must not be let in."""
    draw = rng.randrange(3)
    if draw == 0:
        return _health(rng, cpu_share=1.5 + rng.random())
    if draw == 1:
        return _session_start(rng, client_build=rng.randint(1, MIN_CLIENT_BUILD - 1))
    return _session_end(rng, duration_s=MAX_SESSION_S + rng.randint(1, 10**6))


def _player(rng: random.Random) -> str:
    return f"player-{rng.randrange(5_000):05d}"


def _session(rng: random.Random) -> str:
    return f"s-{rng.getrandbits(48):012x}"


def _audit(rng: random.Random) -> AuditV2:
    allowed = rng.random() < 0.8
    return AuditV2(
        actor=_player(rng),
        action=rng.choice(_ACTIONS),
        resource=f"shard-{rng.randrange(100):02d}",
        decision="allowed" if allowed else "denied",
        severity="info" if allowed else rng.choice(("warning", "critical")),
        source=f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
    )


def _health(rng: random.Random, *, cpu_share: float) -> HealthV1:
    cores = rng.choice((2, 4, 8))
    return HealthV1(
        service=rng.choice(_SERVICES),
        status="up" if rng.random() < 0.97 else "degraded",
        cores=cores,
        cpu_millis=int(cores * 1_000 * cpu_share),
        memory_bytes=rng.randint(1 << 28, 1 << 32),
        uptime_s=rng.randint(0, 10**7),
    )


def _session_start(rng: random.Random, *, client_build: int) -> SessionStartV1:
    return SessionStartV1(
        session=_session(rng),
        player=_player(rng),
        client_build=client_build,
        platform=rng.choice(_PLATFORMS),
    )


def _session_end(rng: random.Random, *, duration_s: int) -> SessionEndV1:
    return SessionEndV1(
        session=_session(rng),
        player=_player(rng),
        duration_s=duration_s,
        cause=rng.choice(_CAUSES),
    )
