"""Incidents: causes that were made for the sake of an alert, and what became of the alert."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.claims.metrics.alert_causes import ALERT_CLAIMS, CAUSES
from necp_validate.claims.metrics.measures import Measure, Measurement, Question, Scope, add
from necp_validate.claims.metrics.units import TIME
from necp_validate.claims.needs import recorded
from necp_validate.evidence.inventory import FAULTS, MONITORING
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FIRING, FaultRecord, MonitoringRecord, Record, parts

URGENT = frozenset({"critical", "high"})
LAG_ALERT, LAG_LIMIT = "KafkaHighConsumerLag", 100_000
DISK_ALERT, DISK_USED, DISK_LIMIT = "KafkaDiskUsageHigh", "disk-used-percent", 80.0
GRACE_S = 30.0
"""From when a cause has gone, and has left the range that a rule looks back over, until its alert must have gone."""
_DETECTED_S = 30.0
"""Within which a cause must be noticed, where it lasts for less."""
_EARLY_S = 3.0
"""A fault is felt before it is recorded, by so much at most: by one scrape and one look."""

Span = tuple[float, float]
"""Epoch microseconds; the end is infinite for what has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause that was made for real, and what became of its alert.

    Args:
        alert: its name.
        fault: the cause.
        already: whether it was firing before.
        fired_us: when it was first seen to fire; None if it never was.
        gone_us: when none of this name fired any more; None if that was not seen.
        watched_until_us: when the watch ended.
    """

    alert: str
    fault: FaultRecord
    already: bool
    fired_us: int | None
    gone_us: float | None
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
    def words(self) -> str:
        """What happened, in a few words."""
        if self.fired_us is None:
            return f"{self.alert}: silent under {self.fault.id}"
        if self.gone_us is None:
            return f"{self.alert}: {self.detection_s:.1f} s after {self.fault.id}, still firing when the watch ended"
        gone_s = max(self.gone_us - (self.fault.end_us or self.from_us), 0) / 1e6
        return f"{self.alert}: {self.detection_s:.1f} s after {self.fault.id}, gone {gone_s:.1f} s after it"


def need_monitoring(history: Record) -> MonitoringRecord:
    """The record of the monitoring.

    Raises:
        NoEvidence: nobody watched.
    """
    record = history.monitoring
    if record is None:
        raise NoEvidence("the monitoring left no record")
    if record.needs:
        raise NoEvidence(record.needs)
    return record


def firing_spans(history: Record) -> dict[str, list[Span]]:
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


def window_us(record: MonitoringRecord, name: str) -> float:
    """The longest range that the rules of an alert look back over."""
    return (
        max(
            (rule.window_s for rule in recorded(record.rules, "rules", parts.MONITORING) if rule.name == name),
            default=0.0,
        )
        * 1e6
    )


def _fault_span(fault: FaultRecord) -> Span:
    return fault.begin_us, math.inf if fault.end_us is None else fault.end_us


def causes_of(history: Record, name: str) -> list[Span]:
    """When there was a cause for an alert: faults that raise or explain it, and the suite's own bad attempts."""
    cause = CAUSES.get(name)
    if cause is None:
        return []
    found = [_fault_span(fault) for fault in history.faults if cause.explains(fault.kind)]
    if cause.rounds:
        found += [(one.begin_us, one.end_us) for one in history.security]
    if name == LAG_ALERT:
        # A backlog goes by and by when its cause is over, as the suite's own samples show.
        high = [row.t * 1e6 for row in history.lag if row.lag is not None and row.lag > LAG_LIMIT]
        found += [(at_us, at_us) for at_us in high]
    return sorted(found)


def _lasts_us(record: MonitoringRecord, name: str) -> float:
    """So long an alert may go on when its cause has gone."""
    return window_us(record, name) + GRACE_S * 1e6


def _near(history: Record, record: MonitoringRecord, name: str, span: Span) -> list[Span]:
    """The causes that were there when an alert began to fire, or had been within what its rule looks back over."""
    after_us = _lasts_us(record, name)
    return [
        (begin, end) for begin, end in causes_of(history, name) if begin - _EARLY_S * 1e6 <= span[0] <= end + after_us
    ]


