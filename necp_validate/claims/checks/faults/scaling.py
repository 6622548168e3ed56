"""Whether consumers and partitions grew under load by as much as the claims are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from necp_validate.claims.checks.anomalies import not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.metrics.faults import not_in_effect
from necp_validate.claims.metrics.recovery import span_of
from necp_validate.claims.needs import need_readback
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.inventory import EVENTS_READ, FAULTS, GROUPS, LEADERS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import FaultRecord, Record

CONSUMERS = (3, 12)
PARTITIONS = (24, 48)
COMBAT_TOPIC = "game.combat.events"


@check("consumers-scaled", FAULTS_SUBJECT, FAULTS, GROUPS)
def consumers_scaled(history: Record) -> Finding:
    """Whether every consumer group grew from 3 to 12 members: otherwise the run says nothing of that."""
    name = "consumers-scaled"
    faults = [fault for fault in faults_for(history, "SCALE-CONSUMERS") if not not_in_effect(fault)]
    if not faults:
        return not_applicable(name, "no consumers were added in this run")
    grown = _members(history, faults)
    if not grown:
        raise NoEvidence("the consumer groups were not watched")
    least, most = CONSUMERS
    words = ", ".join(f"{group} {before} → {after}" for group, (before, after) in grown.items())
    if max(before for before, _ in grown.values()) > least or min(after for _, after in grown.values()) < most:
        return not_applicable(name, f"not every group grew from {least} to {most} members: {words}")
    return Finding(name=name, verdict=Verdict.PASS, count=0, summary=f"{words}; {_told(faults)}", measured=words)


@check("partitions-scaled", FAULTS_SUBJECT, FAULTS, LEADERS, EVENTS_READ)
def partitions_scaled(history: Record) -> Finding:
    """Whether the combat topic grew from 24 to 48 partitions, and the new ones were used."""
    name = "partitions-scaled"
    faults = [fault for fault in faults_for(history, "SCALE-PARTITIONS") if not not_in_effect(fault)]
    if not faults:
        return not_applicable(name, "no partitions were added in this run")
    least, most = PARTITIONS
    before, after = _partitions(history, faults)
    if before > least or after < most:
        return not_applicable(name, f"the topic grew from {before} to {after} partitions, not {least} to {most}")
    readback = need_readback(history)
    used = sum(p.read > 0 for p in readback.partitions if p.topic == COMBAT_TOPIC and p.partition >= before)
    moved = sum(len(stream.partitions) > 1 for stream in readback.streams.values())
    if not used:
        raise NoEvidence("no event was read from a partition that was added")
    words = f"{before} → {after} partitions, {used} of the new ones used"
    note = (
        f"{moved:,} keys moved to another partition: their events are in order before and after, "
        f"but a consumer may see the later ones first"
    )
    return Finding(
        name=name, verdict=Verdict.PASS, count=0, summary=f"{words}; {note}; {_told(faults)}", measured=words
    )


def _members(history: Record, faults: Sequence[FaultRecord]) -> dict[str, tuple[int, int]]:
    """Members of each group before the first of the faults began, and the most while they lasted.

    Only of the groups that the faults name as their target, if they name any.
    """
    begin_s = min(fault.begin_us for fault in faults) / 1e6
    end_s = max(span_of(history, fault)[1] for fault in faults) / 1e6
    before: dict[str, int] = {}
    most: dict[str, int] = defaultdict(int)
    for sample in history.groups:
        if sample.t < begin_s:
            before[sample.group] = sample.members
        elif sample.t <= end_s and sample.state == "STABLE":
            most[sample.group] = max(most[sample.group], sample.members)
    named = {group for group in before if any(group in fault.target for fault in faults)}
    return {group: (members, most[group]) for group, members in before.items() if group in named or not named}


def _partitions(history: Record, faults: Sequence[FaultRecord]) -> tuple[int, int]:
    """Partitions of the combat topic before the first of the faults began, and at the end.

    Raises:
        NoEvidence: the partitions were not watched.
    """
    begin_s = min(fault.begin_us for fault in faults) / 1e6
    known = {sample.partition: sample.t for sample in reversed(history.leaders) if sample.topic == COMBAT_TOPIC}
    if not known:
        raise NoEvidence("the partitions of the combat topic were not watched")
    return sum(t <= begin_s for t in known.values()), len(known)


def _told(faults: Sequence[FaultRecord]) -> str:
    return "; ".join(f"{fault.id}: {fault.evidence or fault.target}" for fault in faults)
