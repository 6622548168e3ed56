"""Controls beside evidence: never fulfilled, contradicted by any failed claim, and every claim named exists."""

from __future__ import annotations

from pathlib import Path

from fabricate import START_S

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import SecurityRound, parts
from necp_validate.report.compliance import CONTRADICTED, SUPPORTED, UNDECIDED, ControlRow, compliance_rows, standards
from necp_validate.report.frames import load_run
from necp_validate.report.html import render
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import read_verdict


def _claim(id_: str, verdict: Verdict) -> ClaimResult:
    return ClaimResult(id=id_, title="", verdict=verdict, threshold="", measured="", evidence="")


def _rows(*claims: ClaimResult) -> dict[str, ControlRow]:
    return {row.control.id: row for _, rows in compliance_rows(claims) for row in rows}


def test_every_claim_that_a_control_names_exists_and_every_control_leaves_something_open() -> None:
    controls = [control for standard in standards() for control in standard.control]
    assert {standard.name for standard in standards()} == {"SOC 2", "ISO 27001", "GDPR"}
    assert all(set(control.claims) <= set(CLAIMS) and control.open for control in controls)
    assert len({control.id for control in controls}) == len(controls)


def test_without_evidence_a_control_has_none() -> None:
    assert {row.outcome for row in _rows().values()} == {UNDECIDED}


def test_one_failed_claim_contradicts_whatever_else_passed() -> None:
    rows = _rows(_claim("SEC-MTLS", Verdict.PASS), _claim("SEC-ACL", Verdict.FAIL))
    assert rows["CC6.1"].outcome == CONTRADICTED
    assert rows["CC6.7"].outcome == SUPPORTED
    assert rows["CC6.7"].missing == 1, "SEC-SASL was not judged"


def test_an_unknown_claim_supports_nothing() -> None:
    assert _rows(_claim("SEC-ACL", Verdict.UNKNOWN))["CC6.3"].outcome == UNDECIDED


def test_the_report_of_a_run_with_attempts_has_the_table(sound: Path) -> None:
    now_us = START_S * 10**6
    parts.SECURITY.append(sound, SecurityRound(when="start", begin_us=now_us, end_us=now_us, listeners=(), access=()))
    judge_and_report(sound)
    page = render(load_run(sound), read_verdict(sound))
    assert 'id="compliance"' in page
    assert "No test decides whether a standard is met" in page
    assert "fulfilled" not in page


def test_a_run_without_attempts_has_no_table(judged: dict[str, Path]) -> None:
    assert 'id="compliance"' not in render(load_run(judged["sound"]), read_verdict(judged["sound"]))
