"""Checks of events that are bad on purpose: cheats and invalid ones, against what became of them."""

from __future__ import annotations

from collections.abc import Collection

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable, shown
from necp_validate.claims.checks.events.handling import PlantedOutcome, add_planted, planted_outcome
from necp_validate.claims.checks.events.totals import totals_due
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_receipts, recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import DEAD_LETTERS, EVENTS_READ, RECEIPTS, SENDERS
from necp_validate.evidence.load_workers import unheard_workers
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import EVENT_CORE, PLANTED
from necp_validate.record import IntervalSet, Record, parts


@check("planted-cheats", PLANTED, SENDERS, EVENTS_READ, RECEIPTS)
def planted_cheats(history: Record) -> Finding:
    """Known cheats in the combat stream that were not rejected, or other events that were."""
    outcome = planted_outcome(history, "combat", "cheat")
    if not outcome.planted:
        return not_applicable("planted-cheats", "no cheat was planted among the combat events")
    anomalies = Anomalies("planted-cheats", history)
    words = f"{outcome.ended:,} rejected of {outcome.planted:,} planted cheats"
    add_planted(anomalies, history, "combat", words, outcome)
    _rejected_by_identity(history, anomalies)
    note = _bounds(outcome, f"{words}, counted from the event core's receipts, read back")
    return anomalies.finding(
        clean=note, found=note, measured=words, sees="1 cheat let through, or 1 honest event rejected"
    )


@check("damage-total", EVENT_CORE, SENDERS, EVENTS_READ, RECEIPTS)
def damage_total(history: Record) -> Finding:
    """Damage that the event core dealt, against what the hits that were sent add up to."""
    name, readback, due = "damage-total", history.readback, totals_due(history, "combat")
    totals = {} if readback is None else recorded(readback.totals, "totals", parts.READBACK)
    if due is None:
        words = "damage is not comparable: not every combat event was acked and handled exactly once"
        return not_applicable(name, words)
    dealt, expected = totals.get("combat", {}).get("damage", 0), due.get("damage", 0)
    anomalies = Anomalies(name, history)
    words = f"{dealt:,} points of damage dealt, {expected:,} by the model for the hits that were sent"
    anomalies.add(abs(dealt - expected), "combat", words)
    return anomalies.finding(clean=words, found=words, sees=f"1 of {expected:,} points of damage too many or too few")


@check("planted-poison", PLANTED, SENDERS, EVENTS_READ, RECEIPTS, DEAD_LETTERS)
def planted_poison(history: Record) -> Finding:
    """Planted invalid events of every domain, against outcomes and records in the dead-letter topics."""
    outcomes = {domain: planted_outcome(history, domain, "poison") for domain in history.domains}
    planted = sum(outcome.planted for outcome in outcomes.values())
    if history.readback is None:
        raise NoEvidence("nothing was read back")
    if not planted:
        return not_applicable("planted-poison", "no invalid event was planted")
    anomalies = Anomalies("planted-poison", history)
    for domain, outcome in outcomes.items():
        words = f"{outcome.ended:,} dead-lettered of {outcome.planted:,} planted"
        add_planted(anomalies, history, domain, words, outcome)
    ended, records = (
        sum(one.ended for one in outcomes.values()),
        sum(recorded(history.readback.dead_letters, "dead_letters", parts.READBACK).values()),
    )
    lowest, highest = (sum(getattr(one, side) for one in outcomes.values()) for side in ("low", "high"))
    if not lowest <= records <= highest:
        anomalies.add(max(lowest - records, records - highest), "dead-letter topics", f"{records:,} records are there")
    measured = f"{ended:,} of {planted:,} dead-lettered, {records:,} records in the dead-letter topics"
    _set_aside_by_identity(history, anomalies)
    note = f"{measured}, from receipts and dead-letter topics, read back, one by one"
    if fuzz := sum(history.planted("fuzz", domain) for domain in history.domains):
        note += f"; {fuzz:,} of them by mutation operators on what Hypothesis drew"
    return anomalies.finding(clean=note, found=note, measured=measured, sees="1 invalid event that was not set aside")


