"""How fast the system came back from a fault: by partition, by client and by consumer group.

Recovery is from the first failure to sustained success: silences less than :data:`SUSTAINED_S` apart count as one.
A later silence during the same fault is a failure of its own and has a recovery of its own; the slowest counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FaultRecord, GroupSample, PartitionGap, Record

SUSTAINED_S = 5.0
SETTLED_S = 2.0
Span = tuple[int, float]
"""Begin and end in epoch microseconds; the end is infinite if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Times in seconds; infinite for what never came back, and nothing for what never failed.

    Args:
        partitions: by domain and partition, e.g. ``combat-3``.
        clients: by client, e.g. ``producer combat of w0``, ``event core, economy``.
    """

    partitions: dict[str, float]
    clients: dict[str, float]

    @property
    def slowest(self) -> tuple[str, float]:
        """Who was the last to come back, and when; no name and 0 if nothing failed."""
        times = {**{f"partition {name}": s for name, s in self.partitions.items()}, **self.clients}
        return max(times.items(), key=lambda item: item[1], default=("", 0.0))


def end_of_run_us(history: Record) -> int:
    """When the last phase ended."""
    return max((phase.end_us for phase in history.phases), default=history.run.finished_us or 0)


def span_of(history: Record, fault: FaultRecord) -> tuple[int, int]:
    """From when a fault was seen to work until it was undone, or until the end of the run."""
    begin_us = fault.begin_us if fault.effective_us is None else fault.effective_us
    return begin_us, fault.end_us if fault.end_us is not None else max(end_of_run_us(history), begin_us)


def recovery(history: Record, from_us: int, until_us: int, *, asked_us: int | None = None) -> Recovery:
    """Recovery from a failure at ``from_us``, of silences that overlap the time until ``until_us``.

    Args:
        asked_us: when the failure was asked for: it may have been felt before it was seen.

    Raises:
        NoEvidence: the load workers did not record silences by partition.
    """
    counted = history.known_loads
    if not counted or any(load.gaps is None for load in counted):
        raise NoEvidence("the load workers did not record the silences of single partitions")
    if history.sees_ends(history.domains) and any(load.outcome_gaps is None for load in counted):
        raise NoEvidence("the load workers did not record in which times no event ended")
    partitions: dict[str, list[Span]] = defaultdict(list)
    clients: dict[str, list[Span]] = defaultdict(list)
    for load in history.loads:
        for gap in load.gaps or ():
            partitions[f"{gap.domain}-{gap.partition}"].append(_span(gap))
            clients[f"producer {gap.domain} of {load.worker}"].append(_span(gap))
    for domain in history.domains:
        clients[f"event core, {domain}"] = _unhandled(history, domain)

    def times(spans: dict[str, list[Span]]) -> dict[str, float]:
        found = {name: slowest_s(each, from_us, until_us, asked_us) for name, each in spans.items()}
        return {name: seconds for name, seconds in found.items() if seconds > 0}

    return Recovery(partitions=times(partitions), clients=times(clients))


def slowest_s(silences: Iterable[Span], from_us: int, until_us: int, asked_us: int | None = None) -> float:
    """The longest time from a failure to sustained success, in seconds; 0 if there was no silence."""
    asked_us = from_us if asked_us is None else min(asked_us, from_us)
    slowest = 0.0
    begin, end = 0.0, -math.inf
    for start, stop in sorted(silences):
        if stop <= from_us or start >= until_us:
            continue
        if start - end > SUSTAINED_S * 1e6:
            # What begins right after the fault counts from the fault: it is only seen when the next event is due.
            begin = start if start - from_us >= SUSTAINED_S * 1e6 else min(max(start, asked_us), from_us)
        end = max(end, stop)
        slowest = max(slowest, (end - begin) / 1e6)
    return slowest


def longest_silence_s(history: Record, from_us: int, until_us: int) -> float:
    """The longest part of a partition's silence that lies between two times, in seconds."""
    spans = [_span(gap) for load in history.loads for gap in load.gaps or ()]
    return max((min(stop, until_us) - max(start, from_us) for start, stop in spans), default=0.0) / 1e6


def longest_unhandled_s(history: Record, domain: str, from_us: int, until_us: int) -> float:
    """The longest part of a time in which events of a domain were acked and none ended, in seconds; from 1 s on."""
    spans = _unhandled(history, domain)
    return max((min(stop, until_us) - max(start, from_us) for start, stop in spans), default=0.0) / 1e6


def _span(gap: PartitionGap) -> Span:
    return gap.from_us, math.inf if gap.to_us is None else gap.to_us


