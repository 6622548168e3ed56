"""Silences while events waited: of a partition's acks, and of a domain's outcomes; and offsets that went back."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from necp_validate.record.model import OutcomeGap, PartitionGap

GAP_US = 500_000
"""A shorter silence is a hiccup that is not worth a line."""

OUTCOME_GAP_US = 1_000_000
"""So long must nothing be heard of what becomes of events."""

_STEP_US = 250_000
_REMEMBERED = 600  # steps: longer than any event may wait for its ack


@dataclass(slots=True)
class _Partition:
    last_ack_us: int | None = None
    waiting_since_us: int | None = None  # of an event that failed: others may wait behind it
    highest: int = -1
    step_us: int = 0
    known: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class PartitionWatch:
    """Watches the acks of one domain by partition; memory follows the silences and the partitions.

    Args:
        domain: the domain's name.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.gaps: list[PartitionGap] = []
        self.acked_below_known = 0
        self._partitions: dict[int, _Partition] = {}

    def acked(self, partition: int, intended_us: int, now_us: int, first: int, last: int) -> None:
        """Note an ack of a run of events that were due together.

        The run is the oldest that waited, since a partition's events are acked in order. So nothing was acked from
        the last ack, or from when the run was due if that is later, until now.

        Args:
            partition: where the run lies.
            intended_us: when it was due (epoch).
            now_us: when it was acked (epoch).
            first, last: its offsets; negative if the ack did not say.
        """
        at = self._partitions.get(partition)
        if at is None:
            at = self._partitions[partition] = _Partition()
        since_us = intended_us if at.waiting_since_us is None else min(at.waiting_since_us, intended_us)
        if at.last_ack_us is not None:
            since_us = max(since_us, at.last_ack_us)
        if now_us - since_us > GAP_US:
            self._gap(partition, since_us, now_us)
        at.last_ack_us, at.waiting_since_us = now_us, None
        if first < 0:
            return
        if first <= at.highest:
            self.acked_below_known += first <= _known_at(at, intended_us)
        elif now_us - at.step_us >= _STEP_US:
            at.known.append((now_us, last))
            at.step_us = now_us
        at.highest = max(at.highest, last)

    def failed(self, partition: int, intended_us: int) -> None:
        """Note an event that will not be acked; ``partition`` is -1 if it never had one."""
        if partition < 0:
            return
        at = self._partitions.setdefault(partition, _Partition())
        if at.waiting_since_us is None or intended_us < at.waiting_since_us:
            at.waiting_since_us = intended_us

    def close(self) -> None:
        """End the watch: where the last thing heard was a failure, the silence never ended."""
        for partition, at in sorted(self._partitions.items()):
            if at.waiting_since_us is not None:
                self._gap(partition, max(at.waiting_since_us, at.last_ack_us or 0), None)

    def _gap(self, partition: int, from_us: int, to_us: int | None) -> None:
        self.gaps.append(PartitionGap(domain=self.domain, partition=partition, from_us=from_us, to_us=to_us))


class OutcomeWatch:
    """Watches the outcomes of one domain's acknowledged events, by when they are seen here, whatever they say of time.

    Args:
        domain: the domain's name.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.gaps: list[OutcomeGap] = []
        self.left = 0  # events that wait
        self._since_us = 0

    def waiting(self, events: int, now_us: int) -> None:
        """Note events that were acknowledged, and wait for their outcome from now on."""
        if not self.left:
            self._since_us = now_us
        self.left += events

    def ended(self, events: int, now_us: int) -> None:
        """Note events whose outcome was seen."""
        self._end(now_us, now_us)
        self.left -= events
        self._since_us = max(self._since_us, now_us)

    def close(self, now_us: int) -> None:
        """End the watch: a silence that goes on has no end."""
        self._end(now_us, None)

    def _end(self, now_us: int, to_us: int | None) -> None:
        if self.left > 0 and now_us - self._since_us >= OUTCOME_GAP_US:
            self.gaps.append(OutcomeGap(domain=self.domain, from_us=self._since_us, to_us=to_us))


def _known_at(at: _Partition, ts_us: int) -> int:
    """The highest offset that was known for certain at a time; -1 if none is remembered.

    An event is sent when it is due or later, so what was known when it was due was known before it was sent.
    """
    index = bisect_right(at.known, ts_us, key=lambda step: step[0]) - 1
    return at.known[index][1] if index >= 0 else -1
