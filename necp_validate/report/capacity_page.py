"""A search for the capacity as a page: the curves of latency, CPU and loss over the scale, and every probe."""

from __future__ import annotations

import math
from collections.abc import Callable

from necp_validate.report import text
from necp_validate.report.capacity import Capacity, Probe, ProbeRun
from necp_validate.report.frames import ORDER
from necp_validate.report.html import Figure
from necp_validate.report.page import Page, render_page
from necp_validate.report.plots import LATENCY_LIMITS_MS, log_ms
from necp_validate.report.style import chart, colour, legend

HEAD = (
    "verdict",
    "scale",
    "events/s",
    "run",
    "P99 all",
    *(f"P99 {d}" for d in ORDER),
    "lost",
    "host CPU",
    "broker CPU",
)

Of = Callable[[ProbeRun], float | None]


def rows(found: Capacity) -> list[tuple[str, ...]]:
    """Every run in the columns of `HEAD`, by scale."""
    return [_row(probe, run) for probe in sorted(found.probes, key=lambda one: one.scale) for run in probe.runs]


def _row(probe: Probe, run: ProbeRun) -> tuple[str, ...]:
    latencies = (text.ms(run.p99_ms.get(name)) for name in ("all", *ORDER))
    shares = (text.percent(None if v is None else v / 100, 0) for v in (run.host_cpu_pct, run.broker_cpu_pct))
    return (
        str(run.verdict),
        f"{probe.scale:g}",
        text.count(run.throughput_eps),
        run.run,
        *latencies,
        text.count(run.lost),
        *shares,
    )


def render(found: Capacity) -> str:
    """The whole page."""
    note = "Each dot is a run. Dotted: the limit claimed for the domain of the same colour."
    return render_page(
        Page(
            title=f"capacity, by scenario {found.scenario}",
            meta=f"{len(found.probes)} scales, each to hold in {found.repeats} run{'s' * (found.repeats > 1)}",
            verdict=found.verdict,
            sentence=found.sentence,
            charts=[
                Figure(title="P99 end to end over scale", svg=latency_curve(found), note=note),
                Figure(title="CPU over scale", svg=cpu_curve(found), note="100% of a broker is one core."),
                Figure(title="Acked events lost over scale", svg=loss_curve(found)),
            ],
            head=HEAD,
            rows=rows(found),
        )
    )


def _points(found: Capacity, of: Of) -> list[tuple[float, float]]:
    """What is known and finite, by scale."""
    known = [(p.scale, of(run)) for p in sorted(found.probes, key=lambda one: one.scale) for run in p.runs]
    return [(scale, value) for scale, value in known if value is not None and math.isfinite(value)]


def latency_curve(found: Capacity) -> str | None:
    """P99 by domain over the scale."""
    curves = {d: _points(found, lambda run, d=d: run.p99_ms.get(d)) for d in ORDER}  # type: ignore[misc]  # mypy: d
    if not any(curves.values()):
        return None
    with chart("P99 end to end over scale", y_label="") as drawing:
        axes = drawing.axes
        axes.set_yscale("log")
        for domain, points in curves.items():
            if points:
                axes.plot(*zip(*points, strict=True), color=colour(domain), marker="o", ms=3, label=domain)
                if domain in LATENCY_LIMITS_MS:
                    axes.axhline(LATENCY_LIMITS_MS[domain], color=colour(domain), lw=0.9, ls=(0, (1, 2.5)))
        log_ms(axes)
        axes.set_xlabel("scale")
        legend(axes)
    return drawing.svg


def cpu_curve(found: Capacity) -> str | None:
    """CPU of the host and of the busiest broker over the scale."""
    host, broker = _points(found, lambda run: run.host_cpu_pct), _points(found, lambda run: run.broker_cpu_pct)
    return _lines("CPU over scale", "%", {"host": (host, "acked"), "busiest broker": (broker, "processed")})


def loss_curve(found: Capacity) -> str | None:
    """Acked events that were not read back, over the scale; no curve where there are none."""
    if not any(run.lost for probe in found.probes for run in probe.runs):
        return None
    return _lines("Acked events lost over scale", "events", {"lost": (_points(found, lambda run: run.lost), "limit")})


def _lines(label: str, unit: str, curves: dict[str, tuple[list[tuple[float, float]], str]]) -> str | None:
    if not any(points for points, _ in curves.values()):
        return None
    with chart(label, y_label=unit) as drawing:
        axes = drawing.axes
        for name, (points, role) in curves.items():
            if points:
                axes.plot(*zip(*points, strict=True), color=colour(role), marker="o", ms=3, label=name)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("scale")
        legend(axes)
    return drawing.svg
