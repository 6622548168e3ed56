"""Checks and claims over the record of a campaign: a sound one passes, and each defect is caught by its own check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fuzz_records as records
import pytest

from necp_validate.claims.checks.registry import CHECKS, FUZZ_CHECKS
from necp_validate.claims.run import verify_history
from necp_validate.core import Verdict
from necp_validate.record import CoreShutdown, FuzzConsumer, History, read_history
from necp_validate.record.model import RunInfo
from necp_validate.report.pipeline import judge_and_report


def failed(history: History) -> tuple[set[str], set[str]]:
    """Names of the checks, and ids of the claims, that fail."""
    findings, claims, _ = verify_history(history)
    return (
        {finding.name for finding in findings if finding.verdict is Verdict.FAIL},
        {claim.id for claim in claims if claim.verdict is Verdict.FAIL},
    )


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
    "an event that was never counted": ({"asked": 101}, "fuzz-unaccounted", {"EVT-REGISTRY"}),
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
    "a torn trade": (
        {"ledger": (replace(records.SOUND.ledger[0], torn=1),)},
        "fuzz-effect",
        {"EVT-REGISTRY", "EVT-ECONOMY"},
    ),
    "a crash": ({"crashes": ("core-0 died",)}, "fuzz-crash", {"EVT-REGISTRY"}),
    "a consumer that stalled": (
        {"consumers": (FuzzConsumer(domain="combat", end=24, committed=23),)},
        "fuzz-crash",
        {"EVT-REGISTRY"},
    ),
    "an end with an error": (
        {"shutdown": CoreShutdown(exit_code=1, seconds=1.0, healthy_before=True)},
        "fuzz-crash",
        {"EVT-REGISTRY"},
    ),
}


def test_a_sound_campaign_passes_every_check_and_claim() -> None:
    findings, claims, verdict = verify_history(records.history())
    assert verdict is Verdict.PASS
    assert {finding.name for finding in findings} == {"complete-run", *FUZZ_CHECKS}
    assert {claim.id for claim in claims} == set(records.CLAIMS)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_caught_by_its_check_and_fails_its_claims(defect: str) -> None:
    changes, check, claims = DEFECTS[defect]
    assert failed(records.history(**changes)) == ({check}, claims)


def test_every_check_of_fuzzed_events_has_a_defect() -> None:
    assert {check for _, check, _ in DEFECTS.values()} == set(FUZZ_CHECKS)


def test_topic_settings_that_differ_fail_the_claim_on_them() -> None:
    wrong = replace(records.SOUND.settings[0], found={"retention.ms": "2"})
    assert failed(records.history(settings=(wrong,))) == (set(), {"EVT-SYSTEM"})


def test_what_was_not_learned_is_unknown() -> None:
    """No settings, no offsets, no effects: nothing of it is a pass."""
    for changes, unknown in (
        ({"settings": ()}, {"EVT-SYSTEM"}),
        ({"consumers": ()}, {"fuzz-crash", *records.CLAIMS}),
        ({"effects": ()}, {"fuzz-effect", *records.CLAIMS}),
        ({"sent": 0}, {*FUZZ_CHECKS, *records.CLAIMS}),
    ):
        findings, claims, verdict = verify_history(records.history(**changes))
        assert verdict is Verdict.UNKNOWN
        names = {f.name for f in findings if f.verdict is Verdict.UNKNOWN}
        assert names | {c.id for c in claims if c.verdict is Verdict.UNKNOWN} == unknown


def test_a_run_of_another_kind_has_no_checks_of_fuzzed_events() -> None:
    run = RunInfo(id="r", scenario="smoke", scale=1.0, seed=1, status="finished", config={"judge": ["EVT-SOCIAL"]})
    findings, (social,), _ = verify_history(History(run=run))
    assert {finding.name for finding in findings} == set(CHECKS)
    assert social.verdict is Verdict.UNKNOWN


def test_a_campaign_s_record_is_read_back_and_reported(tmp_path: Path) -> None:
    """Tables in page and summary, the minimal example, and the command that does it again."""
    run = records.write(tmp_path / "run", flaws=(records.FLAW,), flaw_counts={"dead-letter": 1})
    assert read_history(run).fuzz == replace(records.SOUND, flaws=(records.FLAW,), flaw_counts={"dead-letter": 1})
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
