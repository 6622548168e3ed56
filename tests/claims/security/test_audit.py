"""The checks and the claim of the audit trail, on records written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import claim_of, finding_of, judged
from sound.security import AUDIT, DAY_MS, HELD, REFUSALS, START, TRAIL, covered, tried

from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import Record
from necp_validate.record.audit import AuditRecord, TrailSighting

CHECKS = ("audit-trail", "audit-retention", "audit-tampering")


def claimed(record: AuditRecord) -> ClaimResult:
    """What becomes of the claim."""
    return claim_of(tried(audit=record), "SEC-AUDIT")


def by_check(history: Record) -> dict[str, Verdict]:
    """What each of the claim's checks says."""
    return {one.name: one.verdict for one in judged(history).findings if one.name in CHECKS}


def test_a_sound_trail_passes_with_its_figures() -> None:
    result = claimed(AUDIT)
    assert result.verdict is Verdict.PASS
    assert result.measured == (
        f"9 records, {REFUSALS} of {REFUSALS} provoked violations, kept 2,555 days, 7 of 7 tamperings seen"
    )
    assert "1 record that is altered, removed or in clear" in result.sees


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"retention_ms": 2_554 * DAY_MS}, "audit-retention", "kept 2,554 days instead of 2,555"),
        ({"retention_bytes": 1_000_000}, "audit-retention", "removed beyond 1,000,000 bytes"),
        ({"cleanup_policy": "compact"}, "audit-retention", "cleanup.policy is compact"),
        ({"keyring_mode": 0o640}, "audit-retention", "open to others (mode 640)"),
        ({"rotation": replace(HELD, held=False)}, "audit-tampering", "something: seen"),
        ({"erasure": replace(HELD, held=False)}, "audit-tampering", "something: seen"),
        (
            {"tampering": (*(HELD,) * 6, replace(HELD, held=False, name="one record removed"))},
            "audit-tampering",
            "one record removed",
        ),
        ({"events": covered(9, 1)}, "audit-trail", "no entry"),
        ({"violations": covered(REFUSALS, 1)}, "audit-trail", "no entry"),
        ({"provoked": covered(REFUSALS, 1)}, "audit-trail", "no entry"),
        ({"trail": replace(TRAIL, opened=8, clear=1)}, "audit-trail", "1 records or events are not as they must be"),
        ({"trail": replace(TRAIL, opened=8, unopened=1)}, "audit-trail", "1 records or events are not as they must be"),
        ({"trail": replace(TRAIL, nonces_repeated=1)}, "audit-trail", "1 records or events are not as they must be"),
        ({"trail": replace(TRAIL, chain_breaks=1)}, "audit-trail", "1 records or events are not as they must be"),
    ],
)
def test_whatever_is_wrong_fails_the_claim_by_its_own_check(changes: dict[str, Any], check: str, words: str) -> None:
    record = replace(AUDIT, **changes)
    result = claimed(record)
    assert result.verdict is Verdict.FAIL
    assert words in result.evidence
    assert by_check(tried(audit=record)) == dict.fromkeys(CHECKS, Verdict.PASS) | {check: Verdict.FAIL}


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"retention_ms": None}, "audit-retention", "did not say how long it is kept"),
        ({"retention_bytes": None}, "audit-retention", "did not say by which size it is cut"),
        ({"cleanup_policy": None}, "audit-retention", "did not say what its cleanup.policy is"),
        ({"keyring_mode": None}, "audit-retention", "who may read it was not recorded"),
        ({"rotation": None}, "audit-tampering", "rotation of the key: no drill"),
        ({"erasure": None}, "audit-tampering", "erasure of a person: no drill"),
        ({"tampering": ()}, "audit-tampering", "too few records lie one after the other"),
        ({"tampering": None}, "audit-tampering", "tampering was not recorded in history/audit.json"),
        ({"trail": replace(TRAIL, records=0, opened=0)}, "audit-trail", "there is no record in it"),
        ({"trail": None}, "audit-trail", "trail was not recorded in history/audit.json"),
        ({"events": None}, "audit-trail", "events was not recorded in history/audit.json"),
        ({"violations": None}, "audit-trail", "violations was not recorded in history/audit.json"),
        ({"provoked": None}, "audit-trail", "provoked was not recorded in history/audit.json"),
        ({"violations": covered(REFUSALS - 1)}, "audit-trail", "refusals were looked for"),
        ({"events": covered(10**6)}, "audit-trail", "records cannot hold 1,000,000 events"),
        ({"tampering": (HELD,) * 7}, "audit-tampering", "too few records lie one after the other"),
        ({"provoked": covered(REFUSALS - 2)}, "audit-trail", "2 lines on refused attempts were not looked for"),
        (
            {"trail": replace(TRAIL, opened=3)},
            "audit-trail",
            "it has 9 records, 3 of them opened",
        ),
    ],
)
def test_what_the_evidence_lacks_leaves_the_claim_unknown(changes: dict[str, Any], check: str, words: str) -> None:
    record = replace(AUDIT, **changes)
    result = claimed(record)
    assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True), result.evidence
    assert by_check(tried(audit=record)) == dict.fromkeys(CHECKS, Verdict.PASS) | {check: Verdict.UNKNOWN}


