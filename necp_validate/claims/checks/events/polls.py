"""Checks of how consumers go through a partition: every record, in order, unless the group was rebalanced.

Named after Jepsen's Kafka checker. What a member of the group did follows from its receipts: an instance that goes
ahead or back, with no other one reporting of the partition in between, has made a *jump*. A rebalance explains it,
since members then go on from what was committed; nothing explains a record that nobody ever handled although later
ones were.
"""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.events.rebalances import UNWATCHED_S, domain_of, rebalanced, upset_between
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_readback, need_receipts, recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EVENTS_READ, GROUPS, RECEIPTS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import EVENT_CORE, LOAD
from necp_validate.record import IntervalSet, Jump, ReceiptsRecord, Record, parts

_AROUND_S = 1.0


@check("poll-skip", EVENT_CORE, EVENTS_READ, RECEIPTS, GROUPS)
def poll_skip(history: Record) -> Finding:
    """Records that a consumer passed over: handled by nobody, or only after it had gone on."""
    readback = need_receipts(history)
    anomalies = Anomalies("poll-skip", history)
    records = {(part.topic, part.partition): part.offsets for part in readback.partitions}
    unexplained = _Unexplained(history)
    checked = 0
    for receipts in readback.receipts:
        place, where = (receipts.topic, receipts.partition), f"{receipts.topic}[{receipts.partition}]"
        highest = receipts.accounted.last
        if place not in records or highest is None:
            continue
        offsets = records[place]
        if offsets is None:
            anomalies.doubt(where, "at which offsets its records lie was not recorded")
            continue
        checked += 1
        passed = offsets.difference(receipts.accounted).intersection(IntervalSet([(0, highest)]))
        anomalies.add(passed.count, where, f"never handled, though later ones were: {shown(passed)}")
        ahead = IntervalSet()
        for jump in unexplained.ahead(receipts):
            ahead = ahead.union(IntervalSet([(jump.after + 1, jump.first - 1)]))
        if ahead:
            late = recorded(receipts.late, "late", parts.READBACK)
            ahead = ahead.difference(late).intersection(offsets).difference(passed)
        anomalies.add(ahead.count, where, f"handled only after the consumer had gone on: {shown(ahead)}")
    if unexplained.cannot_say and not anomalies.count:
        raise NoEvidence("consumers went ahead, and the groups were not watched to say whether they were rebalanced")
    return anomalies.finding(
        clean=f"consumers passed over no record in {checked} partitions",
        found="{count} records were passed over by a consumer",
        sees="1 record passed over without a rebalance or a fault",
    )


@check("nonmonotonic-poll", LOAD, EVENTS_READ)
def nonmonotonic_poll(history: Record) -> Finding:
    """Offsets that did not strictly increase for one reader of a partition: the fresh one, or a member of the group."""
    readback = need_readback(history)
    anomalies = Anomalies("nonmonotonic-poll", history)
    for part in readback.partitions:
        detail = f"{part.out_of_order_offsets} times, an offset was not above the one before"
        anomalies.add(part.out_of_order_offsets, f"{part.topic}[{part.partition}]", detail)
    unexplained = _Unexplained(history)
    for receipts in readback.receipts:
        for jump in unexplained.back(receipts):
            detail = f"{jump.instance} went back from offset {jump.after} to {jump.first}"
            anomalies.add(1, f"{receipts.topic}[{receipts.partition}]", detail)
    if unexplained.cannot_say and not anomalies.count:
        raise NoEvidence("consumers went back, and the groups were not watched to say whether they were rebalanced")
    return anomalies.finding(
        clean=f"offsets strictly increase in {len(readback.partitions)} partitions, for every reader",
        found="{count} times, an offset was not above the one before",
        sees="1 record read a second time without a rebalance or a fault",
    )


def _jumps(receipts: ReceiptsRecord) -> tuple[Jump, ...]:
    return recorded(receipts.jumps, "jumps", parts.READBACK)


class _Unexplained:
    """The jumps that neither a rebalance nor a fault explains."""

    def __init__(self, history: Record) -> None:
        self._history = history
        self.cannot_say = False

    def ahead(self, receipts: ReceiptsRecord) -> Iterator[Jump]:
        """Those beyond the next record."""
        domain = domain_of(receipts.topic)
        return (one for one in _jumps(receipts) if one.first > one.after + 1 and not self._explained(domain, one))

    def back(self, receipts: ReceiptsRecord) -> Iterator[Jump]:
        """Those to a record that the instance had handled."""
        domain = domain_of(receipts.topic)
        return (one for one in _jumps(receipts) if one.first <= one.after and not self._explained(domain, one))

    def _explained(self, domain: str, jump: Jump) -> bool:
        from_s, to_s = jump.from_us / 1e6, jump.to_us / 1e6
        # A member that was cut off or stood still joins anew, faster than the group's description shows.
        if upset_between(self._history, from_s, to_s):
            return True
        margin_s = _AROUND_S + UNWATCHED_S
        was = rebalanced(self._history, domain, from_s - margin_s, to_s + margin_s)
        self.cannot_say = self.cannot_say or was is None
        return was is not False
