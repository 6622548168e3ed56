"""Host saturation by the limits in force."""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.claims.limits import limit
from necp_validate.evidence.host_saturation import HostSaturation, SaturationLimits, host_saturation
from necp_validate.record import Phase, Record

LIMIT_NAMES = ("host_busy_pct", "host_steal_pct", "late_p99_ms")
"""The limits that decide what may be the host's doing."""


def saturation(history: Record, phase: Phase, domains: Iterable[str] | None = None) -> HostSaturation:
    """What the host looked like during a phase; arguments as for :func:`host_saturation`."""
    busy, steal, late = (limit(history, name) for name in LIMIT_NAMES)
    limits = SaturationLimits(busy_pct=busy, steal_pct=steal, late_p99_ms=late)
    return host_saturation(history, phase, limits, domains)
