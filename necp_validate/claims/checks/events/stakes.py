"""What the events that were sent must have dealt and moved in total, where that can be known."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import need_senders
from necp_validate.claims.checks.events.handling import need_receipts
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import History


def stakes_due(history: History, domain: str) -> dict[str, int] | None:
    """Totals of damage, money and goods that a domain's events add up to if each was processed once.

    Returns:
        The totals; ``None`` if an event was not sent, not acked, or not handled exactly once, since nobody knows
        which, or if the load did not add them up.
    """
    loads, readback = need_senders(history), need_receipts(history)
    streams = [stream for load in loads for stream in load.streams if stream.domain == domain]
    topics = {stream.topic for stream in streams}
    sent = sum(stream.sent for stream in streams)
    handled = [receipts for receipts in readback.receipts if receipts.topic in topics]
    scheduled = sum(history.counts(phase.name, [domain]).scheduled for phase in history.phases)
    # What players do follows from what they see: only the load has a schedule of its events.
    by_load = sum(stream.sent for load in history.loads for stream in load.streams if stream.domain == domain)
    known = scheduled == by_load and all(
        domain in load.stakes for load in loads if any(s.domain == domain for s in load.streams)
    )
    once = not any(receipts.duplicate_outcomes for receipts in handled)
    all_acked = sent == sum(stream.acked.count for stream in streams)
    all_handled = sent == sum(receipts.accounted.count for receipts in handled)
    if missing_workers(history) or not (streams and known and once and all_acked and all_handled):
        return None
    totals: dict[str, int] = {}
    for load in loads:
        for name, amount in load.stakes.get(domain, {}).items():
            totals[name] = totals.get(name, 0) + amount
    return totals
