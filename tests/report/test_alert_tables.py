"""Alerts in the report: each time one fired with what raised it, rules that stayed silent, and a chart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from necp_validate.record import (
    FIRING,
    PENDING,
    RESOLVED,
    AlertRule,
    AlertTransition,
    FaultRecord,
    MonitoringRecord,
    Record,
    read_record,
)
from necp_validate.report.alerts import AlertRow, AlertSpan, alert_rows, alert_spans
from necp_validate.report.frames import to_frames
from necp_validate.report.gate import gate
from necp_validate.report.html import render
from necp_validate.report.plots import alerts

NAMES = ("KafkaClusterDown", "KafkaDiskUsageHigh")
RULES = tuple(AlertRule(name=name, severity="critical", window_s=0, healthy=True) for name in NAMES)


def watched(run: Path, *states: tuple[float, str]) -> tuple[Record, float]:
    """A run in which one alert went through states at seconds of the load; and when the load began."""
    history = read_record(run)
    begin_us = history.phases[0].start_us
    rows = [
        AlertTransition(
            t_us=begin_us + round(s * 1e6), name=NAMES[0], state=state, labels={}, active_us=None, value=None
        )
        for s, state in states
    ]
    kill = FaultRecord(
        id="kill-1",
        experiment="kill",
        kind="broker-kill",
        target="broker-1",
        begin_us=begin_us + 2_000_000,
        effective_us=begin_us + 2_500_000,
        evidence="pid gone",
        end_us=begin_us + 9_000_000,
        needs="",
        claims=(),
    )
    record = MonitoringRecord(prometheus="2.42", looks=10, missed=0, rules=RULES)
    return replace(history, alerts=tuple(rows), faults=(kill,), monitoring=record), begin_us / 1e6


def test_an_alert_is_shown_with_what_raised_it_and_how_soon(sound: Path) -> None:
    history, _ = watched(sound, (3, PENDING), (4, FIRING), (8, RESOLVED))
    assert alert_rows(history) == [
        AlertRow(
            name=NAMES[0],
            severity="critical",
            fired=True,
            at="4.0 s",
            under="kill-1",
            detected="1.5 s",
            lasted="4.0 s",
        ),
        AlertRow(name=NAMES[1], severity="critical", fired=False),
    ]


def test_an_alert_before_anything_was_done_has_no_cause(sound: Path) -> None:
    history, _ = watched(sound, (-2, FIRING))
    (row, _) = alert_rows(history)
    assert (row.at, row.under, row.lasted) == ("2.0 s before", "", "still firing")


def test_the_chart_tells_pending_from_firing(sound: Path) -> None:
    history, begin_s = watched(sound, (3, PENDING), (4, FIRING), (8, RESOLVED))
    assert alert_spans(history, begin_s) == (
        AlertSpan(name=NAMES[0], start_s=3.0, end_s=4.0, firing=False),
        AlertSpan(name=NAMES[0], start_s=4.0, end_s=8.0, firing=True),
    )
    svg = alerts(to_frames(history))
    assert svg is not None
    assert "ClusterDown" in svg


def test_the_page_has_the_table_and_says_what_was_missing(sound: Path) -> None:
    history, _ = watched(sound, (4, FIRING), (8, RESOLVED))
    verdict = gate(sound)
    page = render(to_frames(history), verdict)
    assert 'id="alerts"' in page
    assert "KafkaDiskUsageHigh" in page
    blind = replace(history, alerts=(), monitoring=MonitoringRecord(needs="needs prometheus"))
    assert "No alert was watched: needs prometheus" in render(to_frames(blind), verdict)
