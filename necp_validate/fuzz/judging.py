"""Compares what was sent with what became of it: every event in exactly one place, and nothing else changed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from necp_validate.events.base import REASONS
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case, Expected
from necp_validate.fuzz.observed import DeadLetterSeen, Observed, Place
from necp_validate.fuzz.oracle import Oracle
from necp_validate.record.fuzz import (
    DEAD_LETTER,
    EFFECT,
    MISSING,
    OUTCOME,
    SEVERAL,
    UNACCOUNTED,
    FuzzEffect,
    FuzzFlaw,
    FuzzGroup,
)

PRODUCER_BYTES = 950_000
"""A record of up to so many bytes is not too large for a producer, whatever it adds of its own."""

FLAWS_KEPT = 20
"""Of each kind so many are kept with their events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event that the brokers acknowledged, and where."""

    case: Case
    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A flaw with the event that it was found in; None where no single event is at fault."""

    kind: str
    detail: str
    sent: Sent | None
    expected: str = ""
    found: str = ""

    def plain(self, *, minimal: str = "", file: str = "") -> FuzzFlaw:
        """As the history keeps it."""
        sent = self.sent
        headers = sent.case.headers if sent else ()
        return FuzzFlaw(
            kind=self.kind,
            type_name=sent.case.type_name if sent else "",
            operator=sent.case.operator if sent else "",
            topic=sent.topic if sent else "",
            partition=sent.partition if sent else -1,
            offset=sent.offset if sent else -1,
            expected=self.expected,
            found=self.found,
            detail=self.detail,
            key=readable(sent.case.key) if sent else "",
            value=readable(sent.case.value) if sent else "",
            headers=", ".join(f"{name}={readable(content, 100)}" for name, content in headers)[:1_000],
            minimal=minimal,
            file=file,
        )


@dataclass(slots=True)
class Judged:
    """What came of a set of events."""

    groups: tuple[FuzzGroup, ...]
    flaws: list[Flaw] = field(default_factory=list)
    flaw_counts: Counter[str] = field(default_factory=Counter)
    effects: tuple[FuzzEffect, ...] = ()


def readable(content: bytes | None, most: int = 2_000) -> str:
    """Bytes for a person: text where it is, escapes elsewhere; the middle of long ones left out."""
    if content is None:
        return "null"
    if len(content) > most:
        half = most // 2
        left_out = len(content) - 2 * half
        return f"{readable(content[:half])} … {left_out} bytes … {readable(content[-half:])}"
    return content.decode(errors="backslashreplace")


def judge(sent: Iterable[Sent], observed: Observed, refused: Sequence[Case] = ()) -> Judged:
    """Judge a set of events that began with a fresh state of its keys.

    Args:
        sent: every event that was acknowledged.
        observed: what the event core's outputs say, of them alone.
        refused: events that the producer or the brokers did not take.
    """
    oracle = Oracle()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    judged = Judged(groups=())
    known = set()
    ids: dict[str, Sent] = {}
    for one in sorted(sent, key=lambda one: one.place):
        known.add(one.place)
        expected, why = oracle.tell(one.case)
        if one.case.value is not None and one.case.valid:
            ids[_id_of(one.case.value)] = one
        found = _found(observed.outcomes.get(one.place, ()))
        counts[one.case.type_name, one.case.operator, expected, found] += 1
        letters = observed.dead_letters.get(one.place, ())
        if found in (MISSING, SEVERAL):
            outcomes = ", ".join(observed.outcomes.get(one.place, ())) or "no outcome"
            _add(judged, Flaw(kind=UNACCOUNTED, detail=outcomes, sent=one, expected=expected, found=found))
        elif found != expected:
            said = f"; its dead letter says: {_said(letters)}" if letters else ""
            detail = f"expected {expected}{f' ({why})' if why else ''}, found {found}{said}"
            _add(judged, Flaw(kind=OUTCOME, detail=detail, sent=one, expected=expected, found=found))
        if problem := letter_problem(one.case, letters, due=expected is Expected.DEAD_LETTERED):
            _add(judged, Flaw(kind=DEAD_LETTER, detail=problem, sent=one, expected=expected, found=found))
    for case in refused:
        small = _bytes_of(case) <= PRODUCER_BYTES
        expected = oracle.tell(case)[0] if small else Expected.REFUSED
        counts[case.type_name, case.operator, expected, Expected.REFUSED] += 1
        if small:
            detail = f"refused as too large, with {_bytes_of(case):,} bytes"
            _add(judged, Flaw(kind=OUTCOME, detail=detail, sent=None, expected=expected, found=Expected.REFUSED))
    _strays(judged, observed, known)
    judged.effects = _effects(judged, oracle, observed, ids)
    judged.groups = tuple(
        FuzzGroup(type_name=kind, operator=operator, expected=expected, found=found, count=count)
        for (kind, operator, expected, found), count in sorted(counts.items())
    )
    return judged


