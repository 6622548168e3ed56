"""Checks and claims over the record of a campaign: a sound one passes, and each defect is caught by its own check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from histories import claim_of, finding_of, timed_history
from sound import campaigns as records
from sound.campaigns import campaign

from necp_validate.claims import CHECKS, Judgement, judge_record
from necp_validate.core import Verdict
from necp_validate.record import CoreShutdown, FuzzConsumer, Record, read_record
from necp_validate.report.pipeline import judge_and_report

FUZZ_CHECKS = tuple(name for name, one in CHECKS.items() if one.subject.name == "campaign")
OF_ALL = tuple(name for name in FUZZ_CHECKS if name not in ("topic-settings", *(f"fuzz-{d}" for d in records.DOMAINS)))
OF_A_DOMAIN = {f"fuzz-{domain}": f"EVT-{domain.upper()}" for domain in records.DOMAINS}


def ended(history: Record, verdict: Verdict) -> tuple[set[str], set[str]]:
    """Names of the checks of all events, and ids of the claims, that end like that."""
    judgement: Judgement = judge_record(history)
    checks = {finding.name for finding in judgement.findings if finding.verdict is verdict}
    claims = {claim.id for claim in judgement.claims if claim.verdict is verdict}
    return checks & set(OF_ALL), claims


def swapped(old: tuple[str, str, str, str], new: tuple[str, str, str, str]) -> dict[str, Any]:
    """One event of the sound groups becomes another."""
    groups = [
        replace(g, count=g.count - 1) if (g.type_name, g.operator, g.expected, g.found) == old else g
        for g in records.SOUND.groups
    ]
    return {"groups": (*groups, records.group(*new, 1))}


HEAL, REWARD = ("combat.heal", "nan", "dead_lettered"), ("economy.reward", "", "processed")
DEFECTS: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "an event without an outcome": (
        swapped((*HEAL, "dead_lettered"), (*HEAL, "missing")),
        "fuzz-unaccounted",
        {"EVT-REGISTRY", "EVT-COMBAT"},
    ),
    "an event with two outcomes": (
        swapped((*REWARD, "processed"), (*REWARD, "several")),
        "fuzz-unaccounted",
        {"EVT-REGISTRY", "EVT-ECONOMY"},
    ),
    "an invalid event that was processed": (
        swapped((*HEAL, "dead_lettered"), (*HEAL, "processed")),
        "fuzz-outcome",
        {"EVT-REGISTRY", "EVT-COMBAT"},
    ),
    "a dead letter without a reason": (
        {"flaws": (records.FLAW,), "flaw_counts": {"dead-letter": 1}},
        "fuzz-dead-letter",
        {"EVT-REGISTRY", "EVT-COMBAT"},
    ),
    "a posting too many": (
        {"effects": (replace(records.SOUND.effects[0], found=21, wrong=1), *records.SOUND.effects[1:])},
        "fuzz-effect",
        {"EVT-REGISTRY", "EVT-ECONOMY"},
    ),
    "postings that are just not there": (
        {"effects": (replace(records.SOUND.effects[0], found=0), *records.SOUND.effects[1:])},
        "fuzz-effect",
        {"EVT-REGISTRY", "EVT-ECONOMY"},
    ),
    "a torn trade": (
        {"ledger": (replace(records.SOUND.ledger[0], torn=1),)},
        "fuzz-effect",
        {"EVT-REGISTRY", "EVT-ECONOMY"},
    ),
    "a crash": ({"crashes": ("core-0 died",)}, "fuzz-crash", {"EVT-REGISTRY"}),
    "a consumer that stalled": (
        {"consumers": (FuzzConsumer(domain="combat", end=60, committed=59), *records.SOUND.consumers[1:])},
        "fuzz-crash",
        {"EVT-REGISTRY"},
    ),
    "an end with an error": (
        {"shutdown": CoreShutdown(exit_code=1, seconds=1.0, healthy_before=True)},
        "fuzz-crash",
        {"EVT-REGISTRY"},
    ),
    "an end that nobody was healthy before": (
        {"shutdown": CoreShutdown(exit_code=0, seconds=1.0, healthy_before=False)},
        "fuzz-crash",
        {"EVT-REGISTRY"},
    ),
}


def test_a_sound_campaign_passes_every_check_and_claim() -> None:
    """And nothing but what a campaign has is judged."""
    judgement = judge_record(campaign())
    assert judgement.verdict is Verdict.PASS
    judged = {finding.name for finding in judgement.findings if finding.verdict is not Verdict.NOT_APPLICABLE}
    assert judged == {"complete-run", "suite-failure", "graceful-shutdown", *FUZZ_CHECKS}
    assert {claim.id for claim in judgement.claims} == set(records.CLAIMS)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_caught_by_its_check_and_fails_its_claims(defect: str) -> None:
    changes, check, claims = DEFECTS[defect]
    assert ended(campaign(**changes), Verdict.FAIL) == ({check}, claims)


def test_every_check_of_fuzzed_events_has_a_defect() -> None:
    assert {check for _, check, _ in DEFECTS.values()} == set(OF_ALL)
    assert {claim for _, _, claims in DEFECTS.values() for claim in claims} >= {"EVT-COMBAT", "EVT-ECONOMY"}


@pytest.mark.parametrize(
    ("kind", "expected", "claim"),
    [("social.friend_add", "processed", "EVT-SOCIAL"), ("system.audit", "processed", "EVT-SYSTEM")],
)
def test_one_wrong_event_of_a_domain_fails_the_claim_on_it(kind: str, expected: str, claim: str) -> None:
    history = campaign(**swapped((kind, "", expected, expected), (kind, "", expected, "rejected")))
    assert ended(history, Verdict.FAIL) == ({"fuzz-outcome"}, {"EVT-REGISTRY", claim})
    (check,) = [name for name, of in OF_A_DOMAIN.items() if of == claim]
    assert finding_of(history, check).verdict is Verdict.FAIL


def test_an_event_that_was_never_counted_fails_what_counts_and_leaves_the_rest_unknown() -> None:
    """It was asked for, and is in no group."""
    history = campaign(asked=101)
    assert finding_of(history, "fuzz-unaccounted").verdict is Verdict.FAIL
    assert "1 of 101 events are unaccounted for" in finding_of(history, "fuzz-unaccounted").summary
    for name in ("fuzz-outcome", *OF_A_DOMAIN):
        finding = finding_of(history, name)
        assert finding.verdict is Verdict.UNKNOWN
        assert "100 of 101 fuzzed events with an end (history/fuzz.json: groups)" in finding.summary
    assert claim_of(history, "EVT-REGISTRY").verdict is Verdict.FAIL
    assert claim_of(history, "EVT-SOCIAL").verdict is Verdict.UNKNOWN


def test_topic_settings_that_differ_fail_the_claim_on_them() -> None:
    first, *others = records.SOUND.settings
    wrong = replace(first, found={"retention.ms": "2"})
    history = campaign(settings=(wrong, *others))
    assert ended(history, Verdict.FAIL) == (set(), {"EVT-SYSTEM"})
    finding = finding_of(history, "topic-settings")
    assert (finding.verdict, finding.summary) == (Verdict.FAIL, "game.combat.events: retention.ms is 2")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            (),
            "no settings of the topics (history/fuzz.json: settings); the settings of the topics were not learned",
        ),
        (
            records.SOUND.settings[:3],
            "the settings of 3 of 4 topics of events were learned, not those of game.system.events",
        ),
        (
            tuple(replace(one, claimed={}) for one in records.SOUND.settings),
            "the settings of the topics were not learned",
        ),
    ],
)
def test_settings_that_were_not_learned_are_not_as_claimed(settings: Any, words: str) -> None:
    """Of one topic of four, of all, or of none that anything is claimed of."""
    history = campaign(settings=settings)
    finding = finding_of(history, "topic-settings")
    assert (finding.verdict, finding.summary) == (Verdict.UNKNOWN, words)
    assert ended(history, Verdict.UNKNOWN) == (set(), {"EVT-SYSTEM"})


@pytest.mark.parametrize(
    ("changes", "words", "checks"),
    [
        ({"consumers": ()}, "0 of 4 consumers whose progress was learned", {"fuzz-crash"}),
        ({"effects": ()}, "0 of 4 domains whose events' effects were read", {"fuzz-effect"}),
        (
            {"consumers": tuple(FuzzConsumer(domain=name, end=0, committed=0) for name in records.DOMAINS)},
            "0 of 4 consumers whose progress was learned",
            {"fuzz-crash"},
        ),
        ({"ledger": ()}, "no books of the economy (history/fuzz.json: ledger)", set(OF_ALL)),
        ({"sent": 0}, "no record of the campaign (history/fuzz.json)", set(OF_ALL)),
    ],
)
def test_what_was_not_learned_leaves_what_rests_on_it_unknown(
    changes: dict[str, Any], words: str, checks: set[str]
) -> None:
    """No offsets, no effects, no events: nothing of it is a pass."""
    history = campaign(**changes)
    assert judge_record(history).verdict is Verdict.UNKNOWN
    assert ended(history, Verdict.UNKNOWN)[0] >= checks
    for name in checks:
        assert words in finding_of(history, name).summary


def test_a_campaign_without_a_record_is_still_a_campaign() -> None:
    """Its scenario says so: nothing was judged, and nothing passes."""
    history = replace(campaign(), fuzz=None)
    assert ended(history, Verdict.UNKNOWN) == (set(OF_ALL), set(records.CLAIMS))


def test_invalid_events_have_to_be_among_those_sent() -> None:
    valid = tuple(group for group in records.SOUND.groups if group.expected != "dead_lettered")
    history = campaign(groups=valid, asked=80, sent=78)
    history = replace(history, run=replace(history.run, config={**history.run.config, "fuzz": {"events": 80}}))
    finding = finding_of(history, "fuzz-dead-letter")
    assert (finding.verdict, finding.summary) == (Verdict.UNKNOWN, "no invalid event was sent")


def test_an_end_of_the_event_core_is_due_where_it_is_the_suites_own() -> None:
    missing = replace(campaign(), core_shutdown=None)
    finding = finding_of(missing, "fuzz-crash")
    assert finding.verdict is Verdict.UNKNOWN
    assert "no record of the event core's end (history/core-shutdown.json)" in finding.summary
    theirs = replace(missing, run=replace(missing.run, stack={"backend": "external"}))
    assert finding_of(theirs, "fuzz-crash").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("check", "changes", "verdict", "words"),
    [
        ("fuzz-effect", {"flaw_counts": {"effect": 7}}, Verdict.FAIL, "wrong"),
        (
            "fuzz-crash",
            {"consumers": tuple(replace(one, committed=one.end + 1) for one in records.SOUND.consumers)},
            Verdict.UNKNOWN,
            "more is committed than there is",
        ),
        (
            "fuzz-effect",
            {
                "groups": tuple(replace(one, count=one.count * 100) for one in records.SOUND.groups),
                "effects": tuple(replace(one, due=0, found=0, wrong=0) for one in records.SOUND.effects),
            },
            Verdict.UNKNOWN,
            "domains whose events' effects were read",
        ),
        (
            "fuzz-outcome",
            {"ledger": tuple(replace(one, entries=0) for one in records.SOUND.ledger)},
            Verdict.UNKNOWN,
            "no books of the economy",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_no_pass(
    check: str, changes: dict[str, Any], verdict: Verdict, words: str
) -> None:
    finding = finding_of(campaign(**changes), check)
    assert finding.verdict is verdict
    assert words in finding.summary


def test_a_run_of_another_kind_has_no_checks_of_fuzzed_events() -> None:
    history = timed_history(seconds=30, eps={"social": 10.0})
    for name in FUZZ_CHECKS:
        finding = finding_of(history, name)
        assert (finding.verdict, finding.summary) == (
            Verdict.NOT_APPLICABLE,
            "the run is no campaign of fuzzed events",
        )
    assert claim_of(history, "EVT-SOCIAL").verdict is Verdict.UNKNOWN


def test_a_campaign_s_record_is_read_back_and_reported(tmp_path: Path) -> None:
    """Tables in page and summary, the minimal example, and the command that does it again."""
    run = records.write(tmp_path / "run", flaws=(records.FLAW,), flaw_counts={"dead-letter": 1})
    assert read_record(run).fuzz == replace(records.SOUND, flaws=(records.FLAW,), flaw_counts={"dead-letter": 1})
    assert judge_and_report(run).verdict is Verdict.FAIL
    page, summary = (run / "report.html").read_text("utf-8"), (run / "summary.md").read_text("utf-8")
    for text in ('id="fuzz"', "none: valid", "oversized", "minimal example: <code>{&#34;a&#34;:NaN}</code>"):
        assert text in page
    for text in (
        "- fuzzed events: **100** (2 refused as too large)",
        "### Fuzzed events",
        "| nan | 0 |",
        "necp-validate fuzz --seed 7 --events 100",
        "--replay fuzz/example-0",
    ):
        assert text in summary


def test_a_campaign_of_fewer_events_than_planned_leaves_some_unaccounted() -> None:
    history = campaign()
    planned = replace(history.run, config={**history.run.config, "fuzz": {"events": 200_000, "replay": ""}})
    finding = finding_of(replace(history, run=planned), "fuzz-outcome")
    assert finding.verdict is Verdict.UNKNOWN
    assert "100 of 200,000 fuzzed events with an end (history/fuzz.json: groups)" in finding.summary
    timed = replace(history.run, config={**history.run.config, "fuzz": {"events": 200_000, "max_time_s": 9.0}})
    assert finding_of(replace(history, run=timed), "fuzz-outcome").verdict is Verdict.PASS
