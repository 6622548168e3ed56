"""The faults of a run as evidence: which claims each is for, whether it was seen to work, and its figures."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from necp_validate.claims.metrics.recovery import Rebalance, Recovery, longest_silence_s, rebalances, recovery, span_of
from necp_validate.claims.needs import need_receipts
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FaultRecord, IntervalSet, Record

T = TypeVar("T")

BEFORE_S = 10.0
AFTER_S = 30.0

BROKER_DOWN = frozenset({"broker-kill", "broker-stop", "broker-pause", "disk-full", "read-only"})
LEADERLESS = frozenset({"broker-kill", "broker-stop", "broker-pause"})
"""Of these, those after which a broker certainly leads nothing; one with a bad disk may for a while."""
BELOW_MIN_ISR = "double-kill"
_BROKER = re.compile(r"broker[- ](\d+)")


def broker_of(fault: FaultRecord) -> int | None:
    """The broker that a fault hit, by its target; None if that names none."""
    found = _BROKER.match(fault.target)
    return None if found is None else int(found.group(1))


def not_in_effect(fault: FaultRecord) -> str:
    """Why a fault proves nothing; empty if it was seen to take effect."""
    if fault.needs:
        return f"{fault.id}: {fault.needs}"
    if fault.effective_us is None:
        return f"{fault.id} ({fault.kind} of {fault.target}) was never seen to take effect"
    return ""


def failed_at_us(history: Record, fault: FaultRecord) -> int:
    """From when the system had to recover from a fault.

    From when it took effect; but while more than one broker is down, two in-sync replicas cannot be had where they
    are asked for, so the clock starts when the first of them is back.
    """
    begin_us, end_us = span_of(history, fault)
    if fault.kind == BELOW_MIN_ISR:
        return end_us
    if fault.kind not in BROKER_DOWN:
        return begin_us
    ends = [end_us]
    for other in history.faults:
        if other is fault or other.kind not in BROKER_DOWN or other.effective_us is None:
            continue
        from_us, until_us = span_of(history, other)
        if from_us < end_us and until_us > begin_us and broker_of(other) != broker_of(fault):
            ends.append(until_us)
    return begin_us if len(ends) == 1 else max(min(ends), begin_us)


def recovery_from(history: Record, fault: FaultRecord) -> Recovery:
    """Recovery from one fault.

    Raises:
        NoEvidence: the load workers did not record silences by partition.
    """
    from_us, (begin_us, end_us) = failed_at_us(history, fault), span_of(history, fault)
    asked_us = fault.begin_us if from_us == begin_us else None
    return recovery(history, from_us, max(end_us, from_us + 1), asked_us=asked_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the producers achieved in a stretch of time.

    Args:
        acked_eps: mean rate of acks.
        least_eps: acks in the worst second.
        good: acked of scheduled events, at most 1; ``None`` if nothing was due.
        longest_gap_s: longest silence of any partition.
    """

    acked_eps: float
    least_eps: float
    good: float | None
    longest_gap_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFigures:
    """Everything measured around one fault; ``None`` where it was not recorded, or never took effect.

    Args:
        before, during, after: progress in the seconds before, while it lasted, and afterwards.
        lasted_s: from when it was seen to work until it was undone, or until the end of the run.
    """

    fault: FaultRecord
    lasted_s: float = 0.0
    before: Progress | None = None
    during: Progress | None = None
    after: Progress | None = None
    recovery: Recovery | None = None
    rebalances: Mapping[str, Rebalance] | None = None

    @property
    def recovery_s(self) -> float | None:
        """The slowest recovery of any partition or client."""
        return None if self.recovery is None else self.recovery.slowest[1]

    @property
    def rebalance_s(self) -> float | None:
        """The slowest rebalance of any group; ``None`` if there was none."""
        return max((one.settled_s for one in (self.rebalances or {}).values()), default=None)


def figures(history: Record, fault: FaultRecord) -> FaultFigures:
    """Measure around one fault."""
    if not_in_effect(fault):
        return FaultFigures(fault=fault)
    begin_us, end_us = span_of(history, fault)
    others = [span_of(history, other) for other in history.faults if other is not fault and not not_in_effect(other)]
    # It may have been felt before it was seen: what it did counts from when it was asked for.
    asked_us = fault.begin_us
    before_us = max([asked_us - BEFORE_S * 1e6, *(until for _, until in others if until <= asked_us)])
    after_us = min([end_us + AFTER_S * 1e6, *(start for start, _ in others if start >= end_us)])
    return FaultFigures(
        fault=fault,
        lasted_s=(end_us - begin_us) / 1e6,
        before=progress(history, round(before_us), asked_us),
        during=progress(history, asked_us, end_us),
        after=progress(history, end_us, round(after_us)),
        recovery=_if_known(lambda: recovery_from(history, fault)),
        rebalances=_if_known(lambda: rebalances(history, begin_us, end_us)),
    )


def progress(history: Record, from_us: int, until_us: int) -> Progress | None:
    """Progress of all domains between two times, from the timeline's rows; ``None`` if it has none there."""
    acked: dict[int, int] = defaultdict(int)
    due = 0
    for row in history.timeline:
        # A row counts what happened before its end.
        if from_us / 1e6 + 0.5 <= row.t <= until_us / 1e6 + 0.5:
            acked[round(row.t)] += row.acked
            due += row.scheduled
    if not acked:
        return None
    total = sum(acked.values())
    return Progress(
        acked_eps=total / len(acked),
        least_eps=min(acked.values()),
        good=min(total / due, 1.0) if due else None,
        longest_gap_s=max(longest_silence_s(history, from_us, until_us), 0.0),
    )


def _if_known(measure: Callable[[], T]) -> T | None:
    try:
        return measure()
    except NoEvidence:
        return None


def seconds(value: float) -> str:
    """A time for a sentence."""
    return "never" if math.isinf(value) else f"{value:.1f} s"


def worst_recovery(figures_of: Iterable[FaultFigures]) -> tuple[str, float]:
    """Who took the longest to come back from any of the faults, and how long."""
    slowest = [one.recovery.slowest for one in figures_of if one.recovery is not None]
    return max(slowest, key=lambda item: item[1], default=("", 0.0))


def never_handled(history: Record, topics: Collection[str]) -> int:
    """Records of some events' topics that have no outcome: they were lost between broker and consumer.

    Raises:
        NoEvidence: nothing was read back, or there are no receipts.
    """
    readback = need_receipts(history)
    accounted = {(receipts.topic, receipts.partition): receipts.accounted for receipts in readback.receipts}
    missing = 0
    for part in readback.partitions:
        if part.topic not in topics:
            continue
        outcomes = accounted.get((part.topic, part.partition), IntervalSet())
        missing += part.read - outcomes.count if part.offsets is None else part.offsets.difference(outcomes).count
    return max(missing, 0)
