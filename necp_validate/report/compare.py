"""Two or more runs side by side, each against the first: rates, percentiles, CPU, changed verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from necp_validate.claims.repeats import differences
from necp_validate.core.errors import UsageError
from necp_validate.record import RunInfo
from necp_validate.report import text
from necp_validate.report.frames import ALL, RunFrames, load_run, percentile_rows, throughput_rows
from necp_validate.report.gate import gate
from necp_validate.report.verdict import RunVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure over all runs.

    Args:
        group: what the figure is about, e.g. ``latency in steady``.
        name: the figure.
        values: as shown, one per run; a dash where there is no evidence.
        ratios: against the first run, ``None`` where either is missing or zero.
    """

    group: str
    name: str
    values: tuple[str, ...]
    ratios: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A claim or check whose verdict is not the same in every run; a dash where it was not judged."""

    name: str
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Args:
        runs: their ids, the first is the base.
        verdicts: one per run.
        rows: every figure.
        changes: claims and checks that are judged differently.
        caveats: why the figures may not be comparable.
    """

    runs: tuple[str, ...]
    verdicts: tuple[str, ...]
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    caveats: tuple[str, ...]


def compare(run_dirs: Sequence[Path]) -> Comparison:
    """Compare stored runs with the first of them.

    Raises:
        UsageError: fewer than two, or one of them is no run directory.
    """
    if len(run_dirs) < 2:
        raise UsageError("one run cannot be compared with itself", hint="name two or more run directories")
    runs = [load_run(run_dir) for run_dir in run_dirs]
    verdicts = [gate(run_dir) for run_dir in run_dirs]
    return Comparison(
        runs=tuple(run.history.run.id for run in runs),
        verdicts=tuple(str(one.verdict) for one in verdicts),
        rows=(*_rates(runs), *_latencies(runs), *_resources(runs)),
        changes=_changes(verdicts),
        caveats=caveats([run.history.run for run in runs]),
    )


def _phases(runs: Sequence[RunFrames]) -> list[str]:
    names = [phase.name for run in runs for phase in run.phases if phase.kind != "warmup"]
    return list(dict.fromkeys(names))


def _domains(runs: Sequence[RunFrames]) -> list[str]:
    return list(dict.fromkeys([*(domain for run in runs for domain in run.domains), ALL]))


def _rates(runs: Sequence[RunFrames]) -> list[Row]:
    tables = [throughput_rows(run).set_index(["phase", "domain"]) for run in runs]
    rows = []
    for phase in _phases(runs):
        for domain in _domains(runs):
            found = [float(t.acked_eps[phase, domain]) if (phase, domain) in t.index else None for t in tables]
            rows.append(_row(f"acked events/s in {phase}", domain, found, text.count))
    return [row for row in rows if row is not None]


def _latencies(runs: Sequence[RunFrames]) -> list[Row]:
    tables = [percentile_rows(run).set_index(["phase", "domain"]) for run in runs]
    rows = []
    for phase in _phases(runs):
        for domain in _domains(runs):
            for column, name in (("p50", "P50"), ("p99", "P99"), ("p999", "P99.9")):
                found = [float(t[column][phase, domain]) if (phase, domain) in t.index else None for t in tables]
                rows.append(_row(f"end to end in {phase}", f"{domain} {name}", found, text.ms))
    return [row for row in rows if row is not None]


def _resources(runs: Sequence[RunFrames]) -> list[Row]:
    hosts, brokers = [run.host for run in runs], [run.brokers for run in runs]
    drains = [run.history.drain for run in runs]
    columns: tuple[tuple[str, list[float | None], text.Shown], ...] = (
        ("host CPU, mean", [_over(host, "cpu_busy_pct", "mean") for host in hosts], _percent),
        ("host CPU stolen, mean", [_over(host, "cpu_steal_pct", "mean") for host in hosts], _percent),
        ("broker CPU, mean", [_over(broker, "cpu_pct", "mean") for broker in brokers], _percent),
        ("broker memory, peak", [_over(broker, "rss_bytes", "max") for broker in brokers], text.gibibytes),
        ("broker disk operations/s, peak", [_over(broker, "ios", "max") for broker in brokers], text.count),
        ("backlog gone after", [drain.drain_s if drain else None for drain in drains], text.seconds),
    )
    rows = (_row("resources", name, found, shown) for name, found, shown in columns)
    return [row for row in rows if row is not None]


def _over(frame: pd.DataFrame | None, column: str, how: str) -> float | None:
    return None if frame is None else float(frame[column].agg(how))


def _percent(value: float | None) -> str:
    return text.percent(None if value is None else value / 100, 0)


def _row(group: str, name: str, found: Sequence[float | None], shown: text.Shown) -> Row | None:
    values = [None if value is None or math.isnan(value) else float(value) for value in found]
    if all(value is None for value in values):
        return None
    base = values[0]
    ratios = [value / base if value is not None and base else None for value in values]
    return Row(group=group, name=name, values=tuple(shown(value) for value in values), ratios=tuple(ratios))


def _changes(verdicts: Sequence[RunVerdict]) -> tuple[Change, ...]:
    by_name: list[dict[str, str]] = []
    for one in verdicts:
        claims = {claim.id: str(claim.verdict) for claim in one.claims}
        checks = {check.name: str(check.verdict) for check in one.checks}
        by_name.append({**claims, **checks})
    names = dict.fromkeys(name for found in by_name for name in found)
    rows = {name: tuple(found.get(name, text.MISSING) for found in by_name) for name in names}
    return tuple(Change(name=name, verdicts=row) for name, row in rows.items() if len(set(row)) > 1)


def caveats(infos: Sequence[RunInfo]) -> tuple[str, ...]:
    """In what runs are not like the first of them, so that figures are hard to compare; those alike in one line."""
    unlike: dict[str, list[str]] = {}
    for one in infos[1:]:
        if found := differences(infos[0], one):
            unlike.setdefault("; ".join(found), []).append(one.id)
    return tuple(f"not like {infos[0].id}: {', '.join(ids)} with {what}" for what, ids in unlike.items())
