"""Configuration of the gateway: the environment and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import msgspec

from necp_validate.reference.environment import ConfigError, ServiceConfig, address, common, file, flag, integer

__all__ = ["ConfigError", "GatewayConfig", "Tls", "load_config"]


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Files for TLS.

    Args:
        cert: certificate chain of the gateway.
        key: its private key.
        client_ca: authority of the players' certificates; None if players need none.
    """

    cert: str
    key: str
    client_ca: str | None


class GatewayConfig(ServiceConfig, frozen=True, kw_only=True):
    """The configuration, resolved.

    Args:
        instance: name of this instance.
        udp: host and port for datagrams; port 0 takes a free one, as with every port here.
        websocket: host and port for WebSockets.
        tls: files for TLS, which is never off.
        grid: width of a cell, in world units.
        cells: number of cells in a row, and of rows.
        adaptive_tick: whether the tick rate follows the load; if not, it is always the highest.
        tick_max_hz: highest tick rate.
        tick_min_hz: lowest tick rate.
        delta: whether clients get deltas, or full state only.
        batch: most entity changes in one datagram.
        requests_per_min: requests that a player may make in a minute.
    """

    instance: str
    udp: tuple[str, int]
    websocket: tuple[str, int]
    tls: Tls
    grid: int
    cells: int
    adaptive_tick: bool
    tick_max_hz: int
    tick_min_hz: int
    delta: bool
    batch: int
    requests_per_min: int


def load_config(env: Mapping[str, str] | None = None) -> GatewayConfig:
    """Read the configuration from the environment.

    Args:
        env: the environment; by default the process's own.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    env = os.environ if env is None else env
    tick_max_hz = integer(env, "TICK_RATE_MAX_HZ", 20, low=1, high=120)
    grid = integer(env, "SPATIAL_GRID_SIZE", 1_000, low=10, high=1_000_000)
    return GatewayConfig(
        instance=env.get("GATEWAY_INSTANCE") or socket.gethostname(),
        **common(env, http_port=8081, metrics_port=9091),
        udp=address(env, "UDP_LISTEN_ADDR", ":7777"),
        websocket=address(env, "WEBSOCKET_ADDR", ":8080"),
        tls=_tls(env),
        grid=grid,
        # Coordinates are 32 bits wide, and cell numbers 16.
        cells=integer(env, "WORLD_CELLS", 32, low=1, high=min(1_024, (2**31 - 1) // grid)),
        adaptive_tick=flag(env, "ADAPTIVE_TICK_RATE_ENABLED", True),
        tick_max_hz=tick_max_hz,
        tick_min_hz=integer(env, "TICK_RATE_MIN_HZ", min(2, tick_max_hz), low=1, high=tick_max_hz),
        delta=flag(env, "DELTA_COMPRESSION_ENABLED", True),
        batch=integer(env, "BATCH_UPDATE_SIZE", 100, low=1, high=10_000),
        requests_per_min=integer(env, "RATE_LIMIT_REQUESTS_PER_MINUTE", 1_000, low=1, high=1_000_000),
    )


def _tls(env: Mapping[str, str]) -> Tls:
    required = flag(env, "CLIENT_CERT_REQUIRED", True)
    return Tls(
        cert=file(env, "TLS_CERT_LOCATION", "the gateway's certificate chain"),
        key=file(env, "TLS_KEY_LOCATION", "the gateway's private key"),
        client_ca=file(env, "TLS_CLIENT_CA_LOCATION", "the authority of the players' certificates")
        if required
        else None,
    )
