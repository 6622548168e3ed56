"""A stored run as pandas frames: seconds since the load began, workers merged, missing parts ``None``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from necp_validate.claims.metrics.latencies import Latency, latency_of
from necp_validate.claims.metrics.rates import rates
from necp_validate.record import Phase, Record, read_record
from necp_validate.record.store import LatencyMap
from necp_validate.report.alerts import AlertSpan, alert_spans
from necp_validate.report.faults import FaultSpan, fault_spans

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ORDER = ("combat", "economy", "social", "system")
ALL = "all"
"""Name of the row that stands for every domain together."""

_RATES = ("scheduled", "sent", "acked", "failed", "ended")
_SHORTEST_ROW_S = 0.5
_LATENCIES = ("e2e_p50_ms", "e2e_p99_ms", "ack_p50_ms", "ack_p99_ms", "late_p99_ms", "late_max_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """A phase on the time axis of the charts."""

    name: str
    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFrames:
    """Everything a report is made from.

    Args:
        history: the record itself.
        domains: those that were loaded, in the order of the mix.
        phases: on the time axis.
        faults: on the time axis, numbered in the order of their beginning.
        timeline: per second and domain; rates (``scheduled_eps`` ...) summed and latencies the worst over the
            workers. ``ended_eps`` is the sum of the three outcomes.
        host: samples of the host.
        brokers: samples of each broker; ``ios`` is reads plus writes.
        lag: consumer lag per domain.
        isr: under-replicated and offline partitions.
        groups: members per consumer group; ``unstable`` is 1 while the group was not stable.
        alerts: on the time axis, in the order of their beginning.
    """

    history: Record
    domains: tuple[str, ...]
    phases: tuple[PhaseSpan, ...]
    faults: tuple[FaultSpan, ...]
    timeline: pd.DataFrame | None
    host: pd.DataFrame | None
    brokers: pd.DataFrame | None
    lag: pd.DataFrame | None
    isr: pd.DataFrame | None
    groups: pd.DataFrame | None
    alerts: tuple[AlertSpan, ...]

    @property
    def latency(self) -> LatencyMap:
        """Histograms by phase, domain and kind."""
        return self.history.latency

    @property
    def end_s(self) -> float:
        """Where the time axis ends: after the last phase, and after the last row of the timeline."""
        ends = [phase.end_s for phase in self.phases[-1:]]
        if self.timeline is not None:
            ends.append(float(self.timeline.t_s.max()))
        return max(ends, default=0.0)

    def spans_of(self, kind: str) -> tuple[PhaseSpan, ...]:
        """The phases of one kind."""
        return tuple(phase for phase in self.phases if phase.kind == kind)

    @property
    def missing(self) -> list[str]:
        """Parts of the record that are not there, in words."""
        brokers, lag = "broker metrics (metrics/brokers.csv)", "consumer lag (metrics/lag.csv)"
        if self.history.own_topics:
            brokers += ": what an external target's brokers use is seen by their owner's monitoring only"
            lag += ': name the consumer group in the target: group = "..." in a [[topics]] table'
        parts = {
            "phases": self.phases,
            "what the load sent (history/load-*.json)": self.history.loads,
            "latency histograms (history/latency-*.npz)": self.history.latency,
            "the timeline (history/timeline-*.jsonl)": self.history.timeline,
            "the fresh reader's result (history/readback.json)": self.history.readback,
            "host metrics (metrics/host.csv)": self.history.host,
            brokers: self.history.brokers,
            lag: self.history.lag,
            'the end of processing: name where your service answers, output = "..." in a [[topics]] table': (
                self.history.sees_ends(self.domains)
            ),
        }
        return [name for name, part in parts.items() if not part]


def load_run(run_dir: Path) -> RunFrames:
    """Read a run directory.

    Raises:
        UsageError: this is no run directory.
        SuiteError: a file in it is damaged.
    """
    return to_frames(read_record(run_dir))


def to_frames(history: Record) -> RunFrames:
    """Arrange a history for reports."""
    begin_s = _begin(history)
    found = set(history.domains) | {row.domain for row in history.timeline}
    known = [domain for domain in ORDER if domain in found]
    brokers = _frame(history.brokers, begin_s)
    if brokers is not None:
        brokers["ios"] = brokers.read_ios + brokers.write_ios
    return RunFrames(
        history=history,
        domains=(*known, *sorted(found.difference(ORDER))),
        phases=tuple(
            PhaseSpan(
                name=phase.name,
                kind=phase.kind,
                start_s=phase.start_us / 1e6 - begin_s,
                end_s=phase.end_us / 1e6 - begin_s,
            )
            for phase in history.phases
        ),
        faults=fault_spans(history.faults, history, begin_s),
        timeline=_timeline(history, begin_s),
        host=_frame(history.host, begin_s),
        brokers=brokers,
        lag=_frame(history.lag, begin_s),
        isr=_frame(history.isr, begin_s),
        groups=_groups(history, begin_s),
        alerts=alert_spans(history, begin_s),
    )


def _begin(history: Record) -> float:
    if history.phases:
        return history.phases[0].start_us / 1e6
    return float(history.timeline[0].t) if history.timeline else history.run.started_us / 1e6


def _frame(rows: Sequence[DataclassInstance], begin_s: float) -> pd.DataFrame | None:
    """Rows of a metrics file; figures as floats, so that a missing one is NaN."""
    if not rows:
        return None
    frame = pd.DataFrame([asdict(row) for row in rows])
    texts = {field.name for field in fields(rows[0]) if str(field.type).startswith("str")}
    for column in frame.columns.difference(sorted(texts)):
        frame[column] = pd.to_numeric(frame[column]).astype(float)
    frame.insert(0, "t_s", frame.t - begin_s)
    return frame.sort_values("t_s", kind="stable", ignore_index=True)


def _groups(history: Record, begin_s: float) -> pd.DataFrame | None:
    frame = _frame(history.groups, begin_s)
    return None if frame is None else frame.assign(unstable=(frame.state != "STABLE").astype(float))


def _timeline(history: Record, begin_s: float) -> pd.DataFrame | None:
    frame = _frame(history.timeline, begin_s)
    if frame is None:
        return None
    frame["ended"] = frame[["processed", "rejected", "dead_lettered"]].sum(axis=1, min_count=1)
    # On a busy host a row may come late and then counts more than one second.
    row_s = frame.groupby(["worker", "domain"])["t_s"].diff().clip(lower=_SHORTEST_ROW_S).fillna(1.0)
    for column in _RATES:
        frame[f"{column}_eps"] = frame[column] / row_s
    frame["t_s"] = frame["t_s"].round()
    groups = frame.groupby(["t_s", "domain"], sort=True)
    # A sum over nothing but missing values must stay missing: no evidence is not zero.
    summed = groups[[f"{column}_eps" for column in _RATES]].sum(min_count=1)
    merged = pd.concat([summed, groups[list(_LATENCIES)].max()], axis=1)
    return merged.reset_index()


def percentile_rows(run: RunFrames, kind: str = "e2e") -> pd.DataFrame:
    """Latency per phase and domain (and all domains together), in milliseconds.

    Args:
        kind: ``e2e``, ``ack`` or ``late``.

    Returns:
        Columns phase, domain, samples, negative, unfinished (end to end: acked, but no end was seen), p50,
        p95, p99, p999, max. A percentile with too few samples behind it is NaN, one that falls on an event
        without an end is infinite.
    """
    rows = []
    for phase in run.history.phases:
        groups: dict[str, tuple[str, ...]] = {domain: (domain,) for domain in run.domains}
        if len(groups) > 1:
            groups[ALL] = run.domains
        for name, domains in groups.items():
            if kind == "e2e" and not run.history.sees_ends(domains):
                continue
            if kind == "e2e":
                latency = latency_of(run.history, phase, domains)
            else:
                latency = Latency(histogram=run.history.histogram(phase.name, kind, domains))
            if latency.histogram.total or latency.histogram.negative:
                rows.append({"phase": phase.name, "domain": name, **_percentiles(latency)})
    columns = ["phase", "domain", "samples", "negative", "unfinished", "p50", "p95", "p99", "p999", "max"]
    return pd.DataFrame(rows, columns=columns)


def _percentiles(latency: Latency) -> dict[str, float]:
    def at(q: float) -> float:
        value = latency.percentile_ms(q)
        return float("nan") if value is None else value

    histogram = latency.histogram
    return {
        "samples": histogram.total,
        "negative": histogram.negative,
        "unfinished": latency.never,
        "p50": at(50),
        "p95": at(95),
        "p99": at(99),
        "p999": at(99.9),
        "max": histogram.max / 1000 if histogram.total else float("nan"),
    }


def throughput_rows(run: RunFrames) -> pd.DataFrame:
    """What became of the schedule, per phase and domain (and all domains together).

    Returns:
        Columns phase, domain; counts of the phase's events by their intended time, whenever they were done:
        scheduled, sent, acked, failed, and share (acked of scheduled); rates as they were, after the phase's
        ramp: planned_eps, sent_eps, acked_eps, handled_eps (NaN where the timeline does not tell).
    """
    rows = []
    groups: dict[str, tuple[str, ...]] = {domain: (domain,) for domain in run.domains}
    if len(groups) > 1:
        groups[ALL] = run.domains
    for phase in run.history.phases:
        for name, domains in groups.items():
            counts = run.history.counts(phase.name, domains)
            if counts.scheduled:
                row = {"phase": phase.name, "domain": name, **asdict(counts)}
                row["share"] = counts.acked / counts.scheduled
                rows.append(row | _rates(run.history, phase, domains))
    columns = ["phase", "domain", "scheduled", "sent", "acked", "failed", "share"]
    return pd.DataFrame(rows, columns=[*columns, "planned_eps", "sent_eps", "acked_eps", "handled_eps"])


def _rates(history: Record, phase: Phase, domains: tuple[str, ...]) -> dict[str, float]:
    found = rates(history, phase, domains)
    if found is None:
        return {}
    handled_eps = float("nan") if found.handled_eps is None else found.handled_eps
    return {
        "planned_eps": found.planned_eps,
        "sent_eps": found.sent_eps,
        "acked_eps": found.acked_eps,
        "handled_eps": handled_eps,
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, each by column name."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]
