"""What CI systems read: test cases, and a summary."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from fabricate import Recipe, fabricate

from necp_validate.claims.run import Judgement
from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.evidence.inventory import Holding
from necp_validate.record import read_record
from necp_validate.report.frames import load_run
from necp_validate.report.junit import render as render_junit
from necp_validate.report.markdown import render as render_markdown
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import RunVerdict, conclude, read_verdict

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE


def _claim(verdict: Verdict, text: str = "x", sees: str = "") -> ClaimResult:
    return ClaimResult(
        id="LAT-COMBAT",
        title="t",
        verdict=verdict,
        threshold="P99 < 30 ms",
        measured="P99 41 ms",
        evidence=text,
        sees=sees,
    )


def _check(verdict: Verdict, name: str = "duplicate", sees: str = "") -> Finding:
    return Finding(name=name, verdict=verdict, count=2, summary="2 events twice", sees=sees)


def _verdict(claims: list[ClaimResult], checks: list[Finding], *evidence: Holding) -> RunVerdict:
    return conclude(Path("r"), Judgement(findings=tuple(checks), claims=tuple(claims), evidence=evidence))


def test_fail_is_a_failure_and_unknown_is_skipped(sound: Path) -> None:
    claims = [_claim(PASS), _claim(FAIL), _claim(UNKNOWN, "the host was saturated")]
    root = ET.fromstring(render_junit(read_record(sound).run, _verdict(claims, [_check(FAIL)])))
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


def test_what_is_not_applicable_is_skipped_and_says_so(sound: Path) -> None:
    """A CI system that counts tests counts no pass that nothing was behind."""
    checks = [_check(PASS), _check(NOT_APPLICABLE, "tick-bounds")]
    root = ET.fromstring(render_junit(read_record(sound).run, _verdict([_claim(PASS)], checks)))
    assert (root.get("tests"), root.get("skipped"), root.get("failures")) == ("3", "1", "0")
    skipped = root.find("./testsuite[@name='checks']/testcase[@name='tick-bounds']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "not applicable: 2 events twice"


def test_a_pass_says_what_would_have_been_seen(sound: Path) -> None:
    verdict = _verdict([_claim(PASS, sees="1 lost event")], [_check(PASS, sees="1 event that is there twice")])
    root = ET.fromstring(render_junit(read_record(sound).run, verdict))
    texts = [one.text for one in root.iter("system-out")]
    assert [text.splitlines()[-1] for text in texts if text] == [
        "would have seen: 1 lost event",
        "would have seen: 1 event that is there twice",
    ]
    summary = render_markdown(load_run(sound), verdict)
    assert "| x. Would have seen: 1 lost event |" in summary


def test_characters_that_xml_cannot_hold_are_replaced(sound: Path) -> None:
    claims = [_claim(FAIL, "raw bytes: \x00\x1b[31m \ud800 end")]
    root = ET.fromstring(render_junit(read_record(sound).run, _verdict(claims, [])))
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
    text = render_markdown(load_run(sound), _verdict([_claim(FAIL, "a|b\nc")], []))
    assert "a\\|b c |" in text


def test_a_passing_run_lists_its_checks_by_name_and_folds_the_others_away(judged: dict[str, Path]) -> None:
    text = (judged["sound"] / "summary.md").read_text(encoding="utf-8")
    verdict = read_verdict(judged["sound"])
    shown, folded = text.split("<details>")
    assert all(f"`{check.name}`" in shown for check in verdict.applicable)
    assert f"{len(verdict.not_applicable)} checks are about what this run does not have" in folded
    for check in verdict.not_applicable:
        assert f"`{check.name}`" in folded
        assert f"`{check.name}`" not in shown


def test_the_summary_says_which_evidence_is_short_and_how_much_is_not(sound: Path) -> None:
    whole = Holding(what="partitions read back", due=12, found=12, file="history/readback.json")
    short = Holding(what="seconds of samples of the host", due=36, found=9, file="metrics/host.csv")
    text = render_markdown(load_run(sound), _verdict([_claim(UNKNOWN)], [], whole, short))
    assert "1 of 2 kinds of evidence are complete. Not so:" in text
    assert "| seconds of samples of the host | 36 | 9 | `metrics/host.csv` |" in text
    assert "partitions read back" not in text
    assert "### Evidence" not in render_markdown(load_run(sound), _verdict([_claim(PASS)], [], whole))


def test_a_run_without_a_judged_claim_is_unknown_everywhere(tmp_path: Path) -> None:
    run = fabricate(tmp_path, Recipe(config={"judge": []}))
    verdict = judge_and_report(run)
    assert (verdict.verdict, verdict.claims) == (UNKNOWN, ())
    says = "No claim was judged: the checks alone prove nothing that anybody has claimed."
    for name in ("summary.md", "report.html"):
        assert says in (run / name).read_text(encoding="utf-8")
    assert (run / "summary.md").read_text(encoding="utf-8").startswith("## ❔ unknown: smoke")
