"""The charts of a report. Each takes the frames of a run and gives an SVG, or None without evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from necp_validate.claims.limits import LIMITS, P99_LIMITS
from necp_validate.core.histogram import HdrHistogram
from necp_validate.report import text
from necp_validate.report.fault_marks import LABEL_CHARS_PER_WIDTH, mark_faults
from necp_validate.report.frames import PhaseSpan, RunFrames
from necp_validate.report.style import chart, colour, legend

POINTS_AT_MOST = 500
_DASHES = {"combat": "-", "economy": (0, (6, 1.5)), "social": (0, (3, 1.2)), "system": (0, (1, 1))}
_QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
LATENCY_LIMITS_MS = {domain: LIMITS[name].value for domain, name in P99_LIMITS.items()}

_RATE = EngFormatter(sep="")
_BYTES = EngFormatter(unit="B", sep=" ")


def throughput(run: RunFrames, domain: str) -> str | None:
    """Scheduled, acknowledged and processed events per second of one domain."""
    rows = _of(run.timeline, domain)
    if rows is None:
        return None
    rows = thin(rows, "mean")
    with chart(f"Throughput of {domain} events over time", y_label="events/s") as drawing:
        axes = drawing.axes
        axes.fill_between(rows.t_s, rows.scheduled_eps, color=colour("scheduled"), alpha=0.22, lw=0, label="scheduled")
        axes.plot(rows.t_s, rows.acked_eps, color=colour("acked"), label="acked")
        if rows.ended_eps.notna().any():
            axes.plot(rows.t_s, rows.ended_eps, color=colour("processed"), ls=(0, (2.5, 1.2)), label="processed")
        axes.yaxis.set_major_formatter(_RATE)
        _over_time(axes, run, from_zero=True)
    return drawing.svg


def latency(run: RunFrames, column: str, label: str, *, limits: bool = False) -> str | None:
    """One latency figure per second and domain, on a logarithmic scale, with the claimed limits dotted."""
    if run.timeline is None or run.timeline[column].notna().sum() == 0:
        return None
    with chart(label, y_label="") as drawing:
        axes = drawing.axes
        axes.set_yscale("log")
        for domain in run.domains:
            rows = thin(run.timeline[run.timeline.domain == domain], "max")
            axes.plot(rows.t_s, rows[column], color=colour(domain), ls=_DASHES.get(domain, "-"), label=domain)
            if limits and domain in LATENCY_LIMITS_MS:
                limit = LATENCY_LIMITS_MS[domain]
                axes.axhline(limit, color=colour(domain), lw=0.9, ls=(0, (1, 2.5)), alpha=0.9)
                beside = axes.get_yaxis_transform()
                axes.text(
                    1.01,
                    limit,
                    f"< {limit:g}",
                    transform=beside,
                    color=colour(domain),
                    fontsize=7,
                    va="center",
                )
        log_ms(axes)
        _over_time(axes, run)
    return drawing.svg


def percentile_curve(run: RunFrames, phase: str) -> str | None:
    """Latency at every percentile of one phase, each line as far as its samples carry."""
    curves = {
        domain: histogram
        for domain in run.domains
        if (histogram := run.latency.get((phase, domain, "e2e"))) is not None and histogram.total >= 100
    }
    if not curves:
        return None
    with chart(f"Latency by percentile in {phase}", y_label="") as drawing:
        axes = drawing.axes
        axes.set_xscale("log")
        axes.set_yscale("log")
        furthest = 2.0
        for domain, histogram in curves.items():
            odds, values = _curve(histogram)
            furthest = max(furthest, float(odds[-1]))
            axes.plot(odds, values, color=colour(domain), ls=_DASHES.get(domain, "-"), label=domain)
        shown = [q for q in _QUANTILES if 1 / (1 - q) <= furthest * 1.001]
        axes.set_xticks([1 / (1 - q) for q in shown], [f"P{q * 100:g}" for q in shown])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(1.25, furthest)
        axes.grid(visible=True, axis="x")
        log_ms(axes)
        legend(axes)
    return drawing.svg


def _curve(histogram: HdrHistogram) -> tuple[np.ndarray, np.ndarray]:
    """1/(1-q) against milliseconds, up to the percentile that ten samples exceed."""
    odds = np.geomspace(1.25, max(2.0, histogram.total / 10), 120)
    values = [histogram.percentile(100 * (1 - 1 / one)) / 1000 for one in odds]
    return odds, np.maximum(np.array(values), 0.001)


def lag(run: RunFrames) -> str | None:
    """Consumer lag per domain."""
    return _per_group(run, run.lag, "domain", "lag", "Consumer lag over time", "events", _RATE)


def broker_cpu(run: RunFrames) -> str | None:
    """CPU of each broker; 100% is one core."""
    return _per_group(run, run.brokers, "broker", "cpu_pct", "CPU of each broker over time", "% of a core", None)


def broker_memory(run: RunFrames) -> str | None:
    """Resident memory of each broker."""
    label = "Resident memory of each broker over time"
    return _per_group(run, run.brokers, "broker", "rss_bytes", label, "", _BYTES)


def broker_ios(run: RunFrames) -> str | None:
    """Disk reads and writes per second of each broker."""
    label = "Disk operations of each broker over time"
    return _per_group(run, run.brokers, "broker", "ios", label, "operations/s", _RATE)


def _per_group(
    run: RunFrames,
    frame: pd.DataFrame | None,
    group: str,
    column: str,
    label: str,
    y_label: str,
    formatter: EngFormatter | None,
) -> str | None:
    if frame is None or frame[column].notna().sum() == 0:
        return None
    with chart(label, y_label=y_label) as drawing:
        axes = drawing.axes
        for name, rows in frame.groupby(group, sort=False):
            rows = thin(rows, "max")
            role = f"broker-{name}" if group == "broker" else str(name)
            dashes = _DASHES.get(str(name), "-")
            shown = f"broker {name}" if group == "broker" else str(name)
            axes.plot(rows.t_s, rows[column], color=colour(role), ls=dashes, label=shown)
        if formatter is not None:
            axes.yaxis.set_major_formatter(formatter)
        _over_time(axes, run, from_zero=True)
    return drawing.svg


def group_members(run: RunFrames) -> str | None:
    """Members of each consumer group; only drawn if a group ever was anything but stable, or changed."""
    groups = run.groups
    if groups is None or groups.groupby("group").members.nunique().max() == 1:
        return None
    with chart("Members of the consumer groups over time", y_label="members") as drawing:
        axes = drawing.axes
        for name, rows in groups.groupby("group", sort=False):
            domain = str(name).rsplit("-", 1)[-1]
            rows = thin(rows, "max")
            axes.step(
                rows.t_s, rows.members, where="post", color=colour(domain), ls=_DASHES.get(domain, "-"), label=domain
            )
            unstable = rows[rows.unstable > 0]
            axes.plot(unstable.t_s, unstable.members, ls="", marker=".", ms=4, color=colour("limit"))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _over_time(axes, run, from_zero=True)
    return drawing.svg


def host_cpu(run: RunFrames) -> str | None:
    """CPU of the host, and the shares of the load generator and the event core in it."""
    if run.host is None or run.host.cpu_busy_pct.notna().sum() == 0:
        return None
    rows = thin(run.host, "mean")
    with chart("CPU of the host over time", y_label="% of all cores") as drawing:
        axes = drawing.axes
        axes.fill_between(rows.t_s, rows.cpu_busy_pct, color=colour("scheduled"), alpha=0.3, lw=0, label="host")
        axes.plot(rows.t_s, rows.cpu_busy_pct, color=colour("muted"), lw=0.8)
        for column, role, name in (
            ("load_cpu_pct", "acked", "load"),
            ("core_cpu_pct", "processed", "core"),
            ("cpu_steal_pct", "limit", "steal"),
        ):
            if rows[column].notna().any():
                axes.plot(rows.t_s, rows[column], color=colour(role), label=name)
        _over_time(axes, run, from_zero=True)
        axes.set_ylim(0, 100)
    return drawing.svg


def lateness(run: RunFrames) -> str | None:
    """How late the generator handed events over, against their intended time: worst domain of each second."""
    if run.timeline is None or run.timeline.late_max_ms.notna().sum() == 0:
        return None
    worst = run.timeline.groupby("t_s", as_index=False)[["late_p99_ms", "late_max_ms"]].max()
    rows = thin(worst, "max")
    with chart("Lateness of the load generator over time", y_label="ms") as drawing:
        axes = drawing.axes
        axes.plot(rows.t_s, rows.late_max_ms, color=colour("muted"), lw=1, label="highest")
        axes.plot(rows.t_s, rows.late_p99_ms, color=colour("acked"), label="P99")
        _over_time(axes, run, from_zero=True)
    return drawing.svg


def in_sync(run: RunFrames) -> str | None:
    """Partitions below their replication, and without a leader; only drawn if there were any."""
    if run.isr is None or run.isr[["under_replicated", "offline"]].sum().sum() == 0:
        return None
    with chart("Under-replicated and offline partitions over time", y_label="partitions") as drawing:
        axes = drawing.axes
        rows = thin(run.isr, "max")
        axes.step(rows.t_s, rows.under_replicated, color=colour("processed"), label="under-replicated")
        axes.step(rows.t_s, rows.offline, color=colour("limit"), label="offline")
        _over_time(axes, run, from_zero=True)
    return drawing.svg


def thin(rows: pd.DataFrame, how: str) -> pd.DataFrame:
    """At most `POINTS_AT_MOST` points: the mean or the maximum of neighbours (a maximum hides no spike)."""
    step = math.ceil(len(rows) / POINTS_AT_MOST)
    if step <= 1:
        return rows
    numbers = rows.select_dtypes("number")
    groups = numbers.groupby(np.arange(len(rows)) // step)
    thinned = groups.max() if how == "max" else groups.mean()
    return thinned.assign(t_s=groups["t_s"].first())


def _of(frame: pd.DataFrame | None, domain: str) -> pd.DataFrame | None:
    if frame is None:
        return None
    rows = frame[frame.domain == domain]
    return None if rows.empty else rows


def log_ms(axes: Axes) -> None:
    """Mark a logarithmic axis of milliseconds at 1, 2 and 5 of each power of ten."""
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text.ms(value)))
    axes.yaxis.set_minor_locator(NullLocator())


def alerts(run: RunFrames) -> str | None:
    """When each alert was pending (pale) and firing, one line for each."""
    if not run.alerts:
        return None
    names = list(dict.fromkeys(span.name for span in run.alerts))
    with chart("Alerts over time", y_label="") as drawing:
        axes = drawing.axes
        for span in run.alerts:
            width_s = max(span.end_s - span.start_s, run.end_s / 200)
            role, alpha = ("limit", 1.0) if span.firing else ("muted", 0.4)
            axes.barh(names.index(span.name), width_s, left=span.start_s, height=0.6, color=colour(role), alpha=alpha)
        axes.set_yticks(range(len(names)), [name.removeprefix("Kafka") for name in names], fontsize=7)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        _over_time(axes, run)
    return drawing.svg


def _over_time(axes: Axes, run: RunFrames, *, from_zero: bool = False) -> None:
    """What all charts over time share: phases shaded and labelled, minutes below, a legend."""
    end_s = run.end_s or axes.get_xlim()[1]
    axes.set_xlim(0, end_s)
    if from_zero:
        axes.set_ylim(bottom=0)
    _shade(axes, run.phases, end_s)
    mark_faults(axes, run.faults, end_s)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock(end_s)))
    legend(axes)


def _shade(axes: Axes, phases: Sequence[PhaseSpan], width_s: float) -> None:
    above = axes.get_xaxis_transform()
    for phase in phases:
        axes.axvspan(phase.start_s, phase.end_s, color=colour(f"phase-{phase.kind}"), lw=0, zorder=0)
        name = _fitting(phase.name, int(LABEL_CHARS_PER_WIDTH * (phase.end_s - phase.start_s) / width_s))
        middle = (phase.start_s + phase.end_s) / 2
        axes.text(middle, 1.025, name, transform=above, ha="center", va="bottom", fontsize=7, color=colour("muted"))


def _fitting(name: str, room: int) -> str:
    """The name, or its beginning, or nothing, as room allows."""
    if len(name) <= room:
        return name
    return f"{name[: room - 1]}…" if room >= 4 else ""


def _clock(longest_s: float) -> Callable[[float, int | None], str]:
    def label(value: float, _: int | None) -> str:
        seconds = round(value)
        if longest_s < 180:
            return f"{seconds} s"
        if longest_s < 7200:
            return f"{seconds // 60}:{seconds % 60:02d}"
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"

    return label
