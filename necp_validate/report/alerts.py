"""Alerts of a run, as a report shows them: when each fired, what had raised it, how soon, and when it was over."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.claims.metrics.alert_causes import CAUSES
from necp_validate.claims.metrics.incidents import firing_spans
from necp_validate.claims.metrics.recovery import end_of_run_us
from necp_validate.record import FIRING, RESOLVED, AlertTransition, Record
from necp_validate.report import text

_EARLY_US = 3_000_000
"""A fault is felt before it is recorded, by so much at most."""


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
    """One time that an alert fired, or a rule that never did; all in words.

    Args:
        fired: whether it fired.
        under: the last thing done before it that may raise it.
        detected: how soon after that.
        lasted: until it was resolved.
    """

    name: str
    severity: str
    fired: bool
    at: str = ""
    under: str = ""
    detected: str = ""
    lasted: str = ""


def alert_spans(history: Record, begin_s: float) -> tuple[AlertSpan, ...]:
    """Where the chart shows alerts, in the order in which they began; none begins before the chart does.

    Args:
        history: of the run.
        begin_s: where the time axis begins (epoch).
    """
    spans = []
    for alert, until_us in _stretches(history):
        start_s, end_s = max(alert.t_us / 1e6 - begin_s, 0.0), until_us / 1e6 - begin_s
        if end_s > 0:
            spans.append(AlertSpan(name=alert.name, start_s=start_s, end_s=end_s, firing=alert.state == FIRING))
    return tuple(spans)


def _stretches(history: Record) -> list[tuple[AlertTransition, int]]:
    """Each time that an alert was pending or firing, and until when."""
    changes: dict[object, list[AlertTransition]] = {}
    for one in sorted(history.alerts, key=lambda alert: alert.t_us):
        changes.setdefault(one.key, []).append(one)
    found = []
    for of_one in changes.values():
        ends = [change.t_us for change in of_one[1:]] + [max(end_of_run_us(history), of_one[-1].t_us)]
        found += [(change, end) for change, end in zip(of_one, ends, strict=True) if change.state != RESOLVED]
    return sorted(found, key=lambda stretch: stretch[0].t_us)


def alert_rows(history: Record) -> list[AlertRow]:
    """Every time that an alert fired in the order of time, then every rule that stayed silent."""
    rules = (history.monitoring.rules if history.monitoring else None) or ()
    severities = {rule.name: rule.severity for rule in rules}
    spans = [(start, end, name) for name, found in firing_spans(history).items() for start, end in found]
    rows = [_row(history, name, severities.get(name, ""), start, end) for start, end, name in sorted(spans)]
    fired = {row.name for row in rows}
    return rows + [AlertRow(name=r.name, severity=r.severity, fired=False) for r in rules if r.name not in fired]


def _row(history: Record, name: str, severity: str, start_us: float, end_us: float) -> AlertRow:
    begin_us = history.phases[0].start_us if history.phases else history.run.started_us
    before_s = (begin_us - start_us) / 1e6
    cause = _cause(history, name, start_us)
    return AlertRow(
        name=name,
        severity=severity,
        fired=True,
        at=f"{text.seconds(before_s)} before" if before_s > 0 else text.seconds(-before_s),
        under=cause[0] if cause else "",
        detected=text.seconds(max(start_us - cause[1], 0) / 1e6) if cause else "",
        lasted="still firing" if end_us == float("inf") else text.seconds((end_us - start_us) / 1e6),
    )


def _cause(history: Record, name: str, start_us: float) -> tuple[str, int] | None:
    """What was last done that explains an alert, in words, and when it was seen."""
    known = CAUSES.get(name)
    if known is None:
        return None
    done = [
        (fault.id, fault.begin_us if fault.effective_us is None else fault.effective_us)
        for fault in history.faults
        if known.explains(fault.kind) and fault.begin_us - _EARLY_US <= start_us
    ]
    if known.rounds:
        done += [(f"attempts at the {one.when}", one.begin_us) for one in history.security if one.begin_us <= start_us]
    return max(done, key=lambda found: found[1], default=None)
