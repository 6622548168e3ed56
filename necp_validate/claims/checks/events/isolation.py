"""Checks of what transactions showed to a reader of committed records, in the terms of Adya and Jepsen."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_loads, need_receipts, recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import RECEIPTS, SENDERS, TIMELINE
from necp_validate.evidence.inventory import TRANSACTIONS as EVENTS_OF_THEIRS
from necp_validate.evidence.subjects import TRANSACTIONAL, TRANSACTIONS
from necp_validate.record import IntervalSet, Record, parts


@check("aborted-read", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS, RECEIPTS, TIMELINE)
def aborted_read(history: Record) -> Finding:
    """G1a: outcomes that a reader of committed records saw, and that are not there in the end."""
    loads, readback = need_loads(history), need_receipts(history)
    anomalies = Anomalies("aborted-read", history)
    kept = {(record.topic, record.partition): record.accounted for record in readback.receipts}
    seen: dict[tuple[str, int], IntervalSet] = {}
    for load in loads:
        if load.lost_us is not None:
            continue
        for one in recorded(load.outcomes_seen, "outcomes_seen", parts.LOADS, load.worker):
            place = (one.topic, one.partition)
            seen[place] = seen.get(place, IntervalSet()).union(one.seen)
            gone = one.seen.difference(kept[place]) if place in kept else one.seen
            detail = f"worker {load.worker} saw outcomes that no committed transaction holds: {shown(gone)}"
            anomalies.add(gone.count, f"{one.topic}[{one.partition}]", detail)
    ended = sum((row.processed or 0) + (row.rejected or 0) for row in history.timeline if row.domain == TRANSACTIONAL)
    seen_by_all = sum(one.count for one in seen.values())
    if ended > seen_by_all:
        anomalies.doubt("transactions", f"{ended:,} events of theirs ended, {seen_by_all:,} were recorded")
    return anomalies.finding(
        clean=f"all {seen_by_all:,} outcomes that were seen as committed are in committed transactions",
        found=f"{{count}} of {seen_by_all:,} outcomes that were seen as committed are in no committed transaction",
        sees=f"1 of {seen_by_all:,} outcomes",
    )


@check("precommitted-read", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS)
def precommitted_read(history: Record) -> Finding:
    """Records of a transaction that a reader of committed records got before the transaction had ended."""
    loads = need_loads(history)
    anomalies = Anomalies("precommitted-read", history)
    for load in loads:
        detail = f"{load.precommitted_reads} receipts with nothing behind them in the log, not even their commit"
        anomalies.add(load.precommitted_reads, f"worker {load.worker}", detail)
    return anomalies.finding(
        clean="no record of a transaction was seen before the transaction's end was written",
        found="{count} records of transactions were seen before the transaction's end was written",
        sees="1 receipt shown before its transaction had ended",
    )
