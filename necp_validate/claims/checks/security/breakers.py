"""Circuit breakers: poison opens one, it stays open for its time, tries, closes; the other domains go on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import limit
from necp_validate.core import Finding
from necp_validate.evidence.inventory import BREAKERS, FAULTS, SENDERS, TIMELINE
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import BreakerSample, FaultRecord, Record

_CONFIGURED = ("breaker_failure", "breaker_recovery_s", "breaker_window_s")
EARLY_S = 1.0
LATE_S = 5.0
"""It is looked at ten times a second, by a busy host: a breaker may seem to act a little early or late."""
_READS_OUT_S = 2.0
_OTHERS = 0.9
_CLEARLY = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One time that a breaker was open.

    Args:
        opened: the first sample that says so.
        tried: the first one after which it had gone half-open; None if it never did.
    """

    opened: BreakerSample
    tried: BreakerSample | None

    @property
    def open_s(self) -> float | None:
        """How long it was open."""
        return None if self.tried is None else (self.tried.t_us - self.opened.t_us) / 1e6


@check(
    "circuit-breaker",
    FAULTS_SUBJECT,
    *(SENDERS, TIMELINE, FAULTS, BREAKERS),
    limits=(*_CONFIGURED, "breaker_closes_s"),
)
def circuit_breaker(history: Record) -> Finding:
    """Breakers under poison that do not open, try or close as configured; other domains that do not go on."""
    name = "circuit-breaker"
    faults = faults_for(history, "SEC-BREAKER")
    if not faults:
        return not_applicable(name, "no breaker was provoked in this run")
    anomalies = Anomalies(name, history)
    measured = []
    for fault in faults:
        domain = fault.target.split(" ")[0]
        by_instance = _samples(history, fault, domain)
        if fault.needs or not by_instance:
            anomalies.doubt(fault.id, fault.needs or f"nobody looked at the circuit breaker of {domain}")
            continue
        _configured(anomalies, history, by_instance)
        opened = {of: found for of, samples in by_instance.items() if (found := openings(samples))}
        if not opened:
            _never_opened(anomalies, history, fault, domain)
            continue
        for of, found in opened.items():
            _went_well(anomalies, history, of, by_instance[of], found)
            measured.append(f"{domain} of {of}: {_words(found)}, {by_instance[of][-1].state} in the end")
        _others_stay_closed(anomalies, history, fault, domain)
        for found in opened.values():
            _meanwhile(anomalies, history, domain, found, alone=len(by_instance) == 1)
    words = "; ".join([*measured, *(f"{fault.id}: {fault.needs or fault.evidence}" for fault in faults)])
    return anomalies.finding(
        clean=words,
        found=words,
        measured="; ".join(measured) or "never open",
        sees=f"{EARLY_S:g} s too short or {LATE_S:g} s too long a time open, or 1 event handled meanwhile",
    )


def _words(found: Sequence[Opening]) -> str:
    texts = []
    for one in found:
        ratio = "?" if one.opened.ratio_at_opening is None else f"{one.opened.ratio_at_opening:.1%}"
        lasted = "to the end" if one.open_s is None else f"for {one.open_s:.1f} s"
        texts.append(f"opened at {ratio} failures, open {lasted}")
    return ", then ".join(texts)


def _samples(history: Record, fault: FaultRecord, domain: str) -> dict[str, list[BreakerSample]]:
    """What was seen of a domain's breakers under a fault, by instance."""
    found: dict[str, list[BreakerSample]] = defaultdict(list)
    for sample in history.breakers:
        within = sample.t_us >= fault.begin_us and (fault.end_us is None or sample.t_us <= fault.end_us)
        if sample.domain == domain and within:
            found[sample.instance].append(sample)
    return found


def openings(samples: Sequence[BreakerSample]) -> list[Opening]:
    """The times that a breaker was open, from its samples; its counters tell of states too short to be seen."""
    found = []
    for at, sample in enumerate(samples):
        if at and sample.openings > samples[at - 1].openings:
            later = samples[at + 1 :] if sample.state == "open" else samples[at:]
            tried = next((one for one in later if one.state != "open" or one.trials > sample.trials), None)
            found.append(Opening(opened=sample, tried=tried))
    return found


def _configured(anomalies: Anomalies, history: Record, by_instance: dict[str, list[BreakerSample]]) -> None:
    claimed = tuple(limit(history, name) for name in _CONFIGURED)
    for name, samples in by_instance.items():
        first = samples[0]
        found = (first.failure_threshold, first.recovery_timeout_s, first.monitoring_window_s)
        if found != claimed:
            words = " / ".join(
                "{:g} of failures, {:g} s open, {:g} s window".format(*each) for each in (found, claimed)
            )
            anomalies.doubt(name, f"it is not configured as claimed: {words}")


