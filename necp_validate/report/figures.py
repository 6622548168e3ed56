"""The few figures that stand at the top of a report."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from necp_validate.record import FuzzRecord, IntervalSet
from necp_validate.record.fuzz import MISSING, SEVERAL
from necp_validate.report import text
from necp_validate.report.frames import ALL, RunFrames, percentile_rows, throughput_rows

PHASE_ORDER = ("steady", "surge", "fault", "recovery", "warmup")
"""Kinds of phases in the order in which one is picked to stand for the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One figure.

    Args:
        label: what it is.
        value: the figure with its unit; a dash where there is no evidence.
        note: what to compare it with.
        alarming: the figure alone is reason to worry.
    """

    label: str
    value: str
    note: str = ""
    alarming: bool = False


def key_figures(run: RunFrames) -> list[KeyFigure]:
    """What one wants to know first."""
    phase = representative_phase(run)
    if run.history.fuzz is not None:
        return [*_fuzzed(run.history.fuzz), _memory(run), _host(run, phase)]
    if run.history.own_topics:
        return _own_topics(run, phase)
    return [
        _acked(run),
        _lost(run),
        _twice(run),
        _accounted(run),
        _rate(run, phase),
        *_latency(run, phase),
        _drain(run),
        _memory(run),
        _host(run, phase),
    ]


def _own_topics(run: RunFrames, phase: str | None) -> list[KeyFigure]:
    """Without event core and brokers of this suite: what was sent and read back, and what else can be seen."""
    readback = run.history.readback
    known = readback is not None and readback.bad_value is not None and readback.bad_key is not None
    changed = (readback.bad_value or 0) + (readback.bad_key or 0) if readback is not None and known else None
    figures = [
        _acked(run),
        _lost(run),
        _twice(run),
        KeyFigure(
            label="records changed",
            value=text.MISSING if changed is None else text.count(changed),
            note="no evidence"
            if readback is None or readback.others is None
            else f"{text.count(readback.others)} of other producers left out",
            alarming=bool(changed),
        ),
        _rate(run, phase),
        *_until_acked(run, phase),
    ]
    if run.history.sees_ends(run.domains):
        figures += _latency(run, phase)
    if run.history.drain is not None:
        figures.append(_drain(run))
    return [*figures, _host(run, phase)]


def _until_acked(run: RunFrames, phase: str | None) -> list[KeyFigure]:
    rows = percentile_rows(run, "ack")
    rows = rows[(rows.phase == phase) & (rows.domain == (ALL if len(run.domains) > 1 else rows.domain))]
    if rows.empty:
        return [KeyFigure(label="P99 until acked", value=text.MISSING, note="no evidence")]
    row = rows.iloc[0]
    note = f"P50 {text.ms(row.p50)}, P95 {text.ms(row.p95)}"
    return [KeyFigure(label=f"P99 until acked in {phase}", value=text.ms(row.p99), note=note)]


def representative_phase(run: RunFrames) -> str | None:
    """The phase whose figures stand for the run: the first steady one, else what there is."""
    for kind in PHASE_ORDER:
        if spans := run.spans_of(kind):
            return spans[0].name
    return None


def _fuzzed(fuzz: FuzzRecord) -> list[KeyFigure]:
    """What stands for a campaign of fuzzed events, which has no schedule and no latency."""
    lost = sum(group.count for group in fuzz.groups if group.found in (MISSING, SEVERAL))
    wrong = sum(group.count for group in fuzz.groups if group.found != group.expected) - lost
    refused = sum(group.count for group in fuzz.groups if group.found == "refused")
    crashes = len(fuzz.crashes)
    return [
        KeyFigure(
            label="fuzzed events", value=text.count(fuzz.events), note=f"{text.count(refused)} refused as too large"
        ),
        KeyFigure(label="distinct", value=text.count(fuzz.distinct), note="in more than their identity"),
        KeyFigure(label="unaccounted for", value=text.count(lost), alarming=lost > 0),
        KeyFigure(label="otherwise than the oracle says", value=text.count(wrong), alarming=wrong > 0),
        KeyFigure(label="crashes", value=text.count(crashes), alarming=crashes > 0),
        KeyFigure(label="took", value=text.seconds(fuzz.seconds), note="made, sent, handled and read back"),
    ]


def _acked(run: RunFrames) -> KeyFigure:
    rows = throughput_rows(run)
    rows = rows[rows.domain == (ALL if len(run.domains) > 1 else rows.domain)]
    if rows.empty:
        return KeyFigure(label="events acknowledged", value=text.MISSING)
    scheduled, acked = rows.scheduled.sum(), rows.acked.sum()
    return KeyFigure(label="events acknowledged", value=text.count(acked), note=f"of {text.count(scheduled)} scheduled")


def _lost(run: RunFrames) -> KeyFigure:
    label = "acknowledged events lost"
    readback = run.history.readback
    if readback is None or not run.history.senders:
        return KeyFigure(label=label, value=text.MISSING, note="no evidence")
    lost = 0
    for load in run.history.senders:
        for stream in load.streams:
            found = readback.streams.get(stream.stream)
            lost += stream.acked.difference(found.read if found else IntervalSet()).count
    note = f"{text.count(readback.events_read)} read back"
    return KeyFigure(label=label, value=text.count(lost), note=note, alarming=lost > 0)


def _twice(run: RunFrames) -> KeyFigure:
    readback = run.history.readback
    if readback is None:
        return KeyFigure(label="duplicates", value=text.MISSING, note="no evidence")
    duplicates = sum(stream.duplicates for stream in readback.streams.values())
    disorder = sum(stream.out_of_order for stream in readback.streams.values())
    return KeyFigure(
        label="duplicates",
        value=text.count(duplicates),
        note=f"out of order: {text.count(disorder)}",
        alarming=duplicates + disorder > 0,
    )


def _accounted(run: RunFrames) -> KeyFigure:
    label = "events with an outcome"
    readback = run.history.readback
    if readback is None or not readback.receipts:
        return KeyFigure(label=label, value=text.MISSING, note="no receipts")
    accounted = sum(receipt.accounted.count for receipt in readback.receipts)
    topics = {receipt.topic for receipt in readback.receipts}
    read = sum(partition.read for partition in readback.partitions if partition.topic in topics)
    rejected = sum(receipt.rejected for receipt in readback.receipts)
    dead = sum(receipt.dead_lettered for receipt in readback.receipts)
    share = accounted / read if read else None
    note = f"{text.short_count(rejected)} rejected, {text.short_count(dead)} dead-lettered"
    return KeyFigure(label=label, value=text.percent(share, 2), note=note, alarming=accounted < read)


def _rate(run: RunFrames, phase: str | None) -> KeyFigure:
    surge = run.spans_of("surge")
    shown = surge[0].name if surge else phase
    rows = throughput_rows(run)
    rows = rows[(rows.phase == shown) & (rows.domain == (ALL if len(run.domains) > 1 else rows.domain))]
    if rows.empty:
        return KeyFigure(label="events/s acknowledged", value=text.MISSING)
    row = rows.iloc[0]
    return KeyFigure(
        label=f"events/s acked in {shown}",
        value=text.count(row.acked_eps),
        note=f"{text.count(row.planned_eps)} planned{_handled(row.handled_eps)}",
    )


def _handled(eps: float) -> str:
    return "" if pd.isna(eps) else f", {text.count(eps)} handled"


def _latency(run: RunFrames, phase: str | None) -> list[KeyFigure]:
    rows = percentile_rows(run)
    rows = rows[rows.phase == phase]
    figures = []
    for domain in (*run.domains[:1], ALL):
        found: pd.DataFrame = rows[rows.domain == domain]
        if not found.empty:
            row = found.iloc[0]
            who = "all events" if domain == ALL else domain
            note = f"P50 {text.ms(row.p50)}, P99.9 {text.ms(row.p999)}"
            figures.append(KeyFigure(label=f"P99 of {who} in {phase}", value=text.ms(row.p99), note=note))
    return figures or [KeyFigure(label="P99 end to end", value=text.MISSING, note="no evidence")]


def _drain(run: RunFrames) -> KeyFigure:
    drain = run.history.drain
    if drain is None:
        return KeyFigure(label="backlog gone after", value=text.MISSING, note="no evidence")
    note = f"{text.count(drain.lag_at_end)} events waiting at the end of the surge"
    if drain.drain_s is None:
        return KeyFigure(label="backlog gone after", value="never", note=note, alarming=True)
    return KeyFigure(label="backlog gone after", value=text.seconds(drain.drain_s), note=note)


def _memory(run: RunFrames) -> KeyFigure:
    label = "peak memory of a broker"
    if run.brokers is None or run.brokers.rss_bytes.isna().all():
        return KeyFigure(label=label, value=text.MISSING, note="no evidence")
    ios = run.brokers.ios.max()
    return KeyFigure(
        label=label,
        value=text.gibibytes(float(run.brokers.rss_bytes.max())),
        note=f"disk: {text.count(ios)} operations/s at most",
    )


def _host(run: RunFrames, phase: str | None) -> KeyFigure:
    label = f"host CPU in {phase}" if phase else "host CPU"
    span = next((one for one in run.phases if one.name == phase), None)
    if run.host is None or span is None:
        return KeyFigure(label=label, value=text.MISSING, note="no evidence")
    rows = run.host[(run.host.t_s >= span.start_s) & (run.host.t_s < span.end_s)]
    if rows.cpu_busy_pct.isna().all():
        return KeyFigure(label=label, value=text.MISSING, note="no evidence")
    late = percentile_rows(run, "late")
    late = late[(late.phase == phase) & (late.domain == (ALL if len(run.domains) > 1 else late.domain))]
    note = f"generator late by {text.ms(late.iloc[0].p99)} (P99)" if not late.empty else ""
    return KeyFigure(label=label, value=f"{rows.cpu_busy_pct.mean():.0f}%", note=note)
