"""Claims over all faults of a run: every experiment passed, and enough events were served."""

from __future__ import annotations

from necp_validate.claims.checks.events.polls import never_handled
from necp_validate.claims.checks.faults.failover import RECOVERY_S, Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import not_in_effect, seconds
from necp_validate.claims.checks.faults.recovery import recovery, span_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import ExperimentOutcome, FaultRecord, History, Phase

GOOD_RATIO = 0.999
SOAK_S = 300.0
PROMPT_US = 1_000_000

BEYOND = frozenset({"double-kill", "producer-flood"})
"""Faults under which nothing is claimed to be available: fewer brokers than min.insync.replicas, more than the peak."""


@judges("CHAOS-ALL", "every experiment passed: fault seen, steady state restored, 0 acknowledged events lost")
def every_experiment(evidence: Evidence) -> Ruling:
    """All experiments of the run, by their journals and by the faults that they injected."""
    history = evidence.history
    experiments = _experiments(history)
    if not experiments:
        raise NoEvidence("no experiment was part of this run")
    _, problems, lost = losses(evidence)
    passed = 0
    for name, (outcome, faults) in experiments.items():
        found = _experiment_problems(history, name, outcome, faults)
        passed += not found
        problems += found
    measured = f"{passed} of {len(experiments)} experiments passed, {lost}"
    return ruling(problems, measured, f"{sum(len(faults) for _, faults in experiments.values())} faults")


def _experiments(history: History) -> dict[str, tuple[ExperimentOutcome | None, list[FaultRecord]]]:
    """How each experiment ended, and its faults, which may name it by its title too."""
    found: dict[str, tuple[ExperimentOutcome | None, list[FaultRecord]]] = {}
    name_of: dict[str, str] = {}
    for outcome in history.experiments:
        found[outcome.experiment] = (outcome, [])
        name_of |= {outcome.title: outcome.experiment, outcome.experiment: outcome.experiment}
    for fault in history.faults:
        name = name_of.get(fault.experiment, fault.experiment)
        found.setdefault(name, (None, []))[1].append(fault)
    return found


def _experiment_problems(
    history: History, name: str, outcome: ExperimentOutcome | None, faults: list[FaultRecord]
) -> list[Problem]:
    idle = [(Verdict.UNKNOWN, reason) for fault in faults if (reason := not_in_effect(fault))]
    if idle:
        return idle
    problems: list[Problem] = []
    if outcome is None:
        problems.append((Verdict.UNKNOWN, f"{name}: how it ended was not recorded"))
    else:
        problems += _outcome_problems(name, outcome)
    if not faults:
        problems.append((Verdict.UNKNOWN, f"{name}: no fault was recorded"))
    for fault in faults:
        if fault.end_us is None:
            problems.append((Verdict.UNKNOWN, f"{fault.id} was still in force at the end"))
        else:
            problems += _after(history, fault)
    return problems


def _outcome_problems(name: str, outcome: ExperimentOutcome) -> list[Problem]:
    why = f": {outcome.problems[0]}" if outcome.problems else ""
    if outcome.steady_before is False:
        return [(Verdict.UNKNOWN, f"{name}: there was no steady state to begin with{why}")]
    if outcome.steady_after is False:
        return [(Verdict.FAIL, f"{name}: the steady state did not come back{why}")]
    if outcome.status != "completed" or outcome.failed:
        return [(Verdict.UNKNOWN, f"{name}: {outcome.status}{why}")]
    return []


def _after(history: History, fault: FaultRecord) -> list[Problem]:
    """Whatever a fault did while it lasted, once it is undone everything must come back."""
    _, end_us = span_of(history, fault)
    limit_s = history.threshold("recovery_s", RECOVERY_S)
    who, took_s = recovery(history, end_us, end_us + 1).slowest
    if took_s < limit_s:
        return []
    return [(Verdict.FAIL, f"{fault.id}: {seconds(took_s)} after it was undone, {who} came back")]


@judges("AVAIL", "≥ 99.9% of events acknowledged and accounted for, over a run with faults of ≥ 300 s")
def availability(evidence: Evidence) -> Ruling:
    """Good events of all that were due, against an error budget of one in a thousand."""
    history = evidence.history
    effective = [fault for fault in history.faults if not not_in_effect(fault)]
    if not effective:
        raise NoEvidence("no fault was in effect: uptime without trouble proves nothing")
    phases, left_out = _phases(history, effective)
    due = good = 0
    worst: tuple[float, str] = (1.0, "")
    for domain in history.domains:
        counts = [history.counts(phase.name, [domain]) for phase in phases]
        scheduled, acked = sum(one.scheduled for one in counts), sum(one.acked for one in counts)
        due, good = due + scheduled, good + acked
        if scheduled:
            worst = min(worst, (acked / scheduled, domain))
    if not due:
        raise NoEvidence("no event was due in a phase that counts")
    lost = sum(evidence.finding(name).count for name in ("lost-write", "unseen")) + never_handled(history)
    good -= min(lost, good)
    ratio = good / due
    budget = due * (1 - GOOD_RATIO)
    spent = f"{(due - good) / budget:.0%} of the error budget spent" if budget else "no error budget"
    problems: list[Problem] = []
    if ratio < GOOD_RATIO:
        problems.append((Verdict.FAIL, f"{due - good:,} of {due:,} events were not served, {budget:,.0f} may be"))
    length_s = sum(phase.duration_s for phase in phases)
    least_s = history.threshold("soak_s", SOAK_S)
    if length_s < least_s:
        problems.append((Verdict.UNKNOWN, f"the run lasted {length_s:.0f} s, {least_s:g} s are the least"))
    note = f"{spent}; {len(effective)} faults in {length_s:.0f} s; {_prompt(history)}"
    if left_out:
        note += f"; without {', '.join(left_out)}, where more was asked for than is claimed"
    if worst[1]:
        note += f"; lowest in {worst[1]}: {worst[0]:.3%}"
    return ruling(problems, f"{ratio:.4%} good events", note)


def _phases(history: History, faults: list[FaultRecord]) -> tuple[list[Phase], list[str]]:
    """The phases that count, and the names of those in which the system was asked for more than it claims."""
    beyond = [span_of(history, fault) for fault in faults if fault.kind in BEYOND]
    out = [p for p in history.phases if any(p.start_us < end and p.end_us > begin for begin, end in beyond)]
    return [phase for phase in history.phases if phase not in out], [phase.name for phase in out]


def _prompt(history: History) -> str:
    """How many of the events that ended had done so within a second: what a player would call served."""
    total = late = 0
    for phase in history.phases:
        histogram = history.histogram(phase.name, "e2e")
        total += histogram.total
        late += histogram.count_above(PROMPT_US)
    return f"{1 - late / total:.3%} of them ended within 1 s" if total else "how fast was not recorded"
