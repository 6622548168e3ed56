"""Where a service answers: ``/health`` and ``/metrics``, each from a thread of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from necp_validate.reference.environment import ServiceConfig
from necp_validate.reference.health import HealthServer, JsonHandler, Report, health_handler


class Endpoints:
    """Both endpoints, from now on until they are closed.

    Args:
        config: says where.
        report: says how the service is.
        registry: its metrics.
        handler: makes the handler of a report, for a service that answers more than ``/health``.

    Raises:
        OSError: a port is not to be had.
    """

    def __init__(
        self,
        config: ServiceConfig,
        report: Report,
        registry: CollectorRegistry,
        handler: Callable[[Report], type[JsonHandler]] = health_handler,
    ) -> None:
        self._health = HealthServer(config.http_port, report, handler, host=config.listen_host)
        self._metrics, _ = start_http_server(config.metrics_port, config.listen_host, registry)

    @property
    def http_port(self) -> int:
        """Port of ``/health``."""
        return self._health.port

    @property
    def metrics_port(self) -> int:
        """Port of ``/metrics``."""
        return self._metrics.server_port

    def close(self) -> None:
        """Stop listening."""
        self._health.close()
        self._metrics.shutdown()
        self._metrics.server_close()
