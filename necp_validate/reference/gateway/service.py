"""The gateway as a service: its sockets, its tick, its health, its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from typing import Any, Final

from necp_validate.reference.endpoints import Endpoints
from necp_validate.reference.gateway.backbone import Backbone
from necp_validate.reference.gateway.config import GatewayConfig
from necp_validate.reference.gateway.datagrams import Datagrams
from necp_validate.reference.gateway.gateway import Gateway
from necp_validate.reference.gateway.metrics import GatewayMetrics
from necp_validate.reference.gateway.udp import UdpSocket
from necp_validate.reference.gateway.updates import Updates
from necp_validate.reference.gateway.websocket import CLOSE_TIMEOUT_S, WebSockets

log: Final = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (50_000, 20, 100)
SWEEP_S: Final = 10.0
_DRAIN_CHECK_S: Final = 0.02


class Service:
    """One gateway.

    Args:
        config: its configuration.
        backbone: takes the players' events.
    """

    def __init__(self, config: GatewayConfig, backbone: Backbone) -> None:
        self._config = config
        self._backbone = backbone
        self._started = time.monotonic()
        self.gateway = Gateway(config, backbone)
        self._metrics = GatewayMetrics(self.gateway.tally, self._gauges)
        self._sockets = WebSockets(self.gateway, config.tls)
        self._stop = asyncio.Event()
        self._failure: str | None = None
        self.http_port = 0
        self.metrics_port = 0

    def stop(self) -> None:
        """Ask for a graceful end; to be called in the thread of the event loop."""
        self._stop.set()

    @property
    def websocket_port(self) -> int:
        """Port for WebSockets."""
        return self._sockets.port

    async def run(self) -> int:
        """Serve until stopped; give the exit code: 0, or 1 if something failed or did not end in time.

        Raises:
            OSError: a port is not to be had.
        """
        config, gateway = self._config, self.gateway
        udp = UdpSocket(config.udp, gateway.tally)
        gateway.udp_port = udp.port
        await self._sockets.start(config.websocket)
        self._backbone.start(gateway)
        endpoints = Endpoints(config, self.health, self._metrics.registry)
        self.http_port, self.metrics_port = endpoints.http_port, endpoints.metrics_port
        log.info(
            "datagrams on port %d, WebSockets on %d, health on %d, metrics on %d",
            *(udp.port, self.websocket_port, self.http_port, self.metrics_port),
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        udp.start(Datagrams(gateway))
        ended = asyncio.Event()
        tasks = [
            asyncio.create_task(self._guarded(Updates(gateway, udp, self._metrics).run(ended))),
            asyncio.create_task(self._guarded(self._sweep(ended))),
        ]
        await self._stop.wait()
        in_time = await self._drain()
        ended.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        udp.close()
        endpoints.close()
        log.info("stopped")
        return 0 if in_time and self._failure is None else 1

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Say whether all is well, and describe the state."""
        gateway = self.gateway
        if self._failure is not None:
            status = "failed"
        elif self._stop.is_set():
            status = "draining"
        elif not self._backbone.ready or not self.websocket_port:
            status = "starting"
        else:
            status = "ok"
        return status == "ok", {
            "status": status,
            "instance": self._config.instance,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "udp_port": gateway.udp_port,
            "ws_port": self.websocket_port,
            "sessions": len(gateway.sessions),
            "tick_hz": round(gateway.rate.hz, 2),
            "tick": gateway.world.tick,
            "load": round(gateway.rate.load, 3),
            "audits": gateway.audits(),
            **({"failure": self._failure} if self._failure is not None else {}),
        }

    async def _drain(self) -> bool:
        """End: no new players, results for what is on its way, goodbye; tell whether it was in time."""
        log.info("stopping")
        deadline = time.monotonic() + self._config.shutdown_timeout_s
        gateway = self.gateway
        gateway.draining = True
        self._sockets.stop_listening()
        # What is left of the time belongs to goodbyes and to the producer.
        results_until = deadline - 0.3 * self._config.shutdown_timeout_s
        while gateway.waiting and time.monotonic() < results_until:
            await asyncio.sleep(_DRAIN_CHECK_S)
        for session in gateway.sessions:
            gateway.end(session, "shutdown")
        await asyncio.wait(
            [asyncio.ensure_future(self._sockets.close())],
            timeout=min(CLOSE_TIMEOUT_S, max(0.0, deadline - time.monotonic())),
        )
        await asyncio.to_thread(self._backbone.close, max(0.0, deadline - time.monotonic()))
        if time.monotonic() > deadline + 1:
            log.error("not finished within %.0f s", self._config.shutdown_timeout_s)
            return False
        return True

    async def _sweep(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            await asyncio.sleep(SWEEP_S)
            self.gateway.sweep()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as error:  # a gateway without its tick must not live on
            log.error("failed", exc_info=error)
            self._failure = repr(error)
            self._stop.set()

    def _gauges(self) -> list[tuple[str, str, float]]:
        gateway = self.gateway
        return [
            ("sessions", "Players logged in.", len(gateway.sessions)),
            ("tick_hz", "Ticks a second at present.", gateway.rate.hz),
            ("tick_load", "Share of its interval that a tick takes, on average.", gateway.rate.load),
            ("entities", "Entities in the world.", len(gateway.world)),
        ]
