"""Checks of the flow in time: silences, backlogs, and whether the load was what was planned."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.rates import rates, round_events
from necp_validate.claims.metrics.silences import longest_gap_ms
from necp_validate.claims.needs import need_loads, phases_of, recorded
from necp_validate.claims.saturation import LIMIT_NAMES, saturation
from necp_validate.core import Finding
from necp_validate.evidence.inventory import DRAIN, EXPLAINING_FAULTS, PHASES, SENDERS, TIMELINE, WORKERS
from necp_validate.evidence.load_workers import gone_workers
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import BACKLOG, LOAD
from necp_validate.record import LoadRecord, Phase, Record, parts

_GAP_IN_MEAN_INTERVALS = 20.0
_GAP_IN_ROUNDS = 2.0
_PLAN_WINDOW_S = 5.0


@check("longest-gap", LOAD, PHASES, SENDERS, TIMELINE, EXPLAINING_FAULTS, limits=("longest_gap_ms",))
def longest_gap(history: Record) -> Finding:
    """Silences outside of faults: no ack of a domain, or no outcome while events wait for one."""
    need_loads(history)
    loads = history.known_loads
    limit_ms = limit(history, "longest_gap_ms")
    anomalies = Anomalies("longest-gap", history)
    worst_ms = worst_end_ms = 0.0
    for phase in history.phases:
        if phase.kind == "fault" or _under_fault(history, phase):
            continue
        for load in loads:
            for domain, counts in phases_of(load).get(phase.name, {}).items():
                where = f"{domain} in {phase.name}, worker {load.worker}"
                allowed_ms = max(limit_ms, _normal_gap_ms(history, phase, domain))
                if counts.sent and not counts.acked:
                    anomalies.add(1, where, f"{counts.sent} events sent, not one acknowledged")
                gap_ms = longest_gap_ms(history, phase, load, domain)
                worst_ms = max(worst_ms, gap_ms)
                if gap_ms > allowed_ms:
                    anomalies.add(1, where, f"{gap_ms / 1000:.1f} s without a successful ack")
                for silent_ms in _silent_ends_ms(history, phase, load, domain):
                    worst_end_ms = max(worst_end_ms, silent_ms)
                    if silent_ms > allowed_ms:
                        anomalies.add(
                            1, where, f"{silent_ms / 1000:.1f} s in which no event ended, and some were acked"
                        )
    allowed = f"(allowed: {limit_ms / 1000:g} s; faults left out)"
    longest = f"{worst_ms / 1000:.2f} s without an ack"
    if history.sees_ends(history.domains):
        ends = f"{worst_end_ms / 1000:.1f} s" if worst_end_ms else "less than 1 s"
        longest += f", {ends} without an outcome"
    return anomalies.finding(
        clean=f"the longest silences were {longest} {allowed}",
        found=f"{{count}} silences, the longest {longest} {allowed}",
        sees=f"a silence of {limit_ms / 1000:g} s of one domain",
    )


def _silent_ends_ms(history: Record, phase: Phase, load: LoadRecord, domain: str) -> Iterator[float]:
    """How much of each silence of outcomes lies in a phase; one that never ended lasts until the drain was given up."""
    if load.outcome_gaps is None:
        if history.sees_ends([domain]):
            raise NoEvidence(f"times in which no event ended were not recorded (history/load-{load.worker}.json)")
        return
    last_s = max((row.t for row in history.timeline if row.worker == load.worker), default=phase.end_us / 1e6)
    for gap in load.outcome_gaps:
        end_us = last_s * 1e6 if gap.to_us is None else gap.to_us
        if gap.domain == domain and phase.start_us <= gap.from_us < phase.end_us:
            yield max(end_us - gap.from_us, 0.0) / 1000


def _under_fault(history: Record, phase: Phase) -> bool:
    """Whether a fault was in force in a phase, though it is not named a fault: one that took long to be undone."""
    return any(
        fault.upsets
        and fault.effective_us is not None
        and fault.begin_us < phase.end_us
        and (fault.end_us is None or fault.end_us > phase.start_us)
        for fault in history.faults
    )


def _normal_gap_ms(history: Record, phase: Phase, domain: str) -> float:
    """A silence that a very low rate makes by itself, or servers that all send at the same time."""
    eps = phase.target_eps.get(domain, 0.0)
    events = max(_GAP_IN_MEAN_INTERVALS, _GAP_IN_ROUNDS * round_events(history, phase, domain))
    return events * 1000 / eps if eps else 0.0


@check("backlog-drain", BACKLOG, PHASES, SENDERS, DRAIN, limits=("drain_s",))
def backlog_drain(history: Record) -> Finding:
    """A backlog of the busiest phase that was not worked off in time."""
    drain = history.drain
    if drain is None:
        raise NoEvidence("how the backlog drained was not recorded")
    phase = next((one for one in history.phases if one.end_us == drain.phase_end_us), None)
    if phase is None:
        raise NoEvidence("the drain was measured from the end of no phase (history/drain.json: phase_end_us)")
    limit_s = limit(history, "drain_s", phase.kind)
    anomalies = Anomalies("backlog-drain", history)
    where = f"after {phase.name}"
    busiest = max(history.phases, key=lambda one: (sum(one.target_eps.values()), one.end_us))
    if busiest is not phase:
        anomalies.doubt(where, f"{busiest.name} is busier, or as busy and later (history/phases.json)")
    if drain.drain_s is None:
        anomalies.add(max(drain.lag_at_end, 1), where, "the backlog was never worked off")
        took = "never"
    else:
        took = f"in {drain.drain_s:.1f} s"
        if drain.drain_s > limit_s:
            anomalies.add(max(drain.lag_at_end, 1), where, f"worked off {took}")
    backlog = f"the backlog of {drain.lag_at_end:,} events {where} was worked off {took} (allowed: {limit_s:g} s)"
    return anomalies.finding(clean=backlog, found=backlog, sees=f"1 event that ends {limit_s:g} s after {phase.name}")


@check("late-schedule", LOAD, PHASES, SENDERS, TIMELINE, WORKERS, limits=("rate_tolerance", *LIMIT_NAMES))
def late_schedule(history: Record) -> Finding:
    """Phases in which the generator did not send what was scheduled: their figures are not about the plan.

    On a saturated machine it could not: then nothing is known of the plan, and the target has not failed.
    """
    loads = need_loads(history)
    if gone := gone_workers(history):
        raise NoEvidence(f"load worker {', '.join(gone)} did not play to the end: the schedule could not be kept")
    if history.run.status == "stopped":
        raise NoEvidence("the run was stopped: what was still to be sent is not late")
    tolerance = limit(history, "rate_tolerance")
    anomalies = Anomalies("late-schedule", history)
    scheduled = sent = 0
    domains = sorted({domain for load in loads for by in phases_of(load).values() for domain in by})
    for phase in history.phases:
        for domain in domains:
            counts = history.counts(phase.name, [domain])
            offered = recorded(counts.offered, "refused", parts.LOADS, "*")
            scheduled, sent = scheduled + counts.scheduled, sent + offered
            if offered < counts.scheduled * (1 - tolerance):
                detail = f"{offered:,} of {counts.scheduled:,} scheduled events sent"
                _short(anomalies, history, phase, domain, counts.scheduled - offered, detail)
                continue
            _compare_with_plan(anomalies, history, phase, domain, tolerance)
    if not scheduled:
        raise NoEvidence("no schedule was recorded")
    return anomalies.finding(
        clean=f"{sent:,} of {scheduled:,} scheduled events were sent, in every phase at the planned rate",
        found=f"{{count}} events short of the schedule ({sent:,} of {scheduled:,} sent)",
        sees=f"{tolerance:.0%} of the events of a domain in a phase not sent, or sent too late",
    )


def _compare_with_plan(anomalies: Anomalies, history: Record, phase: Phase, domain: str, tolerance: float) -> None:
    """A generator that falls behind sends late what it should have sent now: the rate itself shows it."""
    measured = rates(history, phase, [domain])
    if measured is None or measured.window_s < _PLAN_WINDOW_S:
        return
    least = measured.planned_eps * (1 - tolerance) - measured.slack_eps
    if measured.sent_eps < least:
        short = round((measured.planned_eps - measured.sent_eps) * measured.window_s)
        detail = f"sent at {measured.sent_eps:,.0f} EPS, planned {measured.planned_eps:,.0f} EPS"
        _short(anomalies, history, phase, domain, short, detail)


def _short(anomalies: Anomalies, history: Record, phase: Phase, domain: str, short: int, detail: str) -> None:
    where = f"{domain} in {phase.name}"
    if busy := saturation(history, phase).busy:
        anomalies.doubt(where, f"{detail}, but {busy}")
    else:
        anomalies.add(short, where, detail)
