"""Emergencies: each procedure of the release notes, run as a drill under load."""

from __future__ import annotations

from collections.abc import Mapping

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.faults.experiments import back_after
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.faults import figures, not_in_effect
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EXPERIMENTS, FAULTS, GROUPS, PHASES, SENDERS, TIMELINE
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import FaultRecord, Record

DRILLS: Mapping[str, str] = {
    "core-rollback": "version before scaled up",
    "consumers-paused": "consumers paused, books reconciled, consumers resumed",
    "certificate-renewal": "broker isolated, its certificate renewed",
}
"""What each kind of fault that makes a drill stands for."""


@check(
    "emergency-drill", FAULTS_SUBJECT, PHASES, SENDERS, TIMELINE, GROUPS, EXPERIMENTS, FAULTS, limits=("recovery_s",)
)
def emergency_drill(history: Record) -> Finding:
    """Drills of which a step failed, or after which not everything came back; a run of one experiment has one drill."""
    faults = faults_for(history, "OPS-ROLLBACK")
    drills = [fault for fault in faults if fault.kind in DRILLS]
    if not drills:
        return not_applicable("emergency-drill", "no fault of this run belongs to a drill")
    anomalies = Anomalies("emergency-drill", history)
    for fault in faults:
        _judge(anomalies, history, fault)
    for name in sorted({fault.experiment for fault in drills}):
        _steps(anomalies, history, name)
    names = ", ".join(dict.fromkeys(DRILLS[fault.kind] for fault in drills))
    told = "; ".join(f"{fault.id}: {fault.evidence or fault.target}" for fault in faults)
    return anomalies.finding(
        clean=f"{names}: every step done; {told}",
        found=f"{names}: {{count}} steps failed; {told}",
        measured=names,
        sees=f"one failed step, or one client that is not back {limit(history, 'recovery_s'):g} s after a drill",
    )


def _judge(anomalies: Anomalies, history: Record, fault: FaultRecord) -> None:
    """Why one of a drill's faults is no drill, or was not recovered from."""
    if reason := not_in_effect(fault):
        anomalies.doubt(fault.id, reason)
        return
    if fault.end_us is None:
        anomalies.doubt(fault.id, "still in force at the end")
        return
    under_load = figures(history, fault).during
    if fault.kind in DRILLS and (under_load is None or not under_load.acked_eps):
        anomalies.doubt(fault.id, "no event was acknowledged while it lasted")
    back_after(anomalies, history, fault)


def _steps(anomalies: Anomalies, history: Record, experiment: str) -> None:
    """A drill in which a step fails has failed, be it the reconciliation of the books."""
    ended = history.experiments_by_name.get(experiment)
    if ended is None:
        anomalies.doubt(experiment, "how it ended was not recorded")
    elif ended.failed or ended.steady_after is False:
        why = "; ".join((*ended.failed, *ended.missed)[:2])
        anomalies.add(1, experiment, why or "the steady state did not come back")
    elif ended.status != "completed":
        anomalies.doubt(experiment, ended.status)
