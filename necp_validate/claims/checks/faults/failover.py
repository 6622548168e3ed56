"""Claims about single faults: brokers, the network between them, and consumers."""

from __future__ import annotations

import math

from necp_validate.claims.checks.events.polls import never_handled
from necp_validate.claims.checks.faults.faults import (
    FaultFigures,
    failed_at_us,
    faults_for,
    figures,
    not_in_effect,
    recovery_from,
    seconds,
    worst_recovery,
)
from necp_validate.claims.checks.faults.recovery import Rebalance, rebalances, span_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import FaultRecord, History

RECOVERY_S = 30.0
REBALANCE_S = 10.0

Problem = tuple[Verdict, str]


def losses(evidence: Evidence) -> tuple[int, list[Problem], str]:
    """Acked events lost in the run, what follows from it, and where they were lost.

    A loss on the brokers is an acked event that a fresh reader does not find; between broker and consumer, a record
    that it finds and that the event core never gave an outcome.
    """
    found = [evidence.finding(name) for name in ("lost-write", "unseen")]
    on_brokers = sum(finding.count for finding in found)
    behind = never_handled(evidence.history)
    problems: list[Problem] = []
    if on_brokers:
        # As for DUR-ACKED: a configuration that allows a loss does not make it none.
        allowed = next((f" (the producers' configuration permits it: {f.allowed})" for f in found if f.allowed), "")
        problems.append((Verdict.FAIL, f"{on_brokers:,} acked events lost on the brokers{allowed}"))
    if behind:
        problems.append((Verdict.FAIL, f"{behind:,} events lost between broker and consumer"))
    problems += [(Verdict.UNKNOWN, f.summary) for f in found if f.verdict is Verdict.UNKNOWN]
    acked = sum(stream.acked.count for load in evidence.history.senders for stream in load.streams)
    return on_brokers, problems, f"{on_brokers:,} of {acked:,} acked events lost"


def recovered(history: History, fault: FaultRecord) -> list[Problem]:
    """Why a fault was not recovered from in time, or cannot be said to have been."""
    if reason := not_in_effect(fault):
        return [(Verdict.UNKNOWN, reason)]
    limit_s = history.threshold("recovery_s", RECOVERY_S)
    from_us, (begin_us, end_us) = failed_at_us(history, fault), span_of(history, fault)
    problems: list[Problem] = []
    under_load = figures(history, fault).during
    if end_us - begin_us >= 2_000_000 and (under_load is None or under_load.good is None):
        problems.append((Verdict.UNKNOWN, f"{fault.id}: nothing was due while it lasted"))
    who, took_s = recovery_from(history, fault).slowest
    if took_s >= limit_s:
        problems.append((Verdict.FAIL, f"{fault.id}: {who} came back after {seconds(took_s)}"))
    elif fault.end_us is None and (end_us - from_us) / 1e6 < limit_s:
        problems.append((Verdict.UNKNOWN, f"{fault.id}: the run ended before {limit_s:g} s were over"))
    return problems


def ruling(problems: list[Problem], measured: str, note: str) -> Ruling:
    """Fail if anything failed, else unknown if anything is; the reasons go first."""
    verdict = Verdict.PASS
    if problems:
        verdict = Verdict.FAIL if any(of is Verdict.FAIL for of, _ in problems) else Verdict.UNKNOWN
    reasons = "; ".join(dict.fromkeys(why for of, why in problems if of is verdict))
    return Ruling(verdict=verdict, measured=measured, evidence=f"{reasons} ({note})" if reasons else note)


def _survived(claim_id: str, evidence: Evidence) -> Ruling:
    """Nothing acked lost, and every partition and client back in time, for all faults of a claim."""
    history = evidence.history
    faults = faults_for(history, claim_id)
    _, problems, lost = losses(evidence)
    for fault in faults:
        problems += recovered(history, fault)
    measured = [figures(history, fault) for fault in faults]
    effective = [one for one in measured if not not_in_effect(one.fault)]
    if not effective:
        return ruling(problems, "", f"{len(faults)} faults, none of them in effect")
    return ruling(problems, f"{_recovery_words(effective)}, {lost}", _note(effective))


def _recovery_words(measured: list[FaultFigures]) -> str:
    who, took_s = worst_recovery(measured)
    return f"recovery within {seconds(took_s)} ({who})" if who else "no silence longer than 0.5 s"


def _note(measured: list[FaultFigures]) -> str:
    texts = []
    for one in measured:
        parts = [f"{one.fault.id} of {one.fault.target}: {one.fault.evidence or 'seen to take effect'}"]
        if one.during is not None:
            parts.append(f"{one.during.least_eps:,.0f} EPS in the worst second")
        if one.before is not None:
            parts.append(f"{one.before.acked_eps:,.0f} EPS before")
        texts.append(", ".join(parts))
    return "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more faults" if len(texts) > 3 else "")


@judges("FT-BROKER", "0 acknowledged events lost, every partition and client back in < 30 s")
def broker_failure(evidence: Evidence) -> Ruling:
    """A broker fails under load."""
    return _survived("FT-BROKER", evidence)


@judges("FT-PARTITION", "0 acknowledged events lost, every partition and client back in < 30 s")
def network_partition(evidence: Evidence) -> Ruling:
    """The network between brokers is cut under load: others take over while it is."""
    return _survived("FT-PARTITION", evidence)


@judges("FT-CONSUMER", "consumer groups rebalanced in < 10 s, nothing lost")
def consumer_failure(evidence: Evidence) -> Ruling:
    """Members of the consumer groups fail under load; the time runs from the failure until the group is stable."""
    history = evidence.history
    limit_s = history.threshold("rebalance_s", REBALANCE_S)
    faults = faults_for(history, "FT-CONSUMER")
    _, problems, lost = losses(evidence)
    kept = evidence.finding("conservation")
    if kept.verdict is not Verdict.PASS:
        problems.append((kept.verdict, kept.summary))
    slowest: tuple[float, str] = (0.0, "")
    notes = []
    for fault in faults:
        if reason := not_in_effect(fault):
            problems.append((Verdict.UNKNOWN, reason))
            continue
        found = _rebalances_after(history, fault)
        for group, one in found.items():
            slowest = max(slowest, (one.settled_s, group))
            if one.settled_s >= limit_s:
                took = seconds(one.settled_s)
                problems.append((Verdict.FAIL, f"{fault.id}: the group {group} was stable again after {took}"))
        before, after = next(iter(found.values())).members
        noticed = max(one.noticed_s for one in found.values())
        notes.append(f"{fault.id} of {fault.target}: noticed within {noticed:.1f} s, {before} → {after} members")
    if not notes:
        return ruling(problems, "", f"{len(faults)} faults, none of them in effect")
    return ruling(problems, f"stable within {seconds(slowest[0])} ({slowest[1]}), {lost}", "; ".join(notes))


def _rebalances_after(history: History, fault: FaultRecord) -> dict[str, Rebalance]:
    begin_us, end_us = span_of(history, fault)
    found = rebalances(history, begin_us, end_us)
    if not found:
        raise NoEvidence(f"{fault.id}: no consumer group was seen to rebalance while it lasted")
    if all(one.members[0] < 2 and math.isinf(one.settled_s) for one in found.values()):
        raise NoEvidence(f"{fault.id}: the groups had no second member that could have taken over")
    return found
