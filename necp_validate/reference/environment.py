"""Reading a service's configuration from the environment, with errors that name the variable and what it may be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypedDict

import msgspec

SECURITY_PROTOCOLS: Final = ("SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT")
SASL_MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ConfigError(Exception):
    """A variable of the environment is missing or wrong; the message names it and what it may be."""


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every service is told.

    Args:
        kafka: librdkafka's connection properties.
        password_file: where the password is when it has been changed; None for one that stays.
        http_port: port of ``/health``; 0 takes a free one.
        metrics_port: port of ``/metrics``; 0 takes a free one.
        listen_host: address that both listen at.
        shutdown_timeout_s: how long a graceful shutdown may take.
    """

    kafka: dict[str, str]
    password_file: Path | None
    http_port: int
    metrics_port: int
    listen_host: str
    shutdown_timeout_s: float


class Common(TypedDict):
    """The fields of :class:`ServiceConfig`."""

    kafka: dict[str, str]
    password_file: Path | None
    http_port: int
    metrics_port: int
    listen_host: str
    shutdown_timeout_s: float


def common(env: Mapping[str, str], *, http_port: int, metrics_port: int) -> Common:
    """Read what every service is told: ``KAFKA_*``, ``HTTP_PORT``, ``METRICS_PORT``, ``LISTEN_HOST`` and
    ``GRACEFUL_SHUTDOWN_TIMEOUT``.

    Args:
        env: the environment.
        http_port: the service's own, where none is set.
        metrics_port: likewise.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    return Common(
        kafka=kafka_properties(env),
        password_file=password_file(env),
        http_port=integer(env, "HTTP_PORT", http_port, low=0, high=65_535),
        metrics_port=integer(env, "METRICS_PORT", metrics_port, low=0, high=65_535),
        # All interfaces, as in a container, where nothing else is said.
        listen_host=env.get("LISTEN_HOST") or "0.0.0.0",
        shutdown_timeout_s=seconds(env, "GRACEFUL_SHUTDOWN_TIMEOUT", "30s"),
    )


def kafka_properties(env: Mapping[str, str]) -> dict[str, str]:
    """Read ``KAFKA_*`` into librdkafka's connection properties.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    servers = env.get("KAFKA_BOOTSTRAP_SERVERS", "")
    if not servers:
        raise ConfigError("KAFKA_BOOTSTRAP_SERVERS is not set; give host:port of one or more brokers")
    protocol = choice(env, "KAFKA_SECURITY_PROTOCOL", "SASL_SSL", SECURITY_PROTOCOLS)
    properties = {"bootstrap.servers": servers, "security.protocol": protocol}
    if protocol.startswith("SASL_"):
        properties["sasl.mechanism"] = choice(env, "KAFKA_SASL_MECHANISM", "SCRAM-SHA-512", SASL_MECHANISMS)
        properties["sasl.username"] = _needed(env, "KAFKA_SASL_USERNAME", protocol)
        properties["sasl.password"] = _password(env, protocol)
    if protocol.endswith("SSL"):
        for variable, name in (
            ("KAFKA_SSL_CA_LOCATION", "ssl.ca.location"),
            ("KAFKA_SSL_CERTIFICATE_LOCATION", "ssl.certificate.location"),
            ("KAFKA_SSL_KEY_LOCATION", "ssl.key.location"),
        ):
            if env.get(variable):
                properties[name] = file(env, variable, "")
    return properties


def password_file(env: Mapping[str, str]) -> Path | None:
    """Read ``KAFKA_SASL_PASSWORD_FILE``: the file of a password that may change; None if it is not set.

    Raises:
        ConfigError: there is no such file.
    """
    variable = "KAFKA_SASL_PASSWORD_FILE"
    return Path(file(env, variable, "the password")) if env.get(variable) else None


def _password(env: Mapping[str, str], protocol: str) -> str:
    path = password_file(env)
    if path is None:
        return _needed(env, "KAFKA_SASL_PASSWORD", protocol)
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"KAFKA_SASL_PASSWORD_FILE: {str(path)!r} cannot be read: {error}") from None
    if not password:
        raise ConfigError(f"KAFKA_SASL_PASSWORD_FILE: {str(path)!r} is empty")
    return password


def _needed(env: Mapping[str, str], variable: str, protocol: str) -> str:
    value = env.get(variable)
    if not value:
        raise ConfigError(f"{variable} is not set, but KAFKA_SECURITY_PROTOCOL is {protocol}")
    return value


def choice(env: Mapping[str, str], variable: str, default: str, known: tuple[str, ...]) -> str:
    """Read one of ``known``, in upper case.

    Raises:
        ConfigError: it is none of them.
    """
    value = (env.get(variable) or default).upper()
    if value not in known:
        raise ConfigError(f"{variable}: {unknown(value, known)}")
    return value


def unknown(value: str, known: Sequence[str]) -> str:
    """Say that a value is unknown, and which one may have been meant."""
    close = get_close_matches(value, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {value!r}; known: {', '.join(known)}.{hint}"


def integer(env: Mapping[str, str], variable: str, default: int, *, low: int, high: int) -> int:
    """Read a whole number.

    Raises:
        ConfigError: it is none, or not within ``low`` and ``high``.
    """
    text = env.get(variable) or str(default)
    try:
        value = int(text)
    except ValueError:
        raise ConfigError(f"{variable}: {text!r} is not a whole number") from None
    if not low <= value <= high:
        raise ConfigError(f"{variable}: {value} is not between {low} and {high}")
    return value


def seconds(env: Mapping[str, str], variable: str, default: str, *, low: float = 0.0) -> float:
    """Read a duration such as ``30s``, in seconds.

    Raises:
        ConfigError: it is none, or less than ``low`` seconds.
    """
    text = env.get(variable) or default
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"{variable}: {text!r} is not a duration such as 30s, 500ms or 1m")
    value = float(match[1]) * _UNIT_S[match[2]]
    if value < low:
        raise ConfigError(f"{variable}: {text!r} is less than {low:g}s")
    return value


def share(env: Mapping[str, str], variable: str, default: float) -> float:
    """Read a share, above 0 and up to 1.

    Raises:
        ConfigError: it is none.
    """
    text = env.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{variable}: {text!r} is not a number") from None
    if not 0 < value <= 1:
        raise ConfigError(f"{variable}: {text} is not a share above 0 and up to 1")
    return value


def flag(env: Mapping[str, str], variable: str, default: bool) -> bool:
    """Read true or false.

    Raises:
        ConfigError: it is neither.
    """
    text = env.get(variable) or str(default)
    value = _FLAGS.get(text.lower())
    if value is None:
        raise ConfigError(f"{variable}: {text!r} is neither true nor false")
    return value


def address(env: Mapping[str, str], variable: str, default: str) -> tuple[str, int]:
    """Read ``host:port`` or ``:port`` (all interfaces) to listen on; port 0 takes a free one.

    Raises:
        ConfigError: it is not of that form.
    """
    text = env.get(variable) or default
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"{variable}: {text!r} is not an address such as :7777 or 127.0.0.1:7777")
    return host.strip("[]") or "0.0.0.0", int(port)


def file(env: Mapping[str, str], variable: str, purpose: str) -> str:
    """Read the path of a file that must exist.

    Args:
        env: the environment.
        variable: the variable.
        purpose: what the file is for, for the message.

    Raises:
        ConfigError: it is not set, or there is no such file.
    """
    path = env.get(variable)
    if not path:
        raise ConfigError(f"{variable} is not set; give the file of {purpose}")
    if not Path(path).exists():
        raise ConfigError(f"{variable}: there is no file {path!r}")
    return path
