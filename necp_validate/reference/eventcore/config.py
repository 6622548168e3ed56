"""Configuration of the event core: the environment and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from necp_validate.events.topics import Domain
from necp_validate.reference.environment import (
    ConfigError,
    ServiceConfig,
    common,
    file,
    integer,
    seconds,
    share,
    unknown,
)
from necp_validate.reference.eventcore.breaker import BreakerSettings
from necp_validate.reference.eventcore.clock import OFFSET_BYTES

__all__ = ["ConfigError", "CoreConfig", "load_config"]

RELEASE: Final = "1.0.0"
"""The release whose claims this event core makes."""
DEFAULT_WORKERS: Final[Mapping[Domain, int]] = {
    Domain.COMBAT: 10,
    Domain.ECONOMY: 5,
    Domain.SOCIAL: 3,
    Domain.SYSTEM: 2,
}


class CoreConfig(ServiceConfig, frozen=True, kw_only=True):
    """The configuration, resolved.

    Args:
        instance: name of this instance; part of its transactional id, so no two may share one.
        version: what was deployed, as ``/health`` says it.
        clock_offset_file: what a drill steps this service's clock by; None for the machine's clock.
        domains: domains to serve.
        workers: threads that handle partitions, by domain.
        receipts_at_once: by domain, of how many events one has its receipt written at once
            (``events.receipts.at_once``); 0 for none.
        breaker: when a domain's consumer stops reading because too much of it is poison.
        audit_keyring: the keys of the audit trail; None where the system domain is not served.
    """

    instance: str
    version: str
    clock_offset_file: Path | None
    domains: tuple[Domain, ...]
    workers: dict[Domain, int]
    receipts_at_once: dict[Domain, int]
    breaker: BreakerSettings
    audit_keyring: Path | None


def load_config(env: Mapping[str, str] | None = None) -> CoreConfig:
    """Read the configuration from the environment.

    Args:
        env: the environment; by default the process's own.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    env = os.environ if env is None else env
    domains = _domains(env.get("CORE_DOMAINS") or ",".join(Domain))
    return CoreConfig(
        instance=env.get("CORE_INSTANCE") or socket.gethostname(),
        version=env.get("CORE_VERSION") or RELEASE,
        clock_offset_file=_clock_offset_file(env),
        domains=domains,
        workers={
            domain: integer(env, f"{domain.value.upper()}_CONSUMER_WORKERS", default, low=1, high=256)
            for domain, default in DEFAULT_WORKERS.items()
        },
        receipts_at_once={
            domain: integer(env, f"{domain.value.upper()}_RECEIPTS_AT_ONCE", 0, low=0, high=10**9) for domain in domains
        },
        breaker=_breaker(env),
        **common(env, http_port=8080, metrics_port=9090),
        audit_keyring=_audit_keyring(env) if Domain.SYSTEM in domains else None,
    )


def _breaker(env: Mapping[str, str]) -> BreakerSettings:
    claimed = BreakerSettings()
    return BreakerSettings(
        failure_threshold=share(env, "CIRCUIT_BREAKER_FAILURE_THRESHOLD", claimed.failure_threshold),
        recovery_timeout_s=seconds(env, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT", f"{claimed.recovery_timeout_s:g}s"),
        monitoring_window_s=seconds(
            env, "CIRCUIT_BREAKER_MONITORING_WINDOW", f"{claimed.monitoring_window_s:g}s", low=1.0
        ),
        minimum_events=integer(env, "CIRCUIT_BREAKER_MINIMUM_EVENTS", claimed.minimum_events, low=1, high=10**9),
        trial_events=integer(env, "CIRCUIT_BREAKER_TRIAL_EVENTS", claimed.trial_events, low=1, high=10**6),
    )


def _clock_offset_file(env: Mapping[str, str]) -> Path | None:
    name = env.get("CORE_CLOCK_OFFSET_FILE")
    if not name:
        return None
    path = Path(name)
    if not path.is_file() or path.stat().st_size < OFFSET_BYTES:
        raise ConfigError(f"CORE_CLOCK_OFFSET_FILE: {name!r} is not a file of {OFFSET_BYTES} bytes")
    return path


def _audit_keyring(env: Mapping[str, str]) -> Path:
    return Path(file(env, "AUDIT_KEYRING", "the keyring (python -m necp_validate.reference.audit init FILE)"))


def _domains(text: str) -> tuple[Domain, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [domain.value for domain in Domain]
    for name in names:
        if name not in known:
            raise ConfigError(f"CORE_DOMAINS: {unknown(name, known)}")
    if not names:
        raise ConfigError(f"CORE_DOMAINS: names no domain; known: {', '.join(known)}")
    return tuple(domain for domain in Domain if domain.value in names)
