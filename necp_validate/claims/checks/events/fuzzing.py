"""Checks of fuzzed events and what they prove of the claims: one outcome each, as an independent oracle has it."""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.claims.checks.registry import Function, check
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.inventory import CAMPAIGN as CAMPAIGN_RECORD
from necp_validate.evidence.inventory import CONSUMERS, CORE_SHUTDOWN, EFFECTS, SETTINGS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import CAMPAIGN, TRANSACTIONAL
from necp_validate.record import FuzzFlaw, FuzzGroup, FuzzRecord, Record
from necp_validate.record.fuzz import DEAD_LETTER, EFFECT, MISSING, OUTCOME, SEVERAL, UNACCOUNTED

_EXAMPLES = 10


def need_fuzz(history: Record) -> FuzzRecord:
    """The record of the campaign.

    Raises:
        NoEvidence: there is none, or not a single event was sent.
    """
    if history.fuzz is None or not history.fuzz.sent:
        raise NoEvidence("no fuzzed event was sent")
    return history.fuzz


def _finding(
    name: str, count: int, *, clean: str, found: str, examples: Iterable[Example] = (), sees: str = "1 event"
) -> Finding:
    return Finding(
        name=name,
        verdict=Verdict.FAIL if count else Verdict.PASS,
        count=count,
        summary=found if count else clean,
        examples=tuple(examples)[:_EXAMPLES],
        sees="" if count else sees,
    )


def _examples(fuzz: FuzzRecord, kind: str) -> list[Example]:
    return [Example(where=flaw.where, detail=example(flaw)) for flaw in fuzz.flaws if flaw.kind == kind]


def example(flaw: FuzzFlaw) -> str:
    """One flaw in a sentence: which event, what is wrong, the smallest event, and how to see it again."""
    what = f"{flaw.type_name}{f' after {flaw.operator}' if flaw.operator else ''}: " if flaw.type_name else ""
    value = flaw.minimal or flaw.value
    shown = f"; {'minimal example' if flaw.minimal else 'event'}: {value}" if value else ""
    again = f"; again: --replay {flaw.file}" if flaw.file else ""
    return f"{what}{flaw.detail}{shown}{again}"


@check("fuzz-unaccounted", CAMPAIGN, CAMPAIGN_RECORD)
def fuzz_unaccounted(history: Record) -> Finding:
    """Events without exactly one outcome, and outcomes of nothing that was sent."""
    fuzz = need_fuzz(history)
    lost = sum(group.count for group in fuzz.groups if group.found in (MISSING, SEVERAL))
    count = max(lost, fuzz.flaw_counts.get(UNACCOUNTED, 0)) + max(fuzz.asked - fuzz.events, 0)
    return _finding(
        "fuzz-unaccounted",
        count,
        clean=f"each of {fuzz.events:,} events ended in exactly one way, or was refused before it was written",
        found=f"{count:,} of {fuzz.asked:,} events are unaccounted for",
        examples=_examples(fuzz, UNACCOUNTED),
    )


@check("fuzz-outcome", CAMPAIGN, CAMPAIGN_RECORD)
def fuzz_outcome(history: Record) -> Finding:
    """Events that ended otherwise than the oracle says."""
    fuzz = need_fuzz(history)
    wrong = sum(g.count for g in fuzz.groups if g.found != g.expected and g.found not in (MISSING, SEVERAL))
    return _finding(
        "fuzz-outcome",
        max(wrong, fuzz.flaw_counts.get(OUTCOME, 0)),
        clean=f"all {fuzz.events:,} events ended as the oracle says: {outcomes(fuzz.groups)}",
        found=f"{wrong:,} of {fuzz.sent:,} events ended otherwise than the oracle says",
        examples=_examples(fuzz, OUTCOME),
    )


@check("fuzz-dead-letter", CAMPAIGN, CAMPAIGN_RECORD)
def fuzz_dead_letter(history: Record) -> Finding:
    """Invalid events whose dead letter is missing, repeated, without a reason, or not the event byte for byte."""
    fuzz = need_fuzz(history)
    count = fuzz.flaw_counts.get(DEAD_LETTER, 0)
    due = sum(group.count for group in fuzz.groups if group.expected == "dead_lettered")
    if not due:
        raise NoEvidence("no invalid event was sent")
    return _finding(
        "fuzz-dead-letter",
        count,
        clean=f"{due:,} dead letters, each once, with its reason, and with key, value and headers as they were sent",
        found=f"{count:,} dead letters are missing, repeated, without a reason, or not what was sent",
        examples=_examples(fuzz, DEAD_LETTER),
    )


@check("fuzz-effect", CAMPAIGN, CAMPAIGN_RECORD, EFFECTS)
def fuzz_effect(history: Record) -> Finding:
    """Something that an event changed and must not have, or did not change and must have; books that do not balance."""
    fuzz = need_fuzz(history)
    if not fuzz.effects:
        raise NoEvidence("what the events changed was not read")
    wrong = sum(effect.differs for effect in fuzz.effects)
    faults = _in_books(fuzz)
    words = [f"{count:,} {name}" for name, count in faults.items() if count]
    words += [f"{e.differs:,} {e.name} ({e.found:,} found, {e.due:,} due)" for e in fuzz.effects if e.differs]
    right = ", ".join(f"{effect.found:,} {effect.name}" for effect in fuzz.effects)
    return _finding(
        "fuzz-effect",
        max(wrong + sum(faults.values()), fuzz.flaw_counts.get(EFFECT, 0)),
        clean=f"{right}: exactly what the valid events were to change, and nothing else",
        found=f"wrong: {', '.join(words)}",
        examples=_examples(fuzz, EFFECT),
    )


