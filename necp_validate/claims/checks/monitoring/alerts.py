"""Alerts: each claimed one fires when its cause is there, goes when the cause has gone, and is silent otherwise."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.alert_causes import ALERT_CLAIMS, CAUSES, OBS, SEC
from necp_validate.claims.metrics.incidents import (
    GRACE_S,
    Incident,
    explained,
    firing_spans,
    incidents,
    need_monitoring,
    stuck,
)
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EXPLAINING_FAULTS, EXPLAINING_LAG, EXPLAINING_ROUNDS, FAULTS, MONITORING
from necp_validate.evidence.subjects import MONITORING as MONITORING_SUBJECT
from necp_validate.record import MonitoringRecord, Record, parts

_AROUND_S = 15.0
"""So long before an alert fires, the host may have been too busy to answer what it looks at."""


@check(
    "alert-without-cause",
    MONITORING_SUBJECT,
    MONITORING,
    EXPLAINING_FAULTS,
    EXPLAINING_ROUNDS,
    EXPLAINING_LAG,
    limits=("host_busy_pct",),
)
def alert_without_cause(history: Record) -> Finding:
    """Alerts that fired, and nothing had happened that they are for; or that went on when it was over."""
    record = need_monitoring(history)
    anomalies = Anomalies("alert-without-cause", history)
    _without_cause(anomalies, history, record)
    begin_us = recorded(record.begin_us, "begin_us", parts.MONITORING)
    watched_s = (recorded(record.end_us, "end_us", parts.MONITORING) - begin_us) / 1e6
    rules = recorded(record.rules, "rules", parts.MONITORING)
    fired = sum(len(own) for own in firing_spans(history).values())
    return anomalies.finding(
        clean=f"{fired} alerts in {watched_s:,.0f} s, each with its cause; {len(rules)} rules",
        found="{count} alerts fired without their cause",
        sees="an alert that fires for a second, looked for once a second",
    )


def _without_cause(anomalies: Anomalies, history: Record, record: MonitoringRecord) -> None:
    for alert, own in sorted(firing_spans(history).items()):
        for span in own:
            began = f"it began to fire {_clock(history, span[0])}"
            if explained(history, record, alert, span):
                if stuck(history, record, alert, span):
                    words = f"still fired {GRACE_S:g} s after its last cause was over and out of its range"
                    anomalies.add(1, alert, f"{began}, and {words}")
            elif busy := _busy(history, span[0] / 1e6):
                words = f"nothing explains it but the host, which was {busy:.0f}% busy"
                anomalies.doubt(alert, f"{began}, and {words}")
            else:
                anomalies.add(1, alert, f"{began}, and nothing explains it")


def _busy(history: Record, at_s: float) -> float:
    """How busy the host was before a time, if it was saturated: what is not scraped in time counts as down; else 0."""
    around = [
        one.cpu_busy_pct
        for one in history.host
        if one.cpu_busy_pct is not None and at_s - _AROUND_S <= one.t <= at_s + 1.0
    ]
    busy = sum(around) / len(around) if around else 0.0
    return busy if busy >= limit(history, "host_busy_pct") else 0.0


def _clock(history: Record, at_us: float) -> str:
    begin_us = min((phase.start_us for phase in history.phases), default=history.run.started_us or 0)
    seconds = (at_us - begin_us) / 1e6
    return f"{abs(seconds):.0f} s {'after' if seconds >= 0 else 'before'} the load began"


@check("alert-missed", MONITORING_SUBJECT, MONITORING, FAULTS)
def alert_missed(history: Record) -> Finding:
    """Causes that were there and raised no alert; alerts that are claimed and have no rule that works."""
    record = need_monitoring(history)
    anomalies = Anomalies("alert-missed", history)
    _missed(anomalies, history, record)
    causes = incidents(history, record)
    words = f"{len(causes)} causes were made, and each raised its alert" if causes else "no cause was made on purpose"
    return anomalies.finding(
        clean=f"{words}; every claimed alert has a rule that works",
        found="{count} alerts were missed",
        sees="one rule that is not loaded, or one cause without its alert",
    )


def _missed(anomalies: Anomalies, history: Record, record: MonitoringRecord) -> None:
    rules = recorded(record.rules, "rules", parts.MONITORING)
    working = {rule.name for rule in rules if rule.healthy}
    for alert in CAUSES:
        if alert not in working:
            known = any(rule.name == alert for rule in rules)
            anomalies.add(1, alert, "its rule cannot be evaluated" if known else "there is no rule of this name")
    for one in incidents(history, record):
        if one.fired_us is None and not one.already:
            anomalies.add(1, one.alert, f"silent under {one.fault.id}: {one.fault.evidence}")


def _claimed(history: Record, name: str, claim: str) -> Finding:
    """Every alert of a claim: raised by its cause, and silent without."""
    record = need_monitoring(history)
    claimed = [alert for alert, cause in CAUSES.items() if claim in cause.claims]
    made = [one for one in incidents(history, record) if one.alert in claimed]
    raised = {one.alert: one for one in made if one.fired_us is not None and not one.already}
    measured = _measured(claimed, raised)
    told = "; ".join(one.words for one in made)
    all_of_them = Anomalies(name, history)
    _missed(all_of_them, history, record)
    _without_cause(all_of_them, history, record)
    anomalies = all_of_them.only(claimed)
    missing = [alert for alert in claimed if alert not in raised]
    if missing and not anomalies.count:
        why = "; ".join(f"{alert}: {_why_not(history, alert)}" for alert in missing)
        return not_applicable(name, f"{measured}; {why}" + (f"; {told}" if told else ""))
    return anomalies.finding(
        clean=f"Prometheus {record.prometheus}: {told}",
        found=f"{{count}} alerts wrong: {told}",
        measured=measured,
        sees=f"one of {len(claimed)} alerts that is silent, or fires {GRACE_S:g} s too long",
    )


def _measured(claimed: list[str], raised: dict[str, Incident]) -> str:
    slowest = max((one.detection_s or 0.0 for one in raised.values()), default=0.0)
    after = f", the slowest after {slowest:.1f} s" if raised else ""
    return f"{len(raised)} of {len(claimed)} alerts raised by their cause{after}"


def _why_not(history: Record, name: str) -> str:
    """Why an alert's cause proves nothing in this run."""
    kinds = CAUSES[name].raised_by
    faults = [fault for fault in history.faults if fault.kind in kinds and ALERT_CLAIMS & set(fault.claims)]
    if not faults:
        return "nothing was done that must raise it"
    if needs := next((fault.needs for fault in faults if fault.needs), ""):
        return needs
    if all(fault.effective_us is None for fault in faults):
        return f"{faults[0].id} was never seen to take effect"
    return "it was firing before its cause was made"


@check(
    "operational-alerts",
    MONITORING_SUBJECT,
    MONITORING,
    EXPLAINING_FAULTS,
    EXPLAINING_ROUNDS,
    EXPLAINING_LAG,
    limits=("host_busy_pct",),
)
def operational_alerts(history: Record) -> Finding:
    """The operational alerts of the release notes: each raised by its cause, gone when that is over."""
    return _claimed(history, "operational-alerts", OBS)


@check(
    "security-alerts", MONITORING_SUBJECT, MONITORING, EXPLAINING_FAULTS, EXPLAINING_ROUNDS, limits=("host_busy_pct",)
)
def security_alerts(history: Record) -> Finding:
    """The security alerts of the release notes: each raised by its cause, gone when that is over."""
    return _claimed(history, "security-alerts", SEC)