def _unhandled(history: Record, domain: str) -> list[Span]:
    """Stretches in which acked events of a domain waited for an outcome and none came, as the load workers saw them."""
    return [
        (gap.from_us, math.inf if gap.to_us is None else gap.to_us)
        for load in history.loads
        for gap in load.outcome_gaps or ()
        if gap.domain == domain
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """How a consumer group took a change of its members, in seconds since the fault.

    Args:
        noticed_s: when its members or its state first changed.
        settled_s: when it was stable again, for good; infinite if it never was.
        members: before, and when it had settled.
    """

    noticed_s: float
    settled_s: float
    members: tuple[int, int]


def rebalances(history: Record, from_us: int, until_us: int) -> dict[str, Rebalance]:
    """Rebalances of all groups that followed on something at ``from_us``, by group; those that saw none are left out.

    Args:
        history: the record.
        from_us: when members failed, or were added.
        until_us: when that was undone: members that come back are a change of their own.

    Raises:
        NoEvidence: the groups were not watched, or not before.
    """
    by_group: dict[str, list[GroupSample]] = defaultdict(list)
    for sample in history.groups:
        by_group[sample.group].append(sample)
    if not by_group:
        raise NoEvidence("the consumer groups were not watched")
    later = [fault.begin_us for fault in history.faults if fault.begin_us >= until_us and fault.upsets]
    end_us = min([*later, max(end_of_run_us(history), until_us)])
    found = {}
    for group, samples in by_group.items():
        one = _rebalance(sorted(samples, key=lambda sample: sample.t), from_us / 1e6, until_us / 1e6, end_us / 1e6)
        if one is not None:
            found[group] = one
    return found


def _rebalance(samples: list[GroupSample], from_s: float, until_s: float, end_s: float) -> Rebalance | None:
    """Follow one group to the end of its recovery: it is stable when it stays so."""
    before = [sample for sample in samples if sample.t <= from_s]
    after = [sample for sample in samples if from_s < sample.t <= end_s]
    afterwards = [s for s in after if s.t > until_s]
    if not before:
        raise NoEvidence("the consumer groups were not watched before the fault")
    members = before[-1].members
    noticed = next((s for s in after if s.t <= until_s and (s.state != "STABLE" or s.members != members)), None)
    if noticed is None:
        # It felt nothing of the fault; members that come back may upset it all the same.
        noticed = next((s for s in afterwards if not _stable(s)), None)
        if noticed is None:
            return None
        settled, took_s = _settled(afterwards), _back_s(afterwards, until_s)
    else:
        until_s = min(until_s, _back_early_s(after, noticed, members))
        afterwards = [s for s in after if s.t > until_s]
        during = [s for s in after if noticed.t <= s.t <= until_s]
        settled = _settled(during)
        if settled is None or until_s - settled.t < SETTLED_S:
            # It was not stable yet when the fault was undone: what follows is the same rebalance.
            settled = _settled([*during, *afterwards])
            took_s = math.inf if settled is None else settled.t - from_s
        else:
            took_s = max(settled.t - from_s, _back_s(afterwards, until_s))
    return Rebalance(
        noticed_s=noticed.t - from_s,
        settled_s=took_s,
        members=(members, 0 if settled is None else settled.members),
    )


def _back_early_s(after: Sequence[GroupSample], noticed: GroupSample, members: int) -> float:
    """When members that had failed came back before all of the fault was undone; infinite if none did.

    A process is back when it says that it is ready; it has joined its groups before.
    """
    first: GroupSample | None = None
    for earlier, sample in pairwise(s for s in after if s.t >= noticed.t):
        if _stable(earlier) and earlier.members < members:
            first = first or earlier
            if sample.members > earlier.members and sample.t - first.t >= SETTLED_S:
                return earlier.t
        else:
            first = None
    return math.inf


def _back_s(afterwards: Sequence[GroupSample], until_s: float) -> float:
    """From when a fault was undone until the group was stable for good; 0 if it was so all the time."""
    if all(_stable(s) for s in afterwards):
        return 0.0
    again = _settled(afterwards)
    return math.inf if again is None else again.t - until_s


def _stable(sample: GroupSample) -> bool:
    return sample.state == "STABLE" and sample.members > 0


def _settled(samples: Sequence[GroupSample]) -> GroupSample | None:
    """The first sample of the stable stretch that lasts to the end; ``None`` if the last is not stable."""
    first: GroupSample | None = None
    for sample in samples:
        first = None if not _stable(sample) else first or sample
    return first
