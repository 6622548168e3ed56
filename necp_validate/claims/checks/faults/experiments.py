"""How experiments ended: whether the steady state came back, and everything with it."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.faults import not_in_effect, seconds
from necp_validate.claims.metrics.recovery import recovery, span_of
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EXPERIMENTS, FAULTS, PHASES, SENDERS, TIMELINE
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import ExperimentOutcome, FaultRecord, Record


@check("experiment-outcome", FAULTS_SUBJECT, PHASES, SENDERS, TIMELINE, EXPERIMENTS, FAULTS, limits=("recovery_s",))
def experiment_outcome(history: Record) -> Finding:
    """Experiments after which the steady state, or any partition or client, did not come back in time."""
    experiments = _experiments(history)
    if not experiments:
        raise NoEvidence("no experiment was part of this run")
    anomalies = Anomalies("experiment-outcome", history)
    for name, (outcome, faults) in experiments.items():
        _judge(anomalies, history, name, outcome, faults)
    faults_of = sum(len(faults) for _, faults in experiments.values())
    words = f"{len(experiments)} experiments with {faults_of} faults"
    return anomalies.finding(
        clean=f"{words}: after each, the steady state was back, and every partition and client",
        found=f"{words}: {{count}} times, the steady state or a client did not come back",
        measured=f"{words}, {{count}} not recovered from",
        sees=f"one partition or client that is not back {limit(history, 'recovery_s'):g} s after a fault was undone",
    )


def _experiments(history: Record) -> dict[str, tuple[ExperimentOutcome | None, list[FaultRecord]]]:
    """How each experiment ended, and its faults."""
    found: dict[str, tuple[ExperimentOutcome | None, list[FaultRecord]]] = {
        one.experiment: (one, []) for one in history.experiments
    }
    by_name = history.experiments_by_name
    for fault in history.faults:
        outcome = by_name.get(fault.experiment)
        name = fault.experiment if outcome is None else outcome.experiment
        found.setdefault(name, (None, []))[1].append(fault)
    return found


def _judge(
    anomalies: Anomalies, history: Record, name: str, outcome: ExperimentOutcome | None, faults: list[FaultRecord]
) -> None:
    if outcome is None:
        anomalies.doubt(name, "how it ended was not recorded")
    else:
        why = f": {outcome.problems[0]}" if outcome.problems else ""
        if outcome.steady_before is not True:
            anomalies.doubt(name, f"no steady state was seen to begin with{why}")
        elif outcome.steady_after is False:
            anomalies.add(1, name, f"the steady state did not come back{why}")
        elif outcome.status != "completed" or outcome.failed or outcome.steady_after is None:
            anomalies.doubt(name, f"{outcome.status}{why or ', and nobody looked for the steady state'}")
        elif outcome.missed:
            anomalies.doubt(name, f"said to be steady before and after, and not{why}")
    if not faults:
        anomalies.doubt(name, "no fault was recorded")
    for fault in faults:
        if reason := not_in_effect(fault):
            anomalies.doubt(name, reason)
        elif fault.end_us is None:
            anomalies.doubt(name, f"{fault.id} was still in force at the end")
        else:
            back_after(anomalies, history, fault)


def back_after(anomalies: Anomalies, history: Record, fault: FaultRecord) -> None:
    """Whatever a fault did while it lasted, once it is undone everything must come back."""
    _, end_us = span_of(history, fault)
    who, took_s = recovery(history, end_us, end_us + 1).slowest
    if took_s >= limit(history, "recovery_s"):
        anomalies.add(1, fault.id, f"{who} came back {seconds(took_s)} after it was undone")