def _rejected_by_identity(history: Record, anomalies: Anomalies) -> None:
    """Which events were rejected, one by one: every planted cheat in the log, and no other event of the load's."""
    readback = need_receipts(history)
    topics = {topic for topic, domain in history.domain_of_topic.items() if domain == "combat"}
    receipts = {(one.topic, one.partition): one for one in readback.receipts}
    # Players hit whom they see, by the state that they see: theirs may be rejected.
    played = any(stream.sent for one in history.players for stream in one.streams if stream.domain == "combat")
    all_known = _plants_known(history, anomalies, topics)
    for part in readback.partitions:
        where = f"{part.topic}[{part.partition}]"
        found = receipts.get((part.topic, part.partition))
        if part.topic not in topics or found is None:
            continue
        cheats, rejected = part.cheats, found.rejected_at
        if cheats is None or rejected is None:
            anomalies.doubt(where, "which of its events are cheats, or were rejected, was not recorded")
            continue
        passed = cheats.intersection(found.accounted).difference(rejected)
        anomalies.add(passed.count, where, f"planted cheats that were let through, at offsets {shown(passed)}")
        if all_known and not played:
            honest = rejected.difference(cheats)
            anomalies.add(honest.count, where, f"honest events that were rejected, at offsets {shown(honest)}")


def _set_aside_by_identity(history: Record, anomalies: Anomalies) -> None:
    """Which events were set aside, one by one: every planted one in the log, no other, each byte for byte."""
    readback = need_receipts(history)
    if readback.letters is None:
        anomalies.doubt("dead-letter topics", "which events they hold was not recorded")
        return
    letters: dict[str, IntervalSet] = {}
    for one in readback.letters:
        anomalies.add(one.altered, one.topic, f"{one.altered:,} records are not what was sent, by checksum or key")
        if not unheard_workers(history):
            anomalies.add(one.unknown_records, one.topic, f"{one.unknown_records:,} records are no event that was sent")
        for name, numbers in one.streams.items():
            letters[name] = letters.get(name, IntervalSet()).union(numbers)
    _plants_known(history, anomalies, history.domain_of_topic)
    planted_by = {stream.stream: stream.planted for load in history.planting for stream in load.streams}
    for stream in (stream for sender in history.senders for stream in sender.streams):
        bad = planted_by.get(stream.stream, {})
        if bad is None:
            continue
        where, there = f"{stream.topic}: stream {stream.stream}", readback.streams.get(stream.stream)
        planted = bad.get("poison", IntervalSet()).union(bad.get("fuzz", IntervalSet()))
        found = letters.get(stream.stream, IntervalSet())
        missing = planted.intersection(there.read if there is not None else IntervalSet()).difference(found)
        anomalies.add(missing.count, where, f"planted and not set aside: events {shown(missing)}")
        valid = found.difference(planted)
        anomalies.add(valid.count, where, f"set aside although nothing is wrong with them: events {shown(valid)}")


def _plants_known(history: Record, anomalies: Anomalies, topics: Collection[str]) -> bool:
    """Whether it is known of every stream to some topics which of its events are bad: else theirs may be so, too."""
    streams = [stream for load in history.planting for stream in load.streams if stream.topic in topics]
    unknown, workers = [stream.stream for stream in streams if stream.planted is None], unheard_workers(history)
    if unknown:
        anomalies.doubt(f"stream {unknown[0]}", f"of {len(unknown)} streams it is not known which events were planted")
    if workers:
        anomalies.doubt("load workers", f"{workers} left no record: what they planted is not known")
    return not unknown and not workers


def _bounds(outcome: PlantedOutcome, note: str) -> str:
    if outcome.low == outcome.high:
        return note
    return f"{note}; {outcome.low:,} to {outcome.high:,} expected, as some were not acked or occur twice"
