"""Watches the gateway: what it says of itself on ``/health``, and what it costs."""

from __future__ import annotations

import time

import psutil

from necp_validate.record.gateway import GatewayRecord, OwnStream
from necp_validate.record.model import GatewaySample
from necp_validate.stack.fleet import GatewayFleet
from necp_validate.stack.gateway import Audits, Health, ask_health


class GatewayWatch:
    """Takes samples of the gateway that runs.

    Args:
        gateways: of the run.
    """

    def __init__(self, gateways: GatewayFleet) -> None:
        self._gateways = gateways
        self._before: dict[str, tuple[float, float]] = {}
        self._audits: dict[str, Audits] = {}

    def sample(self) -> GatewaySample | None:
        """One row; None before there is a gateway."""
        known = list(self._gateways)
        if not known:
            return None
        gateway = known[-1]
        told = ask_health(gateway) if gateway.alive() else Health()
        if told.audits is not None:
            self._audits[gateway.name] = told.audits
        now, cpu_s = time.time(), gateway.cpu_s()
        before = self._before.get(gateway.name)
        self._before = {gateway.name: (now, cpu_s)}
        return GatewaySample(
            t=round(now, 3),
            instance=gateway.name,
            tick_hz=told.tick_hz,
            sessions=told.sessions,
            cpu_pct=None if before is None else round(100 * (cpu_s - before[1]) / max(now - before[0], 1e-3), 1),
            rss_bytes=_memory(gateway.pid),
        )

    def own_streams(self) -> GatewayRecord:
        """What the gateways have sent on their own account, as far as they could be asked."""
        running = {gateway.name for gateway in self._gateways.running()}
        streams = [
            OwnStream(instance=name, stream=own.stream, key=own.key, sent=own.sent, killed=name not in running)
            for name, own in self._audits.items()
        ]
        return GatewayRecord(streams=tuple(streams))


def _memory(pid: int | None) -> float | None:
    try:
        return None if pid is None else float(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
