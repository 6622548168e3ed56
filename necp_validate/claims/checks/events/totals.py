"""What the events that were sent must have dealt and moved in total, where that can be known."""

from __future__ import annotations

from necp_validate.claims.needs import need_receipts, need_senders
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Record


def totals_due(history: Record, domain: str) -> dict[str, int] | None:
    """Totals of damage, money and goods that a domain's events add up to if each was processed once.

    Returns:
        The totals; ``None`` if an event was not sent, not acked, or not handled exactly once, since nobody knows
        which.

    Raises:
        NoEvidence: a sender did not add them up.
    """
    loads, readback = need_senders(history), need_receipts(history)
    streams = [stream for load in loads for stream in load.streams if stream.domain == domain]
    topics = {stream.topic for stream in streams}
    sent = sum(stream.sent for stream in streams)
    handled = [receipts for receipts in readback.receipts if receipts.topic in topics]
    scheduled = sum(history.counts(phase.name, [domain]).scheduled for phase in history.phases)
    # What players do follows from what they see: only the load has a schedule of its events.
    by_load = sum(stream.sent for load in history.loads for stream in load.streams if stream.domain == domain)
    once = not any(receipts.duplicate_outcomes for receipts in handled)
    all_acked = sent == sum(stream.acked.count for stream in streams)
    all_handled = sent == sum(receipts.accounted.count for receipts in handled)
    if not (streams and scheduled == by_load and once and all_acked and all_handled):
        return None
    totals: dict[str, int] = {}
    for load in loads:
        if any(stream.sent for stream in load.streams if stream.domain == domain):
            due = (load.expected_totals or {}).get(domain)
            if due is None:
                raise NoEvidence(f"what the events of {load.worker} in {domain} must add up to was not recorded")
            for name, amount in due.items():
                totals[name] = totals.get(name, 0) + amount
    return totals
