"""Alerts: each claimed one fires when its cause is there, goes when the cause has gone, and is silent otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.monitoring.causes import ALERT_CLAIMS, CAUSES, OBS, SEC
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Finding, Verdict
from necp_validate.record import FIRING, FaultRecord, History, MonitoringRecord

MTTR_S = 15 * 60.0
URGENT = frozenset({"critical", "high"})
LAG_ALERT, LAG_LIMIT = "KafkaHighConsumerLag", 100_000
DISK_ALERT, DISK_USED, DISK_LIMIT = "KafkaDiskUsageHigh", "disk-used-percent", 80.0
_GRACE_S = 30.0
"""From when a cause has gone, and has left the range that a rule looks back over, until its alert must have gone."""
_DETECTED_S = 30.0
"""Within which a cause must be noticed, where it lasts for less."""
_EARLY_S = 3.0
"""A fault is felt before it is recorded, by so much at most: by one scrape and one look."""
_MISSED_SHARE = 0.1

Span = tuple[float, float]
"""Epoch microseconds; the end is infinite for what has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provocation:
    """One cause that was made for real, and what became of its alert.

    Args:
        alert: its name.
        fault: the cause.
        already: whether it was firing before.
        fired_us: when it was first seen to fire; None if it never was.
        gone_us: when none of this name fired any more; None if that was not seen.
        must_be_gone_us: by when it must have gone.
        watched_until_us: when the watch ended.
    """

    alert: str
    fault: FaultRecord
    already: bool
    fired_us: int | None
    gone_us: float | None
    must_be_gone_us: float
    watched_until_us: int

    @property
    def from_us(self) -> int:
        """Since when the cause was seen."""
        return self.fault.effective_us or self.fault.begin_us

    @property
    def detection_s(self) -> float | None:
        """From the cause to the alert."""
        return None if self.fired_us is None else max(self.fired_us - self.from_us, 0) / 1e6

    @property
    def recovered_s(self) -> float | None:
        """From the cause until everything was well again, by the alert's word."""
        return None if self.gone_us is None else (self.gone_us - self.from_us) / 1e6

    @property
    def stuck(self) -> bool:
        """Whether it still fired when it must have gone."""
        gone = math.inf if self.gone_us is None else self.gone_us
        return self.fired_us is not None and min(gone, self.watched_until_us) > self.must_be_gone_us

    @property
    def words(self) -> str:
        """What happened, in a few words."""
        if self.fired_us is None:
            return f"{self.alert}: silent under {self.fault.id}"
        went = "still firing when the watch ended" if self.gone_us is None else f"gone {self._gone_s:.1f} s after it"
        return f"{self.alert}: {self.detection_s:.1f} s after {self.fault.id}, {went}"

    @property
    def _gone_s(self) -> float:
        assert self.gone_us is not None
        return max(self.gone_us - (self.fault.end_us or self.from_us), 0) / 1e6


def need_monitoring(history: History) -> MonitoringRecord:
    """The record of the monitoring.

    Raises:
        NoEvidence: nobody watched, or not for the whole of the run.
    """
    record = history.monitoring
    if record is None:
        asked = history.run.config.get("monitoring")
        raise NoEvidence("the monitoring left no record" if asked else "the scenario has no [monitoring]")
    if record.needs:
        raise NoEvidence(record.needs)
    if record.missed > _MISSED_SHARE * max(record.looks, 1):
        raise NoEvidence(f"Prometheus did not answer {record.missed:,} of {record.looks:,} times")
    begin_us = min((phase.start_us for phase in history.phases), default=record.begin_us)
    end_us = max((phase.end_us for phase in history.phases), default=record.end_us)
    if record.begin_us > begin_us or record.end_us < end_us:
        raise NoEvidence("alerts were not watched for the whole of the run")
    return record


def _unwatched(history: History, name: str) -> Finding | None:
    """A finding for runs that nobody was to watch."""
    if history.monitoring is not None or history.run.config.get("monitoring"):
        return None
    return Finding(name=name, verdict=Verdict.PASS, count=0, summary="the scenario has no monitoring")


def firing_spans(history: History) -> dict[str, list[Span]]:
    """When an alert of each name fired, whichever its labels."""
    firing: dict[str, set[object]] = {}
    since: dict[str, int] = {}
    found: dict[str, list[Span]] = {}
    for row in history.alerts:
        own = firing.setdefault(row.name, set())
        before = bool(own)
        own.discard(row.key)
        if row.state == FIRING:
            own.add(row.key)
        if own and not before:
            since[row.name] = row.t_us
        elif before and not own:
            found.setdefault(row.name, []).append((since.pop(row.name), row.t_us))
    for name, begin_us in since.items():
        found.setdefault(name, []).append((begin_us, math.inf))
    return found


