"""What is due of a campaign of fuzzed events."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.evidence.inventory.counting import (
    Asked,
    Evidence,
    Holding,
    named,
    present,
)
from necp_validate.evidence.subjects import AUDITED
from necp_validate.record import FuzzRecord, Record


def _campaign(history: Record, _: Asked) -> Iterator[Holding]:
    file, record = "history/fuzz.json", history.fuzz
    yield present("record of the campaign", record is not None and record.sent, file)
    if record is not None:
        counted, due = record.events, max(record.asked, _planned_events(history))
        yield Holding(what="fuzzed events with an end", due=due, found=counted, file=f"{file}: groups")
        if any(group.found == "processed" for group in record.of("economy")):
            yield present("books of the economy", any(book.entries for book in record.ledger), f"{file}: ledger")


def _planned_events(history: Record) -> int:
    """How many events the campaign was to send; 0 where a time limit, or what is replayed, decides that."""
    plan = history.run.plan.fuzz
    return 0 if plan is None or plan.replay or plan.max_time_s else plan.events or 0


def _fuzzed(record: FuzzRecord) -> list[str]:
    """The domains that events of the campaign are of."""
    return sorted({group.type_name.partition(".")[0] for group in record.groups})


_ENOUGH_FOR_AN_EFFECT = 100


def _processed(record: FuzzRecord, domain: str) -> int:
    return sum(group.count for group in record.of(domain) if group.found == "processed")


def _effects(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        # The audit trail of somebody else's stack cannot be opened.
        sealed = history.run.target.backend == "external"
        due = (domain for domain in _fuzzed(record) if not (sealed and domain == AUDITED))
        # That valid events were to change nothing can be of a few of them, and of no more.
        found = (
            effect.domain
            for effect in record.effects
            if effect.due or _processed(record, effect.domain) < _ENOUGH_FOR_AN_EFFECT
        )
        yield named("domains whose events' effects were read", due, found, "history/fuzz.json: effects")


def _consumers(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        written: dict[str, int] = {}
        for group in record.groups:
            if group.found not in ("refused", "missing"):
                domain = group.type_name.partition(".")[0]
                written[domain] = written.get(domain, 0) + group.count
        # A topic that ends before all that was written into it was not looked at in the end.
        found = (one.domain for one in record.consumers if one.end >= written.get(one.domain, 0))
        file = "history/fuzz.json: consumers"
        yield named("consumers whose progress was learned", _fuzzed(record), found, file)


def _settings(history: Record, _: Asked) -> Iterator[Holding]:
    record = history.fuzz
    if record is not None:
        yield present("settings of the topics", record.settings, "history/fuzz.json: settings")


CAMPAIGN = Evidence(name="campaign", parts=("fuzz",), count=_campaign)
EFFECTS = Evidence(name="effects of fuzzed events", parts=("fuzz",), count=_effects)
CONSUMERS = Evidence(name="progress of the consumers", parts=("fuzz",), count=_consumers)
SETTINGS = Evidence(name="settings of the topics", parts=("fuzz",), count=_settings)