def _disk_is_full(record: MonitoringRecord, name: str) -> bool:
    """Whether the alert is about the disk of this machine, and that is so full."""
    return name == DISK_ALERT and any(one.what == DISK_USED and one.value > DISK_LIMIT for one in record.counted or ())


def explained(history: Record, record: MonitoringRecord, name: str, span: Span) -> bool:
    """Whether a cause was there when an alert began to fire, or had been within what its rule looks back over."""
    return _disk_is_full(record, name) or bool(_near(history, record, name, span))


def stuck(history: Record, record: MonitoringRecord, name: str, span: Span) -> bool:
    """Whether an alert with a cause still fired when the last of its causes in a row was over and out of its range."""
    if _disk_is_full(record, name):
        return False
    lasts_us = _lasts_us(record, name)
    gone_us = max((end for _, end in _near(history, record, name, span)), default=math.inf)
    for begin, end in causes_of(history, name):
        if begin <= gone_us + lasts_us:  # the alert may fire on from one cause to the next
            gone_us = max(gone_us, end)
    watched_until_us = recorded(record.end_us, "end_us", parts.MONITORING)
    return min(span[1], watched_until_us) > gone_us + lasts_us


def incidents(history: Record, record: MonitoringRecord) -> list[Incident]:
    """Every cause that was made for the sake of an alert, with what became of it."""
    spans = firing_spans(history)
    found = []
    for fault in history.faults:
        if fault.effective_us is None or not ALERT_CLAIMS & set(fault.claims):
            continue
        for name, cause in CAUSES.items():
            if fault.kind in cause.raised_by and set(cause.claims) & set(fault.claims):
                found.append(_incident(name, fault, spans.get(name, []), record))
    return found


def _incident(name: str, fault: FaultRecord, spans: Iterable[Span], record: MonitoringRecord) -> Incident:
    begin_us, end_us = _fault_span(fault)
    noticed_by_us = max(end_us, begin_us + _DETECTED_S * 1e6) + _EARLY_S * 1e6
    already = any(start < begin_us - _EARLY_S * 1e6 and end > begin_us for start, end in spans)
    mine = [span for span in spans if begin_us - _EARLY_S * 1e6 <= span[0] <= noticed_by_us]
    fired_us = None if not mine else round(mine[0][0])
    # One that comes and goes while its cause is there is one alert: what counts is when it was gone for good.
    last = [end for start, end in mine if start <= end_us]
    gone_us = max(last, default=mine[0][1] if mine else math.inf)
    return Incident(
        alert=name,
        fault=fault,
        already=already,
        fired_us=fired_us,
        gone_us=None if math.isinf(gone_us) else gone_us,
        watched_until_us=recorded(record.end_us, "end_us", parts.MONITORING),
    )


def _time_to_recover(asked: Question) -> Measurement:
    """From the fault until the alert has come and gone, the longest; who heals is the experiment."""
    record = need_monitoring(asked.history)
    severity = {rule.name: rule.severity for rule in recorded(record.rules, "rules", parts.MONITORING)}
    urgent = [one for one in incidents(asked.history, record) if severity.get(one.alert) in URGENT and not one.already]
    if not urgent:
        raise NoEvidence("no incident of severity critical or high was made in this run")
    told = "; ".join(one.words for one in urgent)
    silent = [one.words for one in urgent if one.fired_us is None]
    if silent:
        raise NoEvidence(f"an incident was not noticed, so when it was over is not known: {'; '.join(silent)}")
    seen = [
        (one.watched_until_us - one.from_us) / 1e6 if one.recovered_s is None else one.recovered_s for one in urgent
    ]
    open_ = any(one.recovered_s is None for one in urgent)
    notes = (
        f"mean {sum(seen) / len(seen):.0f} s",
        told,
        "the experiment heals where an operator would: the time until somebody acts is not in it",
    )
    longest_ms = 1000 * max(seen)
    return Measurement(
        low=longest_ms,
        high=math.inf if open_ else longest_ms,
        samples=len(urgent),
        of="incidents",
        notes=notes,
        sees="one incident whose alert goes a second too late",
    )


add(
    Measure(
        name="time_to_recover",
        about="from the cause of an incident of severity critical or high to the end of its alert, the longest",
        dimension=TIME,
        measure=_time_to_recover,
        scope=Scope.RUN,
        by_domain=False,
        evidence=(MONITORING, FAULTS),
        label="longest",
    )
)
