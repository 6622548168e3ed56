"""Accounts for receipts: one outcome for every event, and where an instance went ahead or back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from necp_validate.core.intervals import IntervalSet
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.events.topics import RECEIPTED_WITHIN_S, Domain
from necp_validate.record.readback import Jump, ReceiptsRecord

_MAX_JUMPS = 100


@dataclass(slots=True)
class _Accounted:
    offsets: IntervalSet = field(default_factory=IntervalSet)
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    duplicate_outcomes: int = 0
    instance: str = ""
    last_offset: int = -1
    highest: int = -1
    done_us: int = 0
    jumps: list[Jump] = field(default_factory=list)
    jumps_left_out: int = 0
    late: IntervalSet = field(default_factory=IntervalSet)
    ended_early: int | None = 0
    rejected: IntervalSet = field(default_factory=IntervalSet)


class ReceiptAccounting:
    """Accounts for the outcomes that receipts report, by topic, partition and offset."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], _Accounted] = {}
        self._sent_us: dict[tuple[str, str], int] = {}
        self._totals: dict[str, dict[str, int]] = {}

    def add(self, receipts: Iterable[tuple[Receipt, int | None]]) -> None:
        """Account for every run of every receipt, in the order in which they lie in their topic.

        Args:
            receipts: each with the time of its append (epoch, microseconds); None where no broker says it.
        """
        for receipt, appended_us in receipts:
            earliest_us = earliest_end_us(receipt, appended_us)
            sender = (receipt.instance, receipt.domain)
            late = receipt.sent_us < self._sent_us.get(sender, 0)
            self._sent_us[sender] = max(receipt.sent_us, self._sent_us.get(sender, 0))
            for partition, first, last, outcome, done_us in receipt.runs:
                seen = self._partitions.setdefault((receipt.topic, partition), _Accounted())
                seen.counts[outcome] += last - first + 1
                seen.duplicate_outcomes += seen.offsets.add(first, last)
                if outcome is Outcome.REJECTED:
                    seen.rejected.add(first, last)
                if earliest_us is not None and seen.ended_early is not None:
                    seen.ended_early += (last - first + 1) * (done_us < earliest_us)
                elif not receipt.transactional:
                    seen.ended_early = None
                if late:
                    seen.late.add(first, last)
                else:
                    _follow(seen, receipt.instance, first, last, done_us)
            self._total(receipt)

    def _total(self, receipt: Receipt) -> None:
        """Sum the domain's own totals up; those by key (damage by match) become one number."""
        totals = self._totals.setdefault(receipt.domain, {})
        for name, value in receipt.results.items():
            if isinstance(value, dict):
                value = sum(one for one in value.values() if isinstance(one, int))
            if isinstance(value, int):
                totals[name] = totals.get(name, 0) + value

    def records(self) -> tuple[ReceiptsRecord, ...]:
        """What the receipts say, by partition."""
        return tuple(
            ReceiptsRecord(
                topic=topic,
                partition=partition,
                accounted=seen.offsets,
                processed=seen.counts[0],
                rejected=seen.counts[1],
                dead_lettered=seen.counts[2],
                duplicate_outcomes=seen.duplicate_outcomes,
                jumps=tuple(seen.jumps),
                jumps_left_out=seen.jumps_left_out,
                late=seen.late,
                ended_early=seen.ended_early,
                rejected_at=seen.rejected,
            )
            for (topic, partition), seen in sorted(self._partitions.items())
        )

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """What they say was dealt and moved, by domain and kind."""
        return self._totals


def earliest_end_us(receipt: Receipt, appended_us: int | None) -> int | None:
    """When the events of a receipt can have ended at the earliest (epoch, microseconds), by its append.

    None where nobody knows: no broker says when it appended it, or it is part of a transaction, which ended later.
    """
    if appended_us is None or receipt.transactional:
        return None
    return appended_us - round(RECEIPTED_WITHIN_S[Domain(receipt.domain)] * 1_000_000)


def _follow(seen: _Accounted, instance: str, first: int, last: int, done_us: int) -> None:
    """An instance must go on where it left off, as long as no other one had the partition in between."""
    if instance != seen.instance:
        seen.highest = -1
    elif first <= seen.last_offset or first > seen.highest + 1:
        after = seen.last_offset if first <= seen.last_offset else seen.highest
        if len(seen.jumps) < _MAX_JUMPS:
            seen.jumps.append(Jump(instance=instance, after=after, first=first, from_us=seen.done_us, to_us=done_us))
        else:
            seen.jumps_left_out += 1
    seen.instance, seen.last_offset, seen.done_us = instance, last, done_us
    seen.highest = max(seen.highest, last)
