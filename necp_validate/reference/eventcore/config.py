"""Configuration of the event core: the environment and nothing else."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from necp_validate.events.topics import Domain

SECURITY_PROTOCOLS: Final = ("SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT")
SASL_MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
DEFAULT_WORKERS: Final[Mapping[Domain, int]] = {
    Domain.COMBAT: 10,
    Domain.ECONOMY: 5,
    Domain.SOCIAL: 3,
    Domain.SYSTEM: 2,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


class ConfigError(Exception):
    """A variable of the environment is missing or wrong; the message names it and what it may be."""


class CoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration, resolved.

    Args:
        instance: name of this instance; part of its transactional id, so no two may share one.
        domains: domains to serve.
        workers: threads that handle partitions, by domain.
        kafka: librdkafka's connection properties.
        http_port: port of ``/health``; 0 takes a free one.
        metrics_port: port of ``/metrics``; 0 takes a free one.
        shutdown_timeout_s: how long a graceful shutdown may take.
    """

    instance: str
    domains: tuple[Domain, ...]
    workers: dict[Domain, int]
    kafka: dict[str, str]
    http_port: int
    metrics_port: int
    shutdown_timeout_s: float


def load_config(env: Mapping[str, str] | None = None) -> CoreConfig:
    """Read the configuration from the environment.

    Args:
        env: the environment; by default the process's own.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    env = os.environ if env is None else env
    return CoreConfig(
        instance=env.get("CORE_INSTANCE") or socket.gethostname(),
        domains=_domains(env.get("CORE_DOMAINS") or ",".join(Domain)),
        workers={
            domain: _integer(env, f"{domain.value.upper()}_CONSUMER_WORKERS", default, low=1, high=256)
            for domain, default in DEFAULT_WORKERS.items()
        },
        kafka=_kafka(env),
        http_port=_integer(env, "HTTP_PORT", 8080, low=0, high=65_535),
        metrics_port=_integer(env, "METRICS_PORT", 9090, low=0, high=65_535),
        shutdown_timeout_s=_seconds(env, "GRACEFUL_SHUTDOWN_TIMEOUT", "30s"),
    )


def _domains(text: str) -> tuple[Domain, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [domain.value for domain in Domain]
    for name in names:
        if name not in known:
            raise ConfigError(f"CORE_DOMAINS: {_unknown(name, known)}")
    if not names:
        raise ConfigError(f"CORE_DOMAINS: names no domain; known: {', '.join(known)}")
    return tuple(domain for domain in Domain if domain.value in names)


def _kafka(env: Mapping[str, str]) -> dict[str, str]:
    servers = env.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not servers:
        raise ConfigError("KAFKA_BOOTSTRAP_SERVERS is not set; give host:port of one or more brokers")
    protocol = _choice(env, "KAFKA_SECURITY_PROTOCOL", "SASL_SSL", SECURITY_PROTOCOLS)
    properties = {"bootstrap.servers": servers, "security.protocol": protocol}
    if protocol.startswith("SASL_"):
        properties["sasl.mechanism"] = _choice(env, "KAFKA_SASL_MECHANISM", "SCRAM-SHA-512", SASL_MECHANISMS)
        properties["sasl.username"] = _needed(env, "KAFKA_SASL_USERNAME", protocol)
        properties["sasl.password"] = _needed(env, "KAFKA_SASL_PASSWORD", protocol)
    if protocol.endswith("SSL"):
        for variable, name in (
            ("KAFKA_SSL_CA_LOCATION", "ssl.ca.location"),
            ("KAFKA_SSL_CERTIFICATE_LOCATION", "ssl.certificate.location"),
            ("KAFKA_SSL_KEY_LOCATION", "ssl.key.location"),
        ):
            path = env.get(variable)
            if path:
                if not Path(path).exists():
                    raise ConfigError(f"{variable}: there is no file {path!r}")
                properties[name] = path
    return properties


def _needed(env: Mapping[str, str], variable: str, protocol: str) -> str:
    value = env.get(variable)
    if not value:
        raise ConfigError(f"{variable} is not set, but KAFKA_SECURITY_PROTOCOL is {protocol}")
    return value


def _choice(env: Mapping[str, str], variable: str, default: str, known: tuple[str, ...]) -> str:
    value = (env.get(variable) or default).upper()
    if value not in known:
        raise ConfigError(f"{variable}: {_unknown(value, known)}")
    return value


def _unknown(value: str, known: list[str] | tuple[str, ...]) -> str:
    close = get_close_matches(value, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {value!r}; known: {', '.join(known)}.{hint}"


def _integer(env: Mapping[str, str], variable: str, default: int, *, low: int, high: int) -> int:
    text = env.get(variable) or str(default)
    try:
        value = int(text)
    except ValueError:
        raise ConfigError(f"{variable}: {text!r} is not a whole number") from None
    if not low <= value <= high:
        raise ConfigError(f"{variable}: {value} is not between {low} and {high}")
    return value


def _seconds(env: Mapping[str, str], variable: str, default: str) -> float:
    text = env.get(variable) or default
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"{variable}: {text!r} is not a duration such as 30s, 500ms or 1m")
    return float(match[1]) * _UNIT_S[match[2]]