def _others_stay_closed(anomalies: Anomalies, history: Record, fault: FaultRecord, domain: str) -> None:
    """A breaker of a domain without poison that opens has taken the others down with the one."""
    for other in history.domains:
        if other == domain:
            continue
        by_instance = _samples(history, fault, other)
        if not by_instance:
            anomalies.doubt(other, f"nobody looked at the circuit breaker of {other}")
        for name, samples in by_instance.items():
            if (times := len(openings(samples))) or any(one.state != "closed" for one in samples):
                where = f"{other} of {name}"
                anomalies.add(max(times, 1), where, f"its breaker opened while {domain} alone had poison")


def _never_opened(anomalies: Anomalies, history: Record, fault: FaultRecord, domain: str) -> None:
    """A breaker that never opens has failed, if there was reason to open by an independent count."""
    threshold = limit(history, "breaker_failure")
    poison = sum(s.acked.count for load in history.drill_loads for s in load.streams if load.planted.get(s.domain))
    end_s = (fault.end_us or fault.begin_us) / 1e6
    good = bad = 0
    for row in history.timeline:
        if row.domain == domain and end_s - limit(history, "breaker_window_s") <= row.t <= end_s:
            bad += row.dead_lettered or 0
            good += (row.processed or 0) + (row.rejected or 0)
    handled = poison + good + bad
    share = (poison + bad) / handled if handled else 0.0
    if share >= min(threshold * _CLEARLY, 1.0):
        words = f"the breaker never opened at {share:.0%} failures by the count of what was sent"
        anomalies.add(1, domain, words)
    else:
        anomalies.doubt(domain, f"the breaker had no reason to open: {share:.0%} failures")


def _went_well(
    anomalies: Anomalies, history: Record, name: str, samples: Sequence[BreakerSample], found: Sequence[Opening]
) -> None:
    """Opened at the threshold, open for its time, tried, closed."""
    last = samples[-1]
    if samples[0].state != "closed":
        anomalies.doubt(name, f"the breaker was {samples[0].state} before the poison")
    for one in found:
        timeout_s = one.opened.recovery_timeout_s
        ratio = one.opened.ratio_at_opening
        if ratio is None:
            anomalies.doubt(name, "at which share of failures it opened was not recorded")
        elif ratio < one.opened.failure_threshold:
            anomalies.add(1, name, f"it opened at {ratio:.1%} failures")
        if one.open_s is None or one.tried is None:
            watched_s = (last.t_us - one.opened.t_us) / 1e6
            words = f"it never tried in the {watched_s:.1f} s after opening"
            if watched_s > timeout_s + LATE_S:
                anomalies.add(1, name, words)
            else:
                anomalies.doubt(name, words)
        elif not timeout_s - EARLY_S <= one.open_s <= timeout_s + LATE_S:
            anomalies.add(1, name, f"it was open for {one.open_s:.1f} s, its recovery timeout is {timeout_s:g} s")
        if one.tried is not None and one.tried.trials <= one.opened.trials:
            anomalies.add(1, name, "it closed without a trial")
    tried = found[-1].tried
    if last.state != "closed" and tried is not None:
        watched_s = (last.t_us - tried.t_us) / 1e6
        words = f"{last.state} {watched_s:.1f} s after its trial began, {last.tried_events:,} events came for it"
        # A trial is decided by events: an instance to which none came is neither right nor wrong.
        if watched_s > limit(history, "breaker_closes_s") and last.tried_events > 0:
            anomalies.add(1, name, words)
        else:
            anomalies.doubt(name, words)


def _meanwhile(anomalies: Anomalies, history: Record, domain: str, found: Sequence[Opening], *, alone: bool) -> None:
    """While it was open the other domains went on, and nothing of its own was handled.

    The latter can be told only of an instance that is alone: with several, the others' partitions go on.
    """
    acked: dict[str, int] = defaultdict(int)
    handled: dict[str, int] = defaultdict(int)
    for one in found:
        if one.tried is None:
            continue
        begin_s, end_s = one.opened.t_us / 1e6 + _READS_OUT_S, one.tried.t_us / 1e6 - EARLY_S
        for row in history.timeline:
            if begin_s <= row.t <= end_s:
                acked[row.domain] += row.acked
                handled[row.domain] += row.ended
    if not acked[domain]:
        anomalies.doubt(domain, "no event came while the breaker was open")
    if alone and handled[domain]:
        anomalies.add(handled[domain], domain, f"{handled[domain]:,} events were handled while the breaker was open")
    for name in sorted(acked.keys() - {domain}):
        if handled[name] < _OTHERS * acked[name]:
            words = f"{handled[name]:,} of {acked[name]:,} events were handled while the breaker of {domain} was open"
            anomalies.add(acked[name] - handled[name], name, words)
