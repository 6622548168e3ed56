"""Checks of the flow in time: silences, backlogs, and whether the load was what was planned."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, need_loads
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.claims.metrics.rates import rates
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.load_workers import gone_workers
from necp_validate.record import History, LoadRecord, Phase

LONGEST_GAP_MS = 5_000.0
DRAIN_S = 10.0
RATE_TOLERANCE = 0.01
_GAP_IN_MEAN_INTERVALS = 20.0
_PLAN_WINDOW_S = 5.0


@check("longest-gap")
def longest_gap(history: History) -> Finding:
    """Silences: times without one successful ack of a domain longer than allowed, outside of faults."""
    loads = need_loads(history)
    if not history.phases:
        raise NoEvidence("no phases were recorded")
    threshold_ms = history.threshold("longest_gap_ms", LONGEST_GAP_MS)
    anomalies = Anomalies("longest-gap", history)
    worst_ms = 0.0
    for phase in history.phases:
        if phase.kind == "fault" or _under_fault(history, phase):
            continue
        for load in loads:
            for domain, counts in load.phases.get(phase.name, {}).items():
                where = f"{domain} in {phase.name}, worker {load.worker}"
                if counts.sent and not counts.acked:
                    anomalies.add(1, where, f"{counts.sent} events sent, not one acknowledged")
                gap_ms = longest_gap_ms(history, phase, load, domain)
                worst_ms = max(worst_ms, gap_ms)
                if gap_ms > max(threshold_ms, _normal_gap_ms(phase, domain)):
                    anomalies.add(1, where, f"{gap_ms / 1000:.1f} s without a successful ack")
    allowed = f"(allowed: {threshold_ms / 1000:g} s; faults left out)"
    return anomalies.finding(
        clean=f"the longest time without a successful ack was {worst_ms / 1000:.2f} s {allowed}",
        found=f"{{count}} silences, the longest {worst_ms / 1000:.1f} s without a successful ack {allowed}",
    )


def longest_gap_ms(history: History, phase: Phase, load: LoadRecord, domain: str) -> float:
    """The longest time in a phase without one successful ack that a worker got of a domain."""
    between = load.max_gap_ms.get(phase.name, {}).get(domain, 0.0)
    return max(between, _last_silence_ms(history, phase, load.worker, domain))


def _under_fault(history: History, phase: Phase) -> bool:
    """Whether a fault was in force in a phase, though it is not named a fault: one that took long to be undone."""
    return any(
        fault.upsets
        and fault.effective_us is not None
        and fault.begin_us < phase.end_us
        and (fault.end_us is None or fault.end_us > phase.start_us)
        for fault in history.faults
    )


def _normal_gap_ms(phase: Phase, domain: str) -> float:
    """A silence that a very low rate makes by itself."""
    eps = phase.target_eps.get(domain, 0.0)
    return _GAP_IN_MEAN_INTERVALS * 1000 / eps if eps else 0.0


def _last_silence_ms(history: History, phase: Phase, worker: str, domain: str) -> float:
    """From the phase's last row with acks to its last with something sent: a silence that no ack ended."""
    last_ack = last_sent = None
    for row in history.timeline:
        if row.worker == worker and row.domain == domain and phase.start_us < row.t * 1e6 <= phase.end_us:
            if row.acked:
                last_ack = row.t
            if row.sent:
                last_sent = row.t
    if last_ack is None or last_sent is None:
        return 0.0
    return max(last_sent - last_ack, 0.0) * 1000


@check("backlog-drain")
def backlog_drain(history: History) -> Finding:
    """A backlog after the surge that was not worked off in time."""
    limit_s = history.threshold("drain_s", DRAIN_S)
    anomalies = Anomalies("backlog-drain", history)
    drain = history.drain
    if drain is None:
        if not history.phases:
            raise NoEvidence("no phases were recorded")
        if history.phases_of("surge"):
            raise NoEvidence("there was a surge, but how its backlog drained was not recorded")
        summary = "there was no surge, so no backlog to work off"
        return Finding(name="backlog-drain", verdict=Verdict.PASS, count=0, summary=summary)
    if drain.drain_s is None:
        anomalies.add(max(drain.lag_at_end, 1), "after the surge", "the backlog was never worked off")
        took = "never"
    else:
        took = f"in {drain.drain_s:.1f} s"
        if drain.drain_s > limit_s:
            anomalies.add(max(drain.lag_at_end, 1), "after the surge", f"worked off {took}")
    backlog = f"the backlog of {drain.lag_at_end:,} events was worked off {took} (allowed: {limit_s:g} s)"
    return anomalies.finding(clean=backlog, found=backlog, needs_all_workers=False)


@check("late-schedule")
def late_schedule(history: History) -> Finding:
    """Phases in which the generator did not send what was scheduled: their figures are not about the plan."""
    loads = need_loads(history)
    if gone := gone_workers(history):
        raise NoEvidence(f"load worker {', '.join(gone)} did not play to the end: the schedule could not be kept")
    if history.run.status == "stopped":
        raise NoEvidence("the run was stopped: what was still to be sent is not late")
    tolerance = history.threshold("rate_tolerance", RATE_TOLERANCE)
    anomalies = Anomalies("late-schedule", history)
    scheduled = sent = 0
    domains = sorted({domain for load in loads for by in load.phases.values() for domain in by})
    for phase in history.phases:
        for domain in domains:
            counts = history.counts(phase.name, [domain])
            scheduled, sent = scheduled + counts.scheduled, sent + counts.sent
            if counts.sent < counts.scheduled * (1 - tolerance):
                detail = f"{counts.sent:,} of {counts.scheduled:,} scheduled events sent"
                anomalies.add(counts.scheduled - counts.sent, f"{domain} in {phase.name}", detail)
                continue
            _compare_with_plan(anomalies, history, phase, domain, tolerance)
    if not scheduled:
        raise NoEvidence("no schedule was recorded")
    return anomalies.finding(
        clean=f"{sent:,} of {scheduled:,} scheduled events were sent, in every phase at the planned rate",
        found=f"{{count}} events short of the schedule ({sent:,} of {scheduled:,} sent)",
    )


def _compare_with_plan(anomalies: Anomalies, history: History, phase: Phase, domain: str, tolerance: float) -> None:
    """A generator that falls behind sends late what it should have sent now: the rate itself shows it."""
    measured = rates(history, phase, [domain])
    if measured is None or measured.window_s < _PLAN_WINDOW_S:
        return
    least = measured.planned_eps * (1 - tolerance) - measured.slack_eps
    if measured.sent_eps < least:
        short = round((measured.planned_eps - measured.sent_eps) * measured.window_s)
        detail = f"sent at {measured.sent_eps:,.0f} EPS, planned {measured.planned_eps:,.0f} EPS"
        anomalies.add(short, f"{domain} in {phase.name}", detail)


@check("complete-run")
def complete_run(history: History) -> Finding:
    """A run that did not come to its end: what was not done cannot have been found wrong."""
    status = history.run.status
    if status == "finished":
        summary = "the run came to its end"
        return Finding(name="complete-run", verdict=Verdict.PASS, count=0, summary=summary)
    raise NoEvidence(f"the run is {status}: {history.run.error or 'it did not come to its end'}")
