"""The claim about emergencies: each procedure of the release notes, run as a drill under load."""

from __future__ import annotations

from collections.abc import Mapping

from necp_validate.claims.checks.faults.failover import RECOVERY_S, Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import faults_for, figures, not_in_effect, seconds
from necp_validate.claims.checks.faults.recovery import recovery, span_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import ExperimentOutcome, FaultRecord, History

DRILLS: Mapping[str, str] = {
    "core-rollback": "version before scaled up",
    "consumers-paused": "consumers paused, books reconciled, consumers resumed",
    "certificate-renewal": "broker isolated, its certificate renewed",
}
"""What each kind of fault that makes a drill stands for."""


@judges("OPS-ROLLBACK", "each drill of the run went through under load: every step done, nothing lost, back in < 30 s")
def emergency_drills(evidence: Evidence) -> Ruling:
    """The drills of a run; a run of one experiment has one of the three."""
    history = evidence.history
    faults = faults_for(history, "OPS-ROLLBACK")
    drills = [fault for fault in faults if fault.kind in DRILLS]
    if not drills:
        raise NoEvidence("no fault of this run belongs to a drill")
    _, problems, lost = losses(evidence)
    for name in ("conservation", "torn-transaction"):
        finding = evidence.finding(name)
        if finding.verdict is not Verdict.PASS:
            problems.append((finding.verdict, finding.summary))
    for fault in faults:
        problems += _problems(history, fault)
    problems += _steps(history, {fault.experiment for fault in drills})
    names = ", ".join(dict.fromkeys(DRILLS[fault.kind] for fault in drills))
    return ruling(problems, f"{names}; {lost}", "; ".join(f"{f.id}: {f.evidence or f.target}" for f in faults))


def _problems(history: History, fault: FaultRecord) -> list[Problem]:
    """Why one of a drill's faults is no drill, or was not recovered from."""
    if reason := not_in_effect(fault):
        return [(Verdict.UNKNOWN, reason)]
    if fault.end_us is None:
        return [(Verdict.UNKNOWN, f"{fault.id} was still in force at the end")]
    problems: list[Problem] = []
    under_load = figures(history, fault).during
    if fault.kind in DRILLS and (under_load is None or not under_load.acked_eps):
        problems.append((Verdict.UNKNOWN, f"{fault.id}: no event was acknowledged while it lasted"))
    _, end_us = span_of(history, fault)
    limit_s = history.threshold("recovery_s", RECOVERY_S)
    who, took_s = recovery(history, end_us, end_us + 1).slowest
    if took_s >= limit_s:
        problems.append((Verdict.FAIL, f"{fault.id}: {who} came back {seconds(took_s)} after it was undone"))
    return problems


def _steps(history: History, experiments: set[str]) -> list[Problem]:
    """A drill in which a step fails has failed, be it the reconciliation of the books."""
    outcomes: dict[str, ExperimentOutcome] = {}
    for outcome in history.experiments:
        outcomes |= {outcome.experiment: outcome, outcome.title: outcome}
    problems: list[Problem] = []
    for name in sorted(experiments):
        ended = outcomes.get(name)
        if ended is None:
            problems.append((Verdict.UNKNOWN, f"{name}: how it ended was not recorded"))
        elif ended.failed or ended.steady_after is False:
            why = "; ".join((*ended.failed, *ended.missed)[:2])
            problems.append((Verdict.FAIL, f"{name}: {why or 'the steady state did not come back'}"))
        elif ended.status != "completed":
            problems.append((Verdict.UNKNOWN, f"{name}: {ended.status}"))
    return problems
