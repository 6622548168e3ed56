"""How fast the system came back from a fault: by partition, by client and by consumer group.

Recovery is from the first failure to sustained success: silences less than :data:`SUSTAINED_S` apart count as one.
A later silence during the same fault is a failure of its own and has a recovery of its own; the slowest counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.record import FaultRecord, GroupSample, History, PartitionGap

SUSTAINED_S = 5.0
SETTLED_S = 2.0
_SILENT_ROWS_S = 2.5
"""Rows are a second apart: only from here on, seconds without an outcome are a silence for certain."""

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


def end_of_run_us(history: History) -> int:
    """When the last phase ended."""
    return max((phase.end_us for phase in history.phases), default=history.run.finished_us or 0)


def span_of(history: History, fault: FaultRecord) -> tuple[int, int]:
    """From when a fault was seen to work until it was undone, or until the end of the run."""
    begin_us = fault.begin_us if fault.effective_us is None else fault.effective_us
    return begin_us, fault.end_us if fault.end_us is not None else max(end_of_run_us(history), begin_us)


def recovery(history: History, from_us: int, until_us: int, *, asked_us: int | None = None) -> Recovery:
    """Recovery from a failure at ``from_us``, of silences that overlap the time until ``until_us``.

    Args:
        asked_us: when the failure was asked for: it may have been felt before it was seen.

    Raises:
        NoEvidence: the load workers did not record silences by partition.
    """
    if not history.loads or any(load.gaps is None for load in history.loads):
        raise NoEvidence("the load workers did not record the silences of single partitions")
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


def longest_silence_s(history: History, from_us: int, until_us: int) -> float:
    """The longest part of a partition's silence that lies between two times, in seconds."""
    spans = [_span(gap) for load in history.loads for gap in load.gaps or ()]
    return max((min(stop, until_us) - max(start, from_us) for start, stop in spans), default=0.0) / 1e6


def longest_unhandled_s(history: History, domain: str, from_us: int, until_us: int) -> float:
    """The longest part of a time in which events of a domain were acked and none ended, in seconds; from 2.5 s on."""
    spans = _unhandled(history, domain)
    return max((min(stop, until_us) - max(start, from_us) for start, stop in spans), default=0.0) / 1e6


def _span(gap: PartitionGap) -> Span:
    return gap.from_us, math.inf if gap.to_us is None else gap.to_us


def _unhandled(history: History, domain: str) -> list[Span]:
    """Stretches in which events of a domain were acked and none ended, from the timeline's rows."""
    acked: dict[int, int] = defaultdict(int)
    ended: dict[int, int] = defaultdict(int)
    for row in history.timeline:
        if row.domain == domain and row.processed is not None:
            second = round(row.t)
            acked[second] += row.acked
            ended[second] += row.processed + (row.rejected or 0) + (row.dead_lettered or 0)
    spans: list[Span] = []
    last: int | None = None
    waiting = False
    for second in sorted(acked):
        if ended[second]:
            if last is not None and waiting and second - last >= _SILENT_ROWS_S:
                spans.append((last * 1_000_000, second * 1e6))
            last, waiting = second, False
        elif acked[second]:
            waiting = True
    if last is not None and waiting and max(acked) - last >= _SILENT_ROWS_S:
        spans.append((last * 1_000_000, math.inf))
    return spans


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


def rebalances(history: History, from_us: int, until_us: int) -> dict[str, Rebalance]:
    """Rebalances of all groups that followed on something at ``from_us``, by group; those that saw none are left out.

    Raises:
        NoEvidence: the groups were not watched, or not before.
    """
    by_group: dict[str, list[GroupSample]] = defaultdict(list)
    for sample in history.groups:
        by_group[sample.group].append(sample)
    if not by_group:
        raise NoEvidence("the consumer groups were not watched")
    found = {}
    for group, samples in by_group.items():
        one = _rebalance(samples, from_us / 1e6, until_us / 1e6)
        if one is not None:
            found[group] = one
    return found


def _rebalance(samples: list[GroupSample], from_s: float, until_s: float) -> Rebalance | None:
    before = [sample for sample in samples if sample.t <= from_s]
    after = [sample for sample in samples if from_s < sample.t]
    if not before:
        raise NoEvidence("the consumer groups were not watched before the fault")
    members = before[-1].members
    noticed = next((s for s in after if s.t <= until_s and (s.state != "STABLE" or s.members != members)), None)
    if noticed is None:
        return None
    settled: GroupSample | None = None
    for sample in (s for s in after if s.t >= noticed.t):
        stable = sample.state == "STABLE" and sample.members > 0
        if settled is not None and (sample.t - settled.t >= SETTLED_S or sample.t > until_s):
            break
        if not stable:
            settled = None
        elif settled is None:
            settled = sample
    return Rebalance(
        noticed_s=noticed.t - from_s,
        settled_s=math.inf if settled is None else settled.t - from_s,
        members=(members, 0 if settled is None else settled.members),
    )
