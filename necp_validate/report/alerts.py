"""Alerts of a run, as a report shows them: when each fired, under which fault, how soon, and when it was over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.history import FIRING, RESOLVED, AlertTransition, FaultRecord, History
from necp_validate.report import text
from necp_validate.verify.recovery import end_of_run_us

_LASTS_US = 60_000_000
"""A fault explains what fires until so long after its end: rules look back over a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSpan:
    """An alert on the time axis of the charts.

    Args:
        name: of the alert.
        firing: whether it fired, or was only pending.
    """

    name: str
    start_s: float
    end_s: float
    firing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert that fired, or one rule that did not; all in words.

    Args:
        fired: whether it fired.
        under: the fault that was in force, or had just ended.
        detected: from the fault's being seen to the alert.
        lasted: until it was resolved.
    """

    name: str
    severity: str
    fired: bool
    at: str = ""
    under: str = ""
    detected: str = ""
    lasted: str = ""


def alert_spans(history: History, begin_s: float) -> tuple[AlertSpan, ...]:
    """Where the chart shows alerts, in the order in which they began.

    Args:
        history: of the run.
        begin_s: where the time axis begins (epoch).
    """
    spans = []
    for alert, until_us in _stretches(history):
        start_s, end_s = alert.t_us / 1e6 - begin_s, until_us / 1e6 - begin_s
        spans.append(AlertSpan(name=alert.name, start_s=start_s, end_s=end_s, firing=alert.state == FIRING))
    return tuple(spans)


def alert_rows(history: History) -> list[AlertRow]:
    """Every alert that fired in the order of time, then every rule that stayed silent."""
    begin_us = history.phases[0].start_us if history.phases else history.run.started_us
    rows = [
        _row(alert, until_us, begin_us, history.faults)
        for alert, until_us in _stretches(history)
        if alert.state == FIRING
    ]
    fired = {row.name for row in rows}
    rules = history.monitoring.rules if history.monitoring else ()
    return rows + [AlertRow(name=r.name, severity=r.severity, fired=False) for r in rules if r.name not in fired]


def _stretches(history: History) -> list[tuple[AlertTransition, int]]:
    """Each time that an alert was pending or firing, and until when."""
    changes: dict[object, list[AlertTransition]] = {}
    for one in sorted(history.alerts, key=lambda alert: alert.t_us):
        changes.setdefault(one.key, []).append(one)
    found = []
    for of_one in changes.values():
        ends = [change.t_us for change in of_one[1:]] + [max(end_of_run_us(history), of_one[-1].t_us)]
        found += [(change, end) for change, end in zip(of_one, ends, strict=True) if change.state != RESOLVED]
    return sorted(found, key=lambda stretch: stretch[0].t_us)


def _row(alert: AlertTransition, until_us: int, begin_us: int, faults: Sequence[FaultRecord]) -> AlertRow:
    seen = [
        fault
        for fault in faults
        if fault.effective_us is not None
        and fault.begin_us <= alert.t_us
        and (fault.end_us is None or alert.t_us <= fault.end_us + _LASTS_US)
    ]
    cause = seen[-1] if seen else None
    detected = "" if cause is None else text.seconds(max(alert.t_us - _seen_us(cause), 0) / 1e6)
    return AlertRow(
        name=alert.name,
        severity=alert.labels.get("severity", ""),
        fired=True,
        at=text.seconds((alert.t_us - begin_us) / 1e6),
        under=cause.id if cause else "",
        detected=detected,
        lasted=text.seconds((until_us - alert.t_us) / 1e6),
    )


def _seen_us(fault: FaultRecord) -> int:
    return fault.begin_us if fault.effective_us is None else fault.effective_us
