"""Checks of what the event core did with each event: exactly one outcome, none missing, none twice."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.events.rebalances import domain_of, rebalanced
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_receipts, need_senders, recorded
from necp_validate.core import Finding
from necp_validate.evidence.guarantees import AT_LEAST_ONCE, Setting
from necp_validate.evidence.inventory import (
    DEAD_LETTERS,
    EVENTS_READ,
    EXPLAINING_FAULTS,
    EXPLAINING_GROUPS,
    RECEIPTS,
    SENDERS,
)
from necp_validate.evidence.load_workers import unheard_workers
from necp_validate.evidence.subjects import EVENT_CORE
from necp_validate.record import IntervalSet, PartitionRead, Readback, ReceiptsRecord, Record, parts


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedOutcome:
    """Deliberately bad events of one domain against what became of them.

    Args:
        kind: ``cheat`` or ``poison``.
        planted: sent by the load.
        ended: events of the domain with the outcome that this kind must have.
        low: fewest that may end so: planted ones without an ack may not have been written.
        high: most that may end so: records written or handled twice count twice.
    """

    kind: str
    planted: int
    ended: int
    low: int
    high: int

    @property
    def holds(self) -> bool:
        """Whether as many ended so as were planted."""
        return self.low <= self.ended <= self.high


def planted_outcome(history: Record, domain: str, kind: str) -> PlantedOutcome:
    """How many planted ``cheat`` or ``poison`` events of a domain ended as they must.

    Raises:
        NoEvidence: nothing was read back, or there are no receipts.
    """
    readback = need_receipts(history)
    streams = [stream for load in history.senders for stream in load.streams if stream.domain == domain]
    topics = {stream.topic for stream in streams}
    receipts = [receipt for receipt in readback.receipts if receipt.topic in topics]
    planted = history.planted(kind, domain)
    if kind == "poison":
        planted += history.planted("fuzz", domain)  # invalid as well, by mutation
    # Of the events of others (players, services), none is planted: that theirs may not have been written says nothing.
    planting = [stream for load in history.planting for stream in load.streams]
    unacked = sum(stream.sent - stream.acked.count for stream in planting if stream.domain == domain)
    twice = sum(receipt.duplicate_outcomes for receipt in receipts)
    twice += sum(readback.streams[s.stream].duplicates for s in streams if s.stream in readback.streams)
    if kind == "cheat":
        ended = sum(receipt.rejected for receipt in receipts)
    else:
        ended = sum(receipt.dead_lettered for receipt in receipts)
    low = max(planted - unacked, 0)
    return PlantedOutcome(kind=kind, planted=planted, ended=ended, low=low, high=planted + twice)


def add_planted(anomalies: Anomalies, history: Record, where: str, detail: str, found: PlantedOutcome) -> None:
    """Count planted events that did not end as they must; a load worker without a record may have planted more."""
    if found.holds:
        return
    if unheard_workers(history):
        anomalies.doubt(where, f"{detail}; {unheard_workers(history)} load workers left no record")
    else:
        anomalies.add(max(abs(found.ended - found.planted), 1), where, detail)


@check("conservation", EVENT_CORE, SENDERS, EVENTS_READ, RECEIPTS, DEAD_LETTERS)
def conservation(history: Record) -> Finding:
    """Every record read has an outcome, nothing else has one, and the planted ones have theirs."""
    loads, readback = need_senders(history), need_receipts(history)
    anomalies = Anomalies("conservation", history)
    topics = history.domain_of_topic
    receipts = {(r.topic, r.partition): r for r in readback.receipts}
    partitions = {(p.topic, p.partition): p for p in readback.partitions if p.topic in topics}
    for place in sorted(partitions.keys() | {place for place in receipts if place[0] in topics}):
        _conserve_partition(anomalies, place, partitions.get(place), receipts.get(place))
    for domain in sorted({stream.domain for load in loads for stream in load.streams}):
        for kind, outcome in (("cheat", "rejected"), ("poison", "dead-lettered")):
            planted = planted_outcome(history, domain, kind)
            detail = f"{planted.planted} {kind} events planted, but {planted.ended} events {outcome}"
            add_planted(anomalies, history, f"domain {domain}", detail, planted)
    for topic in sorted(topics):
        _conserve_dead_letters(anomalies, topic, readback)
    accounted = sum(receipt.accounted.count for receipt in readback.receipts)
    return anomalies.finding(
        clean=f"each of {accounted:,} records has an outcome, and the planted ones have theirs",
        found="{count} records without the outcome they must have",
        sees=f"1 of {accounted:,} records without an outcome, or with a wrong one if it was planted",
    )


def _conserve_partition(
    anomalies: Anomalies, place: tuple[str, int], part: PartitionRead | None, receipt: ReceiptsRecord | None
) -> None:
    where = f"{place[0]}[{place[1]}]"
    accounted = receipt.accounted if receipt else IntervalSet()
    read = part.read if part else 0
    if part is not None and part.offsets is not None:
        missing, extra = part.offsets.difference(accounted), accounted.difference(part.offsets)
        anomalies.add(missing.count, where, f"records without an outcome at offsets {shown(missing)}")
        anomalies.add(extra.count, where, f"outcomes for offsets that hold no record: {shown(extra)}")
    else:
        anomalies.add(read - accounted.count, where, f"{read} records read, {accounted.count} have an outcome")
        anomalies.add(accounted.count - read, where, f"{accounted.count} outcomes for {read} records read")
    if receipt is not None:
        outcomes = receipt.processed + receipt.rejected + receipt.dead_lettered
        ended = outcomes - receipt.duplicate_outcomes
        if ended != accounted.count:
            repeated = receipt.duplicate_outcomes
            detail = f"{outcomes} outcomes, {repeated} of them repeated, for {accounted.count} offsets"
            anomalies.add(abs(ended - accounted.count), where, detail)


def _conserve_dead_letters(anomalies: Anomalies, topic: str, readback: Readback) -> None:
    receipts = [receipt for receipt in readback.receipts if receipt.topic == topic]
    said = sum(receipt.dead_lettered for receipt in receipts)
    repeated = sum(receipt.duplicate_outcomes for receipt in receipts)
    found = recorded(readback.dead_letters, "dead_letters", parts.READBACK).get(f"{topic}.dlt", 0)
    if not said - repeated <= found <= said:
        detail = f"{said} events said to be dead-lettered, but {found} records are there"
        anomalies.add(abs(said - found), f"{topic}.dlt", detail)


@check("handled-twice", EVENT_CORE, EVENTS_READ, RECEIPTS, EXPLAINING_GROUPS, EXPLAINING_FAULTS)
def handled_twice(history: Record) -> Finding:
    """Records with more than one outcome; only a restart or a rebalance explains them, in domains of at least once."""
    readback = need_receipts(history)
    anomalies = Anomalies("handled-twice", history)
    rebalances: dict[str, bool | None] = {}
    for receipt in readback.receipts:
        if not receipt.duplicate_outcomes:
            continue
        domain = domain_of(receipt.topic)
        detail = f"{receipt.duplicate_outcomes} outcomes for records that had one"
        where = f"{receipt.topic}[{receipt.partition}]"
        if domain not in rebalances:
            # In other domains nothing explains it, so that nothing need be known of the group.
            rebalances[domain] = _rebalanced(history, domain) if domain in AT_LEAST_ONCE else False
        rebalanced = rebalances[domain]
        if rebalanced is None:
            anomalies.doubt(where, f"{detail}, and nobody could describe the group for a while: it may have rebalanced")
        else:
            anomalies.add(
                receipt.duplicate_outcomes, where, detail, setting=Setting(domain=domain, rebalanced=rebalanced)
            )
    accounted = sum(receipt.accounted.count for receipt in readback.receipts)
    return anomalies.finding(
        clean=f"none of {accounted:,} records was handled twice",
        found=f"{{count}} outcomes repeat one of {accounted:,} records",
        sees=f"1 of {accounted:,} records handled again",
    )


def _rebalanced(history: Record, domain: str) -> bool | None:
    """Whether a domain's group rebalanced after the load had begun."""
    begin_us = min((phase.start_us for phase in history.phases), default=0)
    end_us = max((phase.end_us for phase in history.phases), default=0)
    last_s = max((one.t for one in history.groups), default=0.0)
    return rebalanced(history, domain, begin_us / 1e6, max(end_us / 1e6, last_s))
