"""Reconciliation: the offsets that the event core has committed, against outcomes and ledger that it has written.

Meant for consumers that are paused: then everything read is settled, and the three must agree to the last event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from necp_validate.core.intervals import IntervalSet
from necp_validate.events.topics import Domain

Place = tuple[str, int]
"""Topic and number of a partition."""


def differences(
    committed: Mapping[Place, int], outcomes: Mapping[Place, IntervalSet], booked: Mapping[int, IntervalSet], torn: int
) -> list[str]:
    """Say where the books disagree; nothing if they agree.

    Args:
        committed: next offset of the consumer group, by partition.
        outcomes: offsets with an outcome in the receipts, by partition.
        booked: offsets that the economy's ledger covers, by partition of its events.
        torn: trades in the ledger of which a leg is missing.
    """
    found = [f"{torn:,} trades in the ledger lack a leg"] if torn else []
    for place in sorted(committed.keys() | outcomes.keys()):
        found += _of_partition(place, committed.get(place, 0), outcomes.get(place, IntervalSet()))
    topic = Domain.ECONOMY.topic
    for number in sorted(booked.keys() | {number for name, number in outcomes if name == topic}):
        said, covered = outcomes.get((topic, number), IntervalSet()), booked.get(number, IntervalSet())
        odd = said.difference(covered).count + covered.difference(said).count
        if odd:
            found.append(f"{topic}-{number}: {odd:,} events are in only one of receipts and ledger")
    return found


def _of_partition(place: Place, committed: int, outcomes: IntervalSet) -> Iterator[str]:
    name = f"{place[0]}-{place[1]}"
    until = IntervalSet([(0, committed - 1)]) if committed > 0 else IntervalSet()
    if missing := until.difference(outcomes).count:
        yield f"{name}: {missing:,} events before the committed offset {committed:,} have no outcome"
    if beyond := outcomes.difference(until).count:
        yield f"{name}: {beyond:,} events with an outcome are not committed (at {committed:,})"