def _in_books(fuzz: FuzzRecord) -> dict[str, int]:
    """What is wrong with the economy's books, by what it is."""
    return {
        "covered twice": sum(book.covered_twice for book in fuzz.ledger),
        "booked twice": sum(book.repeated for book in fuzz.ledger),
        "torn": sum(book.torn for book in fuzz.ledger),
        "unfounded": sum(book.unfounded for book in fuzz.ledger),
        "not covered by money": sum(book.overdrawn for book in fuzz.ledger),
    }


@check("fuzz-crash", CAMPAIGN, CAMPAIGN_RECORD, CONSUMERS, CORE_SHUTDOWN)
def fuzz_crash(history: Record) -> Finding:
    """Event cores that died, were started again or lost a thread, and consumers that did not come to the end."""
    fuzz = need_fuzz(history)
    if not fuzz.consumers:
        raise NoEvidence("how far the consumers came was not learned")
    beyond = [one.domain for one in fuzz.consumers if one.committed > one.end]
    if beyond:
        raise NoEvidence(f"more is committed than there is: {', '.join(beyond)}")
    behind = [one for one in fuzz.consumers if one.committed < one.end]
    shutdown = history.core_shutdown
    crashes = [*fuzz.crashes]
    if shutdown is not None and (shutdown.exit_code or not shutdown.healthy_before):
        crashes.append(f"asked to stop, it ended with exit code {shutdown.exit_code}")
    examples = [Example(where="event core", detail=crash) for crash in crashes]
    examples += [
        Example(where=one.domain, detail=f"{one.end - one.committed:,} of {one.end:,} events not committed")
        for one in behind
    ]
    return _finding(
        "fuzz-crash",
        len(examples),
        clean=f"no crash, and the offsets of all {sum(one.end for one in fuzz.consumers):,} records committed",
        found=f"{len(crashes)} crashes, {len(behind)} consumers stalled",
        examples=examples,
    )


def outcomes(groups: Iterable[FuzzGroup]) -> str:
    """How events ended, in words and figures."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.found] = counts.get(group.found, 0) + group.count
    return ", ".join(f"{count:,} {name.replace('_', '-')}" for name, count in sorted(counts.items()))


def _of_domain(domain: str) -> Function:
    def judge(history: Record) -> Finding:
        fuzz = need_fuzz(history)
        groups = fuzz.of(domain)
        effects = [effect for effect in fuzz.effects if effect.domain == domain]
        count = sum(group.count for group in groups)
        if not count or not effects:
            raise NoEvidence(f"no event of {domain} was sent, or its effects were not read")
        flaws = [flaw for flaw in fuzz.flaws if flaw.type_name.startswith(f"{domain}.")]
        wrong = sum(g.count for g in groups if g.found != g.expected) + sum(effect.differs for effect in effects)
        wrong += sum(_in_books(fuzz).values()) if domain == TRANSACTIONAL else 0
        wrong = max(wrong, len(flaws))
        measured = f"{wrong:,} wrong of {count:,} events: {outcomes(groups)}"
        right = ", ".join(f"{effect.found:,} {effect.name}" for effect in effects)
        return _finding(
            f"fuzz-{domain}",
            wrong,
            clean=f"{measured}; {right}, as an independent oracle has them",
            found=f"{measured}; {'; '.join(example(flaw) for flaw in flaws[:2])}",
            examples=[Example(where=flaw.where, detail=example(flaw)) for flaw in flaws],
            sees=f"1 of {count:,} events with another end or effect than the oracle's",
        )

    judge.__doc__ = f"Fuzzed events of {domain}, each against an independent oracle, and what they changed."
    return judge


for _domain in ("combat", "economy", "social", "system"):
    check(f"fuzz-{_domain}", CAMPAIGN, CAMPAIGN_RECORD)(_of_domain(_domain))


@check("topic-settings", CAMPAIGN, CAMPAIGN_RECORD, SETTINGS)
def topic_settings(history: Record) -> Finding:
    """Settings of the topics that are not as claimed, as a broker describes them."""
    fuzz = need_fuzz(history)
    settings = tuple(one for one in fuzz.settings if one.claimed)
    if not settings:
        raise NoEvidence("the settings of the topics were not learned")
    due = [f"game.{one.domain}.events" for one in fuzz.consumers]
    missing = [topic for topic in due if topic not in {one.topic for one in settings}]
    if missing:
        learned = f"{len(due) - len(missing)} of {len(due)} topics of events"
        raise NoEvidence(f"the settings of {learned} were learned, not those of {', '.join(missing)}")
    wrong = [f"{one.topic}: {name} is {found or 'not set'}" for one in settings for name, found in one.wrong.items()]
    return _finding(
        "topic-settings",
        len(wrong),
        clean=f"settings of {len(settings)} topics as claimed",
        found="; ".join(wrong),
        sees=f"1 setting of {sum(len(one.claimed) for one in settings)} that differs",
    )
