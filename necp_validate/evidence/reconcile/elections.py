"""A leader changes under a fault, or when its fault is over."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.evidence.reconcile.discrepancy import READING, Discrepancy, since_begin
from necp_validate.record import Record

_AFTER_FAULT_S = 330.0
"""Within which leadership returns to the preferred replicas after a fault: brokers look for that every 300 s
(``leader.imbalance.check.interval.seconds``), wherever in that interval the fault was over."""


def elections_have_causes(history: Record) -> Iterator[Discrepancy]:
    """A leader changes under a fault, or when its fault is over; and the log has no epoch that no broker told of."""
    newest: dict[tuple[str, int], int] = {}
    for sample in sorted(history.leaders, key=lambda one: one.t):
        if sample.epoch is None:
            continue
        place = (sample.topic, sample.partition)
        if place in newest and sample.epoch > newest[place] and not _caused(history, sample.t):
            when = f"{since_begin(history, sample.t)} (epoch {sample.epoch}, metrics/leaders.csv)"
            detail = f"a new leader at {when}, and no fault that explains it (history/faults.jsonl)"
            where = f"{sample.topic}-{sample.partition}"
            yield Discrepancy(where=where, detail=detail, parts=("leaders", "faults"))
        newest[place] = max(sample.epoch, newest.get(place, 0))
    for part in (history.readback.epochs or ()) if history.readback is not None else ():
        known = newest.get((part.topic, part.partition))
        if known is not None and part.highest > known and not history.faults:
            seen = f"records of leader epoch {part.highest} ({READING}: epochs)"
            detail = f"{seen}, newest known {known} (metrics/leaders.csv)"
            yield Discrepancy(where=f"{part.topic}-{part.partition}", detail=detail, parts=("leaders", "readback"))


def _caused(history: Record, at_s: float) -> bool:
    return any(
        fault.upsets
        and fault.begin_us / 1e6 - 1.0 <= at_s
        and (fault.end_us is None or at_s <= fault.end_us / 1e6 + _AFTER_FAULT_S)
        for fault in history.faults
    )