def _window_us(record: MonitoringRecord, name: str) -> float:
    return max((rule.window_s for rule in record.rules if rule.name == name), default=0.0) * 1e6


def _fault_span(fault: FaultRecord) -> Span:
    return fault.begin_us, math.inf if fault.end_us is None else fault.end_us


def provocations(history: History, record: MonitoringRecord) -> list[Provocation]:
    """Every cause that was made for the sake of an alert, with what became of it."""
    spans = firing_spans(history)
    found = []
    for fault in history.faults:
        if fault.effective_us is None or not ALERT_CLAIMS & set(fault.claims):
            continue
        for name, cause in CAUSES.items():
            if fault.kind in cause.raised_by and set(cause.claims) & set(fault.claims):
                found.append(_provocation(history, name, fault, spans.get(name, []), record))
    return found


def _provocation(
    history: History, name: str, fault: FaultRecord, spans: Iterable[Span], record: MonitoringRecord
) -> Provocation:
    begin_us, end_us = _fault_span(fault)
    noticed_by_us = max(end_us, begin_us + _DETECTED_S * 1e6) + _EARLY_S * 1e6
    already = any(start < begin_us - _EARLY_S * 1e6 and end > begin_us for start, end in spans)
    mine = [span for span in spans if begin_us - _EARLY_S * 1e6 <= span[0] <= noticed_by_us]
    fired_us = None if not mine else round(mine[0][0])
    # One that comes and goes while its cause is there is one alert: what counts is when it was gone for good.
    last = [end for start, end in mine if start <= end_us]
    gone_us = max(last, default=mine[0][1] if mine else math.inf)
    return Provocation(
        alert=name,
        fault=fault,
        already=already,
        fired_us=fired_us,
        gone_us=None if math.isinf(gone_us) else gone_us,
        must_be_gone_us=_cause_gone_us(history, name, end_us) + _window_us(record, name) + _GRACE_S * 1e6,
        watched_until_us=record.end_us,
    )


def _cause_gone_us(history: History, name: str, end_us: float) -> float:
    """When a cause had gone: a backlog goes by and by when its cause is over, as the suite's own samples show."""
    if name != LAG_ALERT:
        return end_us
    high = [row.t * 1e6 for row in history.lag if row.lag is not None and row.lag > LAG_LIMIT]
    return max([end_us, *(t for t in high if t > end_us)])


def _explained(history: History, record: MonitoringRecord, name: str, span: Span) -> bool:
    """Whether a cause was there when an alert began to fire, or had been within what its rule looks back over."""
    cause = CAUSES.get(name)
    if cause is None:
        return False
    causes = [_fault_span(fault) for fault in history.faults if cause.explains(fault.kind)]
    if cause.rounds:
        causes += [(one.begin_us, one.end_us) for one in history.security]
    if name == DISK_ALERT and any(one.what == DISK_USED and one.value > DISK_LIMIT for one in record.counted):
        return True  # the disk of this machine is that full
    after_us = _window_us(record, name) + _GRACE_S * 1e6
    return any(begin - _EARLY_S * 1e6 <= span[0] <= end + after_us for begin, end in causes)


@check("alert-without-cause")
def alert_without_cause(history: History) -> Finding:
    """Alerts that fired, and nothing had happened that they are for; or that went on when it was over."""
    name = "alert-without-cause"
    if (none := _unwatched(history, name)) is not None:
        return none
    record = need_monitoring(history)
    anomalies = Anomalies(name, history)
    spans = firing_spans(history)
    for alert, own in sorted(spans.items()):
        for span in own:
            if not _explained(history, record, alert, span):
                anomalies.add(1, alert, f"it began to fire {_clock(history, span[0])}, and nothing explains it")
    for one in provocations(history, record):
        if one.stuck:
            anomalies.add(
                1, one.alert, f"it still fired {_GRACE_S:g} s after {one.fault.id} was over and out of its range"
            )
    watched_s = (record.end_us - record.begin_us) / 1e6
    fired = sum(len(own) for own in spans.values())
    return anomalies.finding(
        clean=f"{fired} alerts in {watched_s:,.0f} s, each with its cause; {len(record.rules)} rules",
        found="{count} alerts fired without their cause",
        needs_all_workers=False,
    )


