"""Each seeded defect of an event core is caught by fuzzed events, with the smallest event that shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import broken_core as broken
import pytest

from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.handlers import Parts, judge_alone
from necp_validate.fuzz.judging import Flaw
from necp_validate.fuzz.shrinking import shrink
from necp_validate.fuzz.source import ChunkTask, make_chunk
from necp_validate.record.fuzz import DEAD_LETTER, EFFECT, OUTCOME


@cache
def events(domain: Domain) -> tuple[Case, ...]:
    """A few hundred events of a domain, always the same."""
    task = ChunkTask(seed=3, tag="dd", domain=domain, number=0, count=450, repeats=1)
    return tuple(make_chunk(task))


def caught(domain: Domain, parts: Parts, kind: str, words: str = "") -> tuple[Flaw, tuple[Case, ...]]:
    """A flaw of a kind, told in such words, that a defective core shows, and the smallest example of it.

    The last one, so that whatever it takes was sent before.
    """
    judged = judge_alone({domain: events(domain)}, parts)
    found = [flaw for flaw in judged.flaws if flaw.kind == kind and words in flaw.detail and flaw.sent is not None]
    flaw = max(found, key=lambda flaw: flaw.sent.offset if flaw.sent else -1)
    assert flaw.sent is not None
    offset = flaw.sent.offset
    before = [case for case in events(domain)[:offset] if case.key == flaw.sent.case.key]

    def fails(cases: Sequence[Case]) -> bool:
        return any(found.kind == kind and words in found.detail for found in judge_alone({domain: cases}, parts).flaws)

    minimal = shrink(flaw.sent.case, before, fails)
    assert minimal is not None
    print(f"\n{flaw.detail}\nminimal example, after {minimal.replays} replays: {minimal.cases}")
    return flaw, minimal.cases


def data_of(case: Case) -> dict[str, Any]:
    """What an event says."""
    data: dict[str, Any] = json.loads(case.value or b"")["data"]
    return data


@pytest.mark.parametrize("domain", Domain)
def test_a_sound_core_has_no_flaw(domain: Domain) -> None:
    """Every event ends as the oracle says, and nothing else changes."""
    judged = judge_alone({domain: events(domain)})
    assert [flaw.plain() for flaw in judged.flaws] == []
    assert sum(group.count for group in judged.groups) == len(events(domain))
    assert {group.found for group in judged.groups} == {"processed", "rejected", "dead_lettered"}


def test_a_handler_that_throws_on_a_rare_value() -> None:
    """The value is in the minimal example, and every other field is as simple as it can be."""
    parts = broken.with_handler(Domain.COMBAT, broken.ThrowsOnARareValue)
    flaw, (case,) = caught(Domain.COMBAT, parts, OUTCOME)
    assert "ZeroDivisionError" in flaw.detail
    assert {**data_of(case), "source": ""} == {"amount": 1, "healer": "0", "source": "", "target": "0"}


def test_a_validator_that_forgets_a_bound() -> None:
    """What is minimal is just beyond the bound."""
    flaw, (case,) = caught(Domain.ECONOMY, broken.without_bound(), OUTCOME)
    assert flaw.expected == "dead_lettered"
    assert data_of(case)["amount"] > 10**17
    assert data_of(case)["account"] == "0"


def test_a_dead_letter_without_its_reason() -> None:
    flaw, (case,) = caught(Domain.SYSTEM, broken.dead_letters(broken.no_reason), DEAD_LETTER)
    assert flaw.detail == "the dead letter has no reason"
    assert not case.valid


def test_a_dead_letter_with_other_bytes() -> None:
    flaw, (case,) = caught(Domain.SOCIAL, broken.dead_letters(broken.as_text), DEAD_LETTER)
    assert "value is not the event's" in flaw.detail
    with pytest.raises(UnicodeDecodeError):
        _ = (case.value or b"").decode() if case.value is not None else b"\xff".decode()


def test_a_dead_letter_without_the_event_s_headers() -> None:
    words = "headers are not the event's"
    _, (case,) = caught(Domain.COMBAT, broken.dead_letters(broken.no_headers), DEAD_LETTER, words)
    assert case.headers


def test_a_dead_lettered_event_that_was_booked_all_the_same() -> None:
    _, (case,) = caught(Domain.ECONOMY, broken.with_handler(Domain.ECONOMY, broken.BooksAndFails), OUTCOME)
    assert case.type_name == "economy.reward"
    assert data_of(case)["amount"] == 1


def test_chat_in_the_wrong_order_takes_two_messages() -> None:
    """No single event shows it: the minimal example has exactly two."""
    _, cases = caught(Domain.SOCIAL, broken.with_handler(Domain.SOCIAL, broken.SwapsMessages), EFFECT)
    assert [case.type_name for case in cases] == ["social.chat_message"] * 2
