"""What CI systems read: test cases, and a summary."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.record import read_history
from necp_validate.report.frames import load_run
from necp_validate.report.junit import render as render_junit
from necp_validate.report.markdown import render as render_markdown
from necp_validate.report.verdict import conclude, read_verdict


def _claim(verdict: Verdict, text: str = "x") -> ClaimResult:
    return ClaimResult(
        id="LAT-COMBAT", title="t", verdict=verdict, threshold="P99 < 30 ms", measured="P99 41 ms", evidence=text
    )


def test_fail_is_a_failure_and_unknown_is_skipped(sound: Path) -> None:
    claims = [_claim(Verdict.PASS), _claim(Verdict.FAIL), _claim(Verdict.UNKNOWN, "the host was saturated")]
    checks = [Finding(name="duplicate", verdict=Verdict.FAIL, count=2, summary="2 events twice")]
    root = ET.fromstring(render_junit(read_history(sound).run, conclude("r", claims, checks)))
    assert {key: root.get(key) for key in ("tests", "failures", "skipped", "errors")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "1",
        "errors": "0",
    }
    passed, failed, unknown = root.findall("./testsuite[@name='claims']/testcase")
    assert [len(passed.findall(tag)) for tag in ("failure", "skipped")] == [0, 0]
    failure, skipped = failed.find("failure"), unknown.find("skipped")
    assert failure is not None
    assert failure.get("message") == "P99 41 ms, claimed P99 < 30 ms"
    assert skipped is not None
    assert skipped.get("message") == "unknown: the host was saturated"


def test_characters_that_xml_cannot_hold_are_replaced(sound: Path) -> None:
    claims = [_claim(Verdict.FAIL, "raw bytes: \x00\x1b[31m \ud800 end")]
    root = ET.fromstring(render_junit(read_history(sound).run, conclude("r", claims, [])))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert "\ufffd end" in failure.text


def test_the_summary_holds_verdict_claims_and_figures(judged: dict[str, Path]) -> None:
    text = (judged["lossy"] / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## ❌ fail: smoke")
    assert "| ❌ fail | DUR-ACKED |" in text
    assert "acknowledged events lost: **3**" in text
    assert "necp-validate run smoke --seed 1 --stack local" in text
    assert len(text.encode()) < 60_000


def test_cells_cannot_break_the_table(sound: Path) -> None:
    text = render_markdown(load_run(sound), conclude("r", [_claim(Verdict.FAIL, "a|b\nc")], []))
    assert "a\\|b c |" in text


def test_a_passing_run_lists_its_checks_by_name(judged: dict[str, Path]) -> None:
    text = (judged["sound"] / "summary.md").read_text(encoding="utf-8")
    assert all(f"`{check.name}`" in text for check in read_verdict(judged["sound"]).checks)