def test_kept_for_ever_is_long_enough() -> None:
    result = claimed(replace(AUDIT, retention_ms=-1))
    assert (result.verdict, "kept for ever" in result.measured) == (Verdict.PASS, True)


def test_records_of_erased_persons_and_repeated_ones_are_accounted_for() -> None:
    """The first are to stay shut, the second say nothing new."""
    sound = replace(AUDIT, trail=replace(TRAIL, records=12, opened=9, erased=2, repeated=1))
    assert claimed(sound).verdict is Verdict.PASS


def test_without_a_violation_that_a_broker_logged_nothing_is_proven() -> None:
    unlogged = replace(START, listeners=tuple(replace(probe, log_line="") for probe in START.listeners))
    end = replace(unlogged, when="end")
    result = claim_of(tried(unlogged, end, audit=AUDIT), "SEC-AUDIT")
    assert result.verdict is Verdict.UNKNOWN
    assert "no attempt was refused that a broker has logged" in result.evidence


@pytest.mark.parametrize("needs", [None, "needs the local or the docker stack"])
def test_a_trail_that_was_not_read_is_no_pass_where_it_had_to_be(needs: str | None) -> None:
    """Whether nothing was written of it, or why it could not be read."""
    history = tried(audit=AuditRecord(needs=needs or ""))
    history = history if needs else replace(history, audit=None)

    result = claim_of(history, "SEC-AUDIT")
    assert result.verdict is Verdict.UNKNOWN
    assert "no record of the audit trail (history/audit.json)" in result.evidence
    assert (needs or "the audit trail was not read") in result.evidence
    assert by_check(history) == dict.fromkeys(CHECKS, Verdict.UNKNOWN)


def test_a_scenario_that_does_not_read_the_trail_has_no_checks_of_it() -> None:
    assert by_check(tried()) == dict.fromkeys(CHECKS, Verdict.NOT_APPLICABLE)
    assert claim_of(tried(), "SEC-AUDIT").verdict is Verdict.UNKNOWN


def test_a_round_that_is_missing_may_hold_refusals_without_an_entry() -> None:
    finding = finding_of(tried(START, audit=AUDIT), "audit-trail")
    assert finding.verdict is Verdict.UNKNOWN
    assert "1 of 2 rounds of attempts (history/security.jsonl); missing: end" in finding.summary


def test_the_first_of_each_kind_is_told() -> None:
    sighting = TrailSighting(kind="clear", where="partition 1, offset 7", detail="JSON in clear")
    record = replace(AUDIT, trail=replace(TRAIL, records=2, opened=1, clear=1, examples=(sighting,)), events=covered(2))
    finding = finding_of(tried(audit=record), "audit-trail")
    assert [(one.where, one.detail) for one in finding.examples] == [("partition 1, offset 7", "JSON in clear")]
