"""Claims about growing under load: more consumers, more partitions."""

from __future__ import annotations

import math
from collections import defaultdict

from necp_validate.claims.checks.faults.failover import Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import faults_for, not_in_effect
from necp_validate.claims.checks.faults.recovery import span_of
from necp_validate.claims.checks.load.latency import SAMPLES_FOR, latency_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.evidence.host_saturation import host_saturation
from necp_validate.record import FaultRecord, History, Phase

P99_MS = 50.0
CONSUMERS = (3, 12)
PARTITIONS = (24, 48)
COMBAT_TOPIC = "game.combat.events"


@judges(
    "SCALE-CONSUMERS", "3 → 12 members under load, P99 < 50 ms, nothing lost or handled twice against the guarantee"
)
def more_consumers(evidence: Evidence) -> Ruling:
    """Members are added to the consumer groups while they work."""
    history = evidence.history
    faults = faults_for(history, "SCALE-CONSUMERS")
    problems, latency = _scaled(evidence, faults)
    grown = _members(history, faults)
    least, most = CONSUMERS
    if not grown:
        problems.append((Verdict.UNKNOWN, "the consumer groups were not watched"))
    elif max(before for before, _ in grown.values()) > least or min(after for _, after in grown.values()) < most:
        problems.append((Verdict.UNKNOWN, f"not every group grew from {least} to {most} members"))
    words = ", ".join(f"{group} {before} → {after}" for group, (before, after) in grown.items())
    return ruling(problems, f"{words or 'no group'}; {latency}", _evidence(faults))


@judges("SCALE-PARTITIONS", "24 → 48 partitions under load, P99 < 50 ms, nothing lost, order kept in each partition")
def more_partitions(evidence: Evidence) -> Ruling:
    """Partitions are added to the combat topic while it is written and read."""
    history = evidence.history
    faults = faults_for(history, "SCALE-PARTITIONS")
    problems, latency = _scaled(evidence, faults)
    least, most = PARTITIONS
    before, after = _partitions(history, faults)
    if before > least or after < most:
        problems.append((Verdict.UNKNOWN, f"the topic grew from {before} to {after} partitions"))
    order = evidence.finding("nonmonotonic-send")
    if order.verdict is not Verdict.PASS:
        problems.append((order.verdict, order.summary))
    readback = history.readback
    used = moved = 0
    if readback is not None:
        used = sum(p.read > 0 for p in readback.partitions if p.topic == COMBAT_TOPIC and p.partition >= before)
        moved = sum(len(stream.partitions) > 1 for stream in readback.streams.values())
    if not used:
        problems.append((Verdict.UNKNOWN, "no event was read from a partition that was added"))
    note = (
        f"{moved:,} keys moved to another partition: their events are in order before and after, "
        f"but a consumer may see the later ones first; {_evidence(faults)}"
    )
    return ruling(problems, f"{before} → {after} partitions, {used} of the new ones used; {latency}", note)


@judges("LAT-SCALING", "P99 < 50 ms while consumers or partitions are added")
def latency_while_scaling(evidence: Evidence) -> Ruling:
    """End-to-end latency of the phases in which something was scaled."""
    faults = faults_for(evidence.history, "LAT-SCALING")
    problems: list[Problem] = [(Verdict.UNKNOWN, reason) for fault in faults if (reason := not_in_effect(fault))]
    slow, words = _latency(evidence.history, faults)
    return ruling([*problems, *slow], words, _evidence(faults))


def _scaled(evidence: Evidence, faults: tuple[FaultRecord, ...]) -> tuple[list[Problem], str]:
    """What any scaling under load must keep: latency, every event, and the guarantee against doing things twice."""
    _, problems, lost = losses(evidence)
    problems += [(Verdict.UNKNOWN, reason) for fault in faults if (reason := not_in_effect(fault))]
    for name in ("conservation", "handled-twice"):
        finding = evidence.finding(name)
        if finding.verdict is not Verdict.PASS:
            problems.append((finding.verdict, finding.summary))
    slow, words = _latency(evidence.history, faults)
    return problems + slow, f"{words}; {lost}"


def _latency(history: History, faults: tuple[FaultRecord, ...]) -> tuple[list[Problem], str]:
    phases = _phases_of(history, faults)
    worst: tuple[float, Phase] | None = None
    for phase in phases:
        p99 = latency_of(history, phase, None).percentile_ms(99)
        if p99 is not None and (worst is None or p99 > worst[0]):
            worst = (p99, phase)
    if worst is None:
        return [(Verdict.UNKNOWN, f"P99 needs {SAMPLES_FOR[99.0]:,} samples while scaling")], "P99 not known"
    p99, phase = worst
    words = f"P99 {p99:.1f} ms in {phase.name}" if math.isfinite(p99) else f"P99 never in {phase.name}"
    if p99 < P99_MS:
        return [], words
    seen = host_saturation(history, phase)
    if seen.saturated:
        return [(Verdict.UNKNOWN, f"P99 missed, but {'; '.join(seen.reasons)}")], words
    return [(Verdict.FAIL, f"{words}, claimed < {P99_MS:g} ms")], words


def _phases_of(history: History, faults: tuple[FaultRecord, ...]) -> list[Phase]:
    spans = [(fault.begin_us, span_of(history, fault)[1]) for fault in faults if not not_in_effect(fault)]
    return [
        phase
        for phase in history.phases
        if any(phase.start_us < end and phase.end_us > begin for begin, end in spans) and phase.kind != "warmup"
    ]


def _members(history: History, faults: tuple[FaultRecord, ...]) -> dict[str, tuple[int, int]]:
    """Members of each group before the first of the faults began, and the most while they lasted.

    Only of the groups that the faults name as their target, if they name any.
    """
    seen = [fault for fault in faults if not not_in_effect(fault)]
    if not seen:
        return {}
    begin_s = min(fault.begin_us for fault in seen) / 1e6
    end_s = max(span_of(history, fault)[1] for fault in seen) / 1e6
    before: dict[str, int] = {}
    most: dict[str, int] = defaultdict(int)
    for sample in history.groups:
        if sample.t < begin_s:
            before[sample.group] = sample.members
        elif sample.t <= end_s and sample.state == "STABLE":
            most[sample.group] = max(most[sample.group], sample.members)
    named = {group for group in before if any(group in fault.target for fault in seen)}
    return {group: (members, most[group]) for group, members in before.items() if group in named or not named}


def _partitions(history: History, faults: tuple[FaultRecord, ...]) -> tuple[int, int]:
    """Partitions of the combat topic before the first of the faults began, and at the end.

    Raises:
        NoEvidence: the partitions were not watched.
    """
    begin_s = min(fault.begin_us for fault in faults) / 1e6
    known = {sample.partition: sample.t for sample in reversed(history.leaders) if sample.topic == COMBAT_TOPIC}
    if not known:
        raise NoEvidence("the partitions of the combat topic were not watched")
    return sum(t <= begin_s for t in known.values()), len(known)


def _evidence(faults: tuple[FaultRecord, ...]) -> str:
    return "; ".join(f"{fault.id}: {fault.evidence or fault.target}" for fault in faults)
