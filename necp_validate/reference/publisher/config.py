"""Configuration of the publisher: the environment and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from necp_validate.events.topics import Domain
from necp_validate.reference.environment import ConfigError, ServiceConfig, common, integer, seconds, unknown

__all__ = ["ConfigError", "PublisherConfig", "load_config"]

_TOKEN_LENGTH = 16


class PublisherConfig(ServiceConfig, frozen=True, kw_only=True):
    """The configuration, resolved.

    Args:
        instance: name of this instance.
        domain: the domain whose events it takes; ``kafka`` is the login of that domain's principal.
        rate_per_s: events that it passes on in a second, in the long run.
        burst: events that it passes on at once.
        backoff_base_s: how long who is refused for the first time is asked to stay away, at most.
        backoff_max_s: the longest that anybody is asked to stay away.
        token: what those who publish must show; whoever has it writes with the principal's rights.
    """

    instance: str
    domain: Domain
    rate_per_s: int
    burst: int
    backoff_base_s: float
    backoff_max_s: float
    token: str


def load_config(env: Mapping[str, str] | None = None) -> PublisherConfig:
    """Read the configuration from the environment.

    Args:
        env: the environment; by default the process's own.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    env = os.environ if env is None else env
    return PublisherConfig(
        instance=env.get("PUBLISHER_INSTANCE") or socket.gethostname(),
        domain=_domain(env.get("PUBLISHER_DOMAIN") or ""),
        **common(env, http_port=8080, metrics_port=9090),
        rate_per_s=integer(env, "PRODUCER_MAX_RATE_PER_SECOND", 20_000, low=1, high=10**9),
        burst=integer(env, "PRODUCER_BURST_LIMIT", 10_000, low=1, high=10**9),
        backoff_base_s=seconds(env, "PRODUCER_BACKOFF_BASE", "100ms", low=0.001),
        backoff_max_s=seconds(env, "PRODUCER_BACKOFF_MAX", "5s", low=0.001),
        token=_token(env),
    )


def _domain(text: str) -> Domain:
    known = [domain.value for domain in Domain]
    if not text:
        raise ConfigError(f"PUBLISHER_DOMAIN is not set; one of {', '.join(known)}")
    if text not in known:
        raise ConfigError(f"PUBLISHER_DOMAIN: {unknown(text, known)}")
    return Domain(text)


def _token(env: Mapping[str, str]) -> str:
    token = env.get("PUBLISHER_TOKEN", "")
    if len(token) < _TOKEN_LENGTH or not (token.isascii() and token.isprintable()):
        raise ConfigError(f"PUBLISHER_TOKEN: give {_TOKEN_LENGTH} printable characters or more, which nobody can guess")
    return token