def letter_problem(case: Case, letters: Sequence[DeadLetterSeen], *, due: bool) -> str:
    """Say what is wrong with an event's dead letters; empty if nothing is.

    Args:
        case: the event.
        letters: dead letters that name its place.
        due: whether there must be one.
    """
    if not due:
        return f"a dead letter of an event that is valid: {_said(letters)}" if letters else ""
    if len(letters) != 1:
        return f"{len(letters)} dead letters instead of one"
    letter = letters[0]
    reason = letter.said.get("reason")
    if not reason:
        return "the dead letter has no reason"
    if reason not in REASONS:
        return f"the reason is {reason!r}: the decoder let it pass ({letter.said.get('detail')})"
    if letter.cut:
        whole = hashlib.sha256(case.value or b"").hexdigest() == letter.said.get("cut-from-sha256")
        same = (case.value or b"").startswith(letter.value or b"")
        return "" if whole and same else "the dead letter is cut, and is not of this event"
    for name, was, became in (("key", case.key, letter.key), ("value", case.value, letter.value)):
        if was != became:
            return f"the dead letter's {name} is not the event's: {readable(became, 200)}"
    if list(case.headers) != list(letter.headers):
        return f"the dead letter's headers are not the event's: {letter.headers!r:.300}"
    return ""


def _said(letters: Sequence[DeadLetterSeen]) -> str:
    return "; ".join(f"{letter.said.get('reason')}: {letter.said.get('detail')}" for letter in letters)


def _bytes_of(case: Case) -> int:
    return len(case.key or b"") + len(case.value or b"") + sum(len(name) + len(one) for name, one in case.headers)


def _id_of(value: bytes) -> str:
    return value[-40:-19].decode(errors="replace")


def _found(outcomes: Sequence[Expected]) -> str:
    return outcomes[0].value if len(outcomes) == 1 else SEVERAL if outcomes else MISSING


def _add(judged: Judged, flaw: Flaw) -> None:
    judged.flaw_counts[flaw.kind] += 1
    if judged.flaw_counts[flaw.kind] <= FLAWS_KEPT:
        judged.flaws.append(flaw)


def _strays(judged: Judged, observed: Observed, known: set[Place]) -> None:
    """Outcomes and dead letters of nothing that was sent."""
    for place in observed.outcomes.keys() - known:
        _add(judged, Flaw(kind=UNACCOUNTED, detail=f"an outcome of nothing that was sent: {place}", sent=None))
    for place in observed.dead_letters.keys() - known:
        _add(judged, Flaw(kind=DEAD_LETTER, detail=f"a dead letter of nothing that was sent: {place}", sent=None))
    for letter in observed.astray:
        detail = f"a dead letter that does not say where it is from: {letter.topic}[{letter.partition}]@{letter.offset}"
        _add(judged, Flaw(kind=DEAD_LETTER, detail=detail, sent=None))


def _effects(judged: Judged, oracle: Oracle, observed: Observed, ids: Mapping[str, Sent]) -> tuple[FuzzEffect, ...]:
    """Compare what the events changed with what the outputs say, event by event where they name one."""
    due, effects = oracle.effects, []

    def compare(name: str, domain: Domain, wanted: Mapping[str, object], found: Mapping[str, object]) -> None:
        wrong = [one for one in wanted.keys() | found.keys() if wanted.get(one) != found.get(one)]
        for one in sorted(wrong):
            detail = f"{name}: {found.get(one, 'nothing')} of event {one}, due {wanted.get(one, 'nothing')}"
            _add(judged, Flaw(kind=EFFECT, detail=detail, sent=ids.get(one)))
        effects.append(FuzzEffect(name=name, domain=domain.value, due=len(wanted), found=len(found), wrong=len(wrong)))

    compare("postings", Domain.ECONOMY, due.legs, observed.legs)
    compare("messages", Domain.SOCIAL, _places_in_chat(due.chat), _places_in_chat(observed.chat))
    if observed.audit_read:
        compare("audit entries", Domain.SYSTEM, due.audit, observed.audit)
    wrong = abs(due.damage - observed.damage)
    if wrong:
        _add(judged, Flaw(kind=EFFECT, detail=f"{observed.damage:,} damage dealt, {due.damage:,} due", sent=None))
    effects.append(
        FuzzEffect(name="damage", domain=Domain.COMBAT.value, due=due.damage, found=observed.damage, wrong=wrong)
    )
    return tuple(effects)


def _places_in_chat(chat: Mapping[tuple[str, str], Sequence[str]]) -> dict[str, list[tuple[str, str, int]]]:
    """Where each message stands: its channel and its number there; so order and repetitions are compared too."""
    found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for (region, channel), messages in chat.items():
        for number, one in enumerate(messages):
            found[one].append((region, channel, number))
    return found
