"""What ``verify`` and ``run`` print in the end: short enough to be read, and nothing counted that was not judged."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from fabricate import Recipe, fabricate
from rich.console import Console

from necp_validate.claims.run import Judgement
from necp_validate.cli.tables import verdict_table
from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.evidence.inventory import Holding
from necp_validate.report.gate import gate
from necp_validate.report.verdict import RunVerdict, conclude, sentence


def printed(verdict: RunVerdict, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(verdict_table(verdict, sentence(verdict)))
    return out.getvalue()


def concluded(*checks: Finding, claims: tuple[ClaimResult, ...] = (), evidence: tuple[Holding, ...] = ()) -> RunVerdict:
    return conclude(Path("r"), Judgement(findings=checks, claims=claims, evidence=evidence))


def check(verdict: Verdict, name: str, summary: str = "as it should be", count: int = 0) -> Finding:
    return Finding(name=name, verdict=verdict, count=count, summary=summary)


def claim(verdict: Verdict, **changes: Any) -> ClaimResult:
    given = {"title": "nothing is lost", "measured": "lost: 0 events", "evidence": "run: 9 events", **changes}
    return ClaimResult(id="DUR-ACKED", threshold="lost <= 0 events", verdict=verdict, **given)


def test_a_sound_run_has_its_claims_with_what_would_have_been_seen_and_no_check(tmp_path: Path) -> None:
    text = printed(gate(fabricate(tmp_path)))
    assert "✓ PASS" in text
    assert "would have seen: 1 lost of 139,125 acked events" in text
    assert "what it rests on" not in text
    assert "evidence" not in text
    last = text.splitlines()[-1].rstrip()
    assert re.fullmatch(r"(\d+) of \1 checks passed, \d+ are about what this run does not have", last)


def test_what_is_not_applicable_is_counted_apart(tmp_path: Path) -> None:
    text = printed(concluded(check(Verdict.PASS, "lost-write"), check(Verdict.NOT_APPLICABLE, "tick-bounds")))
    assert "1 of 1 checks passed, 1 are about what this run does not have" in text
    assert "tick-bounds" not in text


def test_evidence_that_is_short_is_shown_with_what_is_due(tmp_path: Path) -> None:
    text = printed(gate(fabricate(tmp_path, Recipe(leave_out=frozenset({"history/drain.json"})))))
    (line,) = (line for line in text.splitlines() if line.startswith("record of how the backlog drained"))
    assert line.split()[-3:] == ["1", "0", "history/drain.json"]
    assert "partitions read back" not in text


def test_checks_that_are_unknown_for_one_reason_are_one_row() -> None:
    unknown = [check(Verdict.UNKNOWN, name, f"no list of topics; {name}: 0") for name in ("unseen", "torn")]
    text = printed(concluded(*unknown, check(Verdict.FAIL, "lost-write", "3 of 9 are lost", count=3)))
    rows = [line.split("  ") for line in text.splitlines() if line.startswith(("? unknown", "✗ fail"))]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["✗ fail", "lost-write", "3", "3 of 9 are lost"],
        ["? unknown", "unseen, torn", "no list of topics"],
    ]


def test_a_claim_is_told_briefly() -> None:
    evidence = "run: no list of topics; 9 acked events; run: no list of topics; 9 records; run at scale 0.1"
    unknown = claim(Verdict.UNKNOWN, evidence=evidence)
    lines = printed(concluded(claims=(unknown,))).splitlines()
    row = next(n for n, line in enumerate(lines) if line.startswith("? unknown  DUR-ACKED"))
    assert [line[22:].rstrip() for line in lines[row : row + 2]] == [
        "nothing is lost  lost: 0 events",
        "                 run: no list of topics; 9 acked events; and 2 more",
    ]


def test_a_run_without_a_judged_claim_says_so(tmp_path: Path) -> None:
    text = printed(gate(fabricate(tmp_path, Recipe(config={"judge": []}))))
    assert "? UNKNOWN" in text
    assert "No claim was judged: the checks alone prove nothing that anybody has claimed." in text


def test_a_claim_of_a_teams_own_comes_with_what_it_is_held_against() -> None:
    own = claim(Verdict.PASS, title="P99 of orders", source="claims.toml")
    text = printed(concluded(claims=(own,)))
    assert "P99 of orders" in text
    assert "lost <= 0 events" in text
    assert "lost <= 0 events" not in printed(concluded(claims=(claim(Verdict.PASS),)))