def _clock(history: History, at_us: float) -> str:
    begin_us = min((phase.start_us for phase in history.phases), default=history.run.started_us or 0)
    seconds = (at_us - begin_us) / 1e6
    return f"{abs(seconds):.0f} s {'after' if seconds >= 0 else 'before'} the load began"


@check("alert-missed")
def alert_missed(history: History) -> Finding:
    """Causes that were there and raised no alert; alerts that are claimed and have no rule that works."""
    name = "alert-missed"
    if (none := _unwatched(history, name)) is not None:
        return none
    record = need_monitoring(history)
    anomalies = Anomalies(name, history)
    working = {rule.name for rule in record.rules if rule.healthy}
    for alert in CAUSES:
        if alert not in working:
            known = any(rule.name == alert for rule in record.rules)
            anomalies.add(1, alert, "its rule cannot be evaluated" if known else "there is no rule of this name")
    causes = provocations(history, record)
    for one in causes:
        if one.fired_us is None and not one.already:
            anomalies.add(1, one.alert, f"silent under {one.fault.id}: {one.fault.evidence}")
    return anomalies.finding(
        clean=f"{len(causes)} causes were made, and each raised its alert",
        found="{count} alerts were missed",
        needs_all_workers=False,
    )


def _judge(evidence: Evidence, claim: str) -> Ruling:
    """Every alert of a claim: raised by its cause, and silent without."""
    history = evidence.history
    record = need_monitoring(history)
    claimed = [name for name, cause in CAUSES.items() if claim in cause.claims]
    made = [one for one in provocations(history, record) if one.alert in claimed]
    shown = [one for one in made if one.fired_us is not None]
    findings = [evidence.finding("alert-missed"), evidence.finding("alert-without-cause")]
    wrong = [example for finding in findings for example in finding.examples if example.where in claimed]
    missing = [name for name in claimed if name not in {one.alert for one in shown}]
    slowest = max((one.detection_s or 0.0 for one in shown), default=0.0)
    measured = f"{len(claimed) - len(missing)} of {len(claimed)} alerts raised by their cause"
    if shown:
        measured += f", the slowest after {slowest:.1f} s"
    told = "; ".join(one.words for one in made)
    if wrong:
        text = "; ".join(f"{one.where}: {one.detail}" for one in wrong[:3])
        return Ruling(verdict=Verdict.FAIL, measured=measured, evidence=f"{text}; {told}")
    if missing:
        why = "; ".join(f"{name}: {_why_not(history, name)}" for name in missing)
        return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=f"{why}; {told}" if told else why)
    return Ruling(verdict=Verdict.PASS, measured=measured, evidence=f"Prometheus {record.prometheus}; {told}")


def _why_not(history: History, name: str) -> str:
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


@judges(OBS, "each of the five alerts fires when its cause is made, and is silent without it")
def operational_alerts(evidence: Evidence) -> Ruling:
    """The alerting rules of the release notes."""
    return _judge(evidence, OBS)


@judges(SEC, "each of the five security alerts fires when its cause is made, and is silent without it")
def security_alerts(evidence: Evidence) -> Ruling:
    """The critical security alerts of the release notes."""
    return _judge(evidence, SEC)


@judges("MTTR", "every incident of severity critical or high: from its cause to its alert to its end in < 15 min")
def mean_time_to_recover(evidence: Evidence) -> Ruling:
    """From the fault until the alert has come and gone; who heals is the experiment."""
    history = evidence.history
    record = need_monitoring(history)
    severity = {rule.name: rule.severity for rule in record.rules}
    urgent = [one for one in provocations(history, record) if severity.get(one.alert) in URGENT and not one.already]
    if not urgent:
        raise NoEvidence("no incident of severity critical or high was made in this run")
    unseen = [one.words for one in urgent if one.recovered_s is None]
    times = [one.recovered_s for one in urgent if one.recovered_s is not None]
    limit_s = history.threshold("mttr_s", MTTR_S)
    told = "; ".join(one.words for one in urgent)
    if not times:
        raise NoEvidence(f"no incident was seen to end: {told}")
    mean_s, longest_s = sum(times) / len(times), max(times)
    verdict = Verdict.FAIL if longest_s >= limit_s else Verdict.UNKNOWN if unseen else Verdict.PASS
    return Ruling(
        verdict=verdict,
        measured=f"mean {mean_s:.0f} s, longest {longest_s:.0f} s over {len(times)} of {len(urgent)} incidents",
        evidence=f"{told}; the experiment heals where an operator would: the time until somebody acts is not in it",
    )
