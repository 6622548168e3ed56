"""Checks of what transactions showed to a reader of committed records, in the terms of Adya and Jepsen."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, need_loads, shown
from necp_validate.claims.checks.events.handling import need_receipts
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.core import Finding
from necp_validate.record import History

TRANSACTIONAL = "economy"
"""The domain whose outputs, receipts and offsets are written in transactions."""


def no_transactions(history: History, name: str) -> Finding | None:
    """The finding of a check of transactions over a run without any; ``None`` if there may have been some."""
    if TRANSACTIONAL in history.domains:
        return None
    anomalies = Anomalies(name, history)
    return anomalies.finding(clean=f"there was no {TRANSACTIONAL} traffic", found="", needs_all_workers=False)


@check("aborted-read")
def aborted_read(history: History) -> Finding:
    """G1a: outcomes that a reader of committed records saw, and that are not there in the end."""
    if (none := no_transactions(history, "aborted-read")) is not None:
        return none
    loads, readback = need_loads(history), need_receipts(history)
    anomalies = Anomalies("aborted-read", history)
    kept = {(record.topic, record.partition): record.accounted for record in readback.receipts}
    watched = [load for load in loads if load.outcomes_seen is not None]
    if not watched:
        raise NoEvidence("no load worker recorded the transactions that it saw")
    seen_by_all = 0
    for load in watched:
        for one in load.outcomes_seen or ():
            seen_by_all += one.seen.count
            place = (one.topic, one.partition)
            gone = one.seen.difference(kept[place]) if place in kept else one.seen
            detail = f"worker {load.worker} saw outcomes that no committed transaction holds: {shown(gone)}"
            anomalies.add(gone.count, f"{one.topic}[{one.partition}]", detail)
    return anomalies.finding(
        clean=f"all {seen_by_all:,} outcomes that were seen as committed are in committed transactions",
        found=f"{{count}} of {seen_by_all:,} outcomes that were seen as committed are in no committed transaction",
    )


@check("precommitted-read")
def precommitted_read(history: History) -> Finding:
    """Records of a transaction that a reader of committed records got before the transaction had ended."""
    if (none := no_transactions(history, "precommitted-read")) is not None:
        return none
    loads = need_loads(history)
    if all(load.outcomes_seen is None for load in loads):
        raise NoEvidence("no load worker recorded the transactions that it saw")
    anomalies = Anomalies("precommitted-read", history)
    for load in loads:
        detail = f"{load.precommitted_reads} receipts with nothing behind them in the log, not even their commit"
        anomalies.add(load.precommitted_reads, f"worker {load.worker}", detail)
    return anomalies.finding(
        clean="no record of a transaction was seen before the transaction's end was written",
        found="{count} records of transactions were seen before the transaction's end was written",
    )
