"""The verdict file, its sentence, and the exit code that CI acts on."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import ClaimResult, Example, Finding, UsageError, Verdict
from necp_validate.report.gate import gate
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import RunVerdict, conclude, read_verdict, sentence, write_verdict
from necp_validate.scenario.events import VerdictReached

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def claim(verdict: Verdict, id_: str = "LAT-COMBAT") -> ClaimResult:
    return ClaimResult(
        id=id_, title="t", verdict=verdict, threshold="P99 < 30 ms", measured="P99 41 ms", evidence="no samples."
    )


def check(verdict: Verdict, name: str = "lost-write") -> Finding:
    examples = (Example(where="game.combat.events[3]", detail="sequence 7"),)
    return Finding(name=name, verdict=verdict, count=1, summary="1 event was lost.", examples=examples)


@pytest.mark.parametrize(
    ("claims", "checks", "verdict", "code"),
    [
        ([PASS], [PASS], PASS, 0),
        ([PASS], [FAIL], FAIL, 1),
        ([FAIL, UNKNOWN], [PASS], FAIL, 1),
        ([UNKNOWN, PASS], [PASS], UNKNOWN, 3),
        ([], [], UNKNOWN, 3),
    ],
)
def test_the_worst_claim_or_check_decides(
    tmp_path: Path, claims: list[Verdict], checks: list[Verdict], verdict: Verdict, code: int
) -> None:
    written = conclude("r", [claim(one) for one in claims], [check(one) for one in checks])
    write_verdict(tmp_path, written)
    assert written.verdict is verdict
    assert gate(tmp_path) == code


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = conclude("r", [claim(FAIL)], [check(UNKNOWN)])
    write_verdict(tmp_path, written)
    assert read_verdict(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == ["verdict.json"]


def test_a_missing_verdict_is_wrong_usage_and_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"verdict\.json does not exist") as caught:
        gate(tmp_path)
    assert caught.value.hint == f"make it with: necp-validate verify {tmp_path}"


def test_a_torn_verdict_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text('{"run": "r", "verdict": "pa')
    with pytest.raises(UsageError, match="cannot be read"):
        gate(tmp_path)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (conclude("r", [claim(PASS)], [check(PASS)]), "Every claim (1) and every check (1) passed."),
        (
            conclude("r", [claim(FAIL)], [check(PASS)]),
            "1 of 2 claims and checks failed: LAT-COMBAT (P99 41 ms, claimed P99 < 30 ms).",
        ),
        (
            conclude("r", [claim(UNKNOWN)], []),
            "Nothing failed, but 1 of 1 claims and checks could not be decided: LAT-COMBAT (no samples).",
        ),
        (conclude("r", [], [check(FAIL)] * 5), "5 of 5 claims and checks failed: "),
        (conclude("r", [], []), "Nothing was judged."),
    ],
)
def test_one_sentence_says_why(verdict: RunVerdict, says: str) -> None:
    assert sentence(verdict).startswith(says)


def test_a_run_that_broke_off_is_named_first() -> None:
    """Everything else is unknown because of it."""
    checks = [check(UNKNOWN), Finding(name="complete-run", verdict=UNKNOWN, count=0, summary="a broker died\nlog")]
    said = sentence(conclude("r", [claim(UNKNOWN)], checks))
    assert "could not be decided: check complete-run (a broker died); LAT-COMBAT" in said


def test_a_long_list_of_reasons_is_cut() -> None:
    assert sentence(conclude("r", [], [check(FAIL)] * 5)).endswith("; and 2 more.")


def test_a_sound_run_passes(judged: dict[str, Path]) -> None:
    """What is made here is what the checkers call sound: if not, every test of this folder stands on sand."""
    found = read_verdict(judged["sound"])
    assert [one.name for one in found.checks if one.verdict is not PASS] == []
    assert [one.id for one in found.claims if one.verdict is not PASS] == []
    assert found.verdict is PASS


def test_a_lost_event_fails_the_run(judged: dict[str, Path]) -> None:
    found = read_verdict(judged["lossy"])
    assert found.verdict is FAIL
    assert "DUR-ACKED" in {one.id for one in found.of(FAIL)}
    assert gate(judged["lossy"]) == 1


def test_judging_tells_what_it_found_and_leaves_every_report(sound: Path) -> None:
    events: list[object] = []
    verdict = judge_and_report(sound, on_event=events.append)
    reached = events[-1]
    assert isinstance(reached, VerdictReached)
    assert (reached.verdict, reached.run_dir) == (verdict.verdict, sound)
    assert {"verdict.json", "report.html", "summary.md", "junit.xml"} <= {path.name for path in sound.iterdir()}
