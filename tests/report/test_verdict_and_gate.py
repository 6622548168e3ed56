"""The verdict file, its sentence, and the exit code that CI acts on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate, rewrite

from necp_validate.claims.run import Judgement
from necp_validate.core import ClaimResult, Example, Finding, SuiteError, UsageError, Verdict
from necp_validate.evidence.inventory import Holding
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.record import parts
from necp_validate.record.closing import close
from necp_validate.report.gate import gate
from necp_validate.report.pipeline import judge, judge_and_report
from necp_validate.report.verdict import conclude, read_verdict, sentence, write_verdict
from necp_validate.scenario.events import VerdictReached

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE


CLAIM = """
[[claims]]
id = "mine"
description = "nothing is lost"
metric = "lost"
comparison = "<="
threshold = 0
"""


def claim(verdict: Verdict, id_: str = "LAT-COMBAT") -> ClaimResult:
    return ClaimResult(
        id=id_, title="t", verdict=verdict, threshold="P99 < 30 ms", measured="P99 41 ms", evidence="no samples."
    )


def check(verdict: Verdict, name: str = "lost-write") -> Finding:
    examples = (Example(where="game.combat.events[3]", detail="sequence 7"),)
    return Finding(name=name, verdict=verdict, count=1, summary="1 event was lost.", examples=examples)


def judgement(claims: list[ClaimResult], checks: list[Finding], *evidence: Holding) -> Judgement:
    return Judgement(findings=tuple(checks), claims=tuple(claims), evidence=evidence)


@pytest.mark.parametrize(
    ("claims", "checks", "verdict", "code"),
    [
        ([PASS], [PASS], PASS, 0),
        ([PASS], [PASS, NOT_APPLICABLE], PASS, 0),
        ([PASS], [FAIL], FAIL, 1),
        ([FAIL, UNKNOWN], [PASS], FAIL, 1),
        ([UNKNOWN, PASS], [PASS], UNKNOWN, 3),
        ([], [], UNKNOWN, 3),
        ([], [PASS, PASS], UNKNOWN, 3),
        ([], [FAIL], FAIL, 1),
        ([], [NOT_APPLICABLE], UNKNOWN, 3),
    ],
)
def test_the_worst_claim_or_check_decides(
    tmp_path: Path, claims: list[Verdict], checks: list[Verdict], verdict: Verdict, code: int
) -> None:
    """And a run in which no claim was judged never passes."""
    concluded = conclude(tmp_path, judgement([claim(one) for one in claims], [check(one) for one in checks]))
    assert concluded.verdict is verdict
    assert concluded.verdict.exit_code == code


def test_what_is_not_applicable_is_no_check_of_the_run(tmp_path: Path) -> None:
    checks = [check(PASS), check(NOT_APPLICABLE, "drained-gateway")]
    concluded = conclude(tmp_path, judgement([claim(PASS)], checks))
    assert [one.name for one in concluded.applicable] == ["lost-write"]
    assert [one.name for one in concluded.not_applicable] == ["drained-gateway"]
    assert sentence(concluded) == "Every claim (1) and every check (1) passed."


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    holding = Holding(what="partitions read back", due=2, found=1, file="history/readback.json", missing=("combat-1",))
    repeats = [tmp_path.parent / "earlier"]
    written = conclude(tmp_path, judgement([claim(FAIL)], [check(UNKNOWN)], holding), repeats)
    write_verdict(tmp_path, written)
    assert read_verdict(tmp_path) == written
    assert written.repeats == ("../earlier",)
    assert [path.name for path in tmp_path.iterdir()] == ["verdict.json"]


def test_a_missing_verdict_is_wrong_usage_and_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"verdict\.json does not exist") as caught:
        read_verdict(tmp_path)
    assert caught.value.hint == f"make it with: necp-validate verify {tmp_path}"


def test_a_torn_verdict_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text('{"run": "r", "verdict": "pa')
    with pytest.raises(UsageError, match="cannot be read"):
        read_verdict(tmp_path)


@pytest.mark.parametrize(
    ("claims", "checks", "says"),
    [
        ([PASS], [PASS], "Every claim (1) and every check (1) passed."),
        ([FAIL], [PASS], "1 of 2 claims and checks failed: LAT-COMBAT (P99 41 ms, claimed P99 < 30 ms)."),
        (
            [UNKNOWN],
            [],
            "Nothing failed, but 1 of 1 claims and checks could not be decided: LAT-COMBAT (no samples).",
        ),
        ([], [FAIL], "1 of 1 claims and checks failed: check lost-write (1 event was lost)."),
        ([], [PASS], "No claim was judged: the checks alone prove nothing that anybody has claimed."),
        ([], [], "Nothing was judged."),
        ([], [NOT_APPLICABLE], "Nothing was judged."),
    ],
)
def test_one_sentence_says_why(tmp_path: Path, claims: list[Verdict], checks: list[Verdict], says: str) -> None:
    judged = judgement([claim(one) for one in claims], [check(one) for one in checks])
    assert sentence(conclude(tmp_path, judged)) == says


@pytest.mark.parametrize("first", ["changed-record", "complete-run"])
def test_a_run_that_broke_off_or_was_changed_is_named_first(tmp_path: Path, first: str) -> None:
    """Everything else is unknown because of it."""
    checks = [check(UNKNOWN), Finding(name=first, verdict=UNKNOWN, count=0, summary="a broker died\nlog")]
    said = sentence(conclude(tmp_path, judgement([claim(UNKNOWN)], checks)))
    assert f"could not be decided: check {first} (a broker died); LAT-COMBAT" in said


def test_a_long_list_of_reasons_is_cut(tmp_path: Path) -> None:
    checks = [check(FAIL, f"check-{number}") for number in range(5)]
    assert sentence(conclude(tmp_path, judgement([], checks))).endswith("; and 2 more.")


def test_a_sound_run_passes(judged: dict[str, Path]) -> None:
    """What is made here is what the checkers call sound: if not, every test of this folder stands on sand."""
    found = read_verdict(judged["sound"])
    assert [one.name for one in found.applicable if one.verdict is not PASS] == []
    assert [one.id for one in found.claims if one.verdict is not PASS] == []
    assert [one for one in found.evidence if not one.complete] == []
    assert found.verdict is PASS


def test_every_pass_says_what_it_would_have_seen(judged: dict[str, Path]) -> None:
    found = read_verdict(judged["sound"])
    assert [one.id for one in found.claims if not one.sees] == []
    whole = {"complete-run", "suite-failure"}
    assert {one.name for one in found.applicable if not one.sees} <= whole | RECONCILERS.keys()


def test_a_lost_event_fails_the_run(judged: dict[str, Path]) -> None:
    found = read_verdict(judged["lossy"])
    assert found.verdict is FAIL
    assert {one.id for one in found.of(FAIL)} == {"DUR-ACKED"}
    assert [one.name for one in found.applicable if one.verdict is FAIL] == ["lost-write"]
    assert gate(judged["lossy"]).verdict.exit_code == 1


def test_judging_tells_what_it_found_and_leaves_every_report(sound: Path) -> None:
    events: list[object] = []
    verdict = judge_and_report(sound, on_event=events.append)
    reached = events[-1]
    assert isinstance(reached, VerdictReached)
    assert (reached.verdict, reached.run_dir) == (verdict.verdict, sound)
    assert {"verdict.json", "report.html", "summary.md", "junit.xml"} <= {path.name for path in sound.iterdir()}


class TestTheGateJudgesTheRecord:
    """Whatever ``verdict.json`` says."""

    def test_a_verdict_that_was_edited_to_pass_does_not(self, tmp_path: Path) -> None:
        run = fabricate(tmp_path, Recipe(lost=3))
        judge(run)
        stored = json.loads((run / "verdict.json").read_text())
        for one in (stored, *stored["claims"], *stored["checks"]):
            one["verdict"] = "pass"
        (run / "verdict.json").write_text(json.dumps(stored))
        assert read_verdict(run).verdict is PASS
        assert gate(run).verdict is FAIL

    def test_a_run_that_nobody_judged_is_judged(self, sound: Path) -> None:
        assert not (sound / "verdict.json").exists()
        assert gate(sound).verdict is PASS
        assert not (sound / "verdict.json").exists(), "the gate writes nothing"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"run": "r", "verdict": "pass", "claims": [], "checks": []}'])
    def test_a_file_that_is_no_verdict_counts_for_nothing(self, sound: Path, text: str) -> None:
        (sound / "verdict.json").write_text(text)
        assert gate(sound).verdict is PASS

    def test_a_run_in_which_no_claim_is_judged_is_unknown(self, tmp_path: Path) -> None:
        run = fabricate(tmp_path, Recipe(config={"judge": []}))
        found = gate(run)
        assert (found.verdict, found.claims) == (UNKNOWN, ())
        assert sentence(found) == "No claim was judged: the checks alone prove nothing that anybody has claimed."

    def test_it_loads_neither_charts_nor_kafka(self, sound: Path) -> None:
        """Its own time is that of reading and judging, however large the suite is."""
        heavy = ("pandas", "matplotlib", "jinja2", "locust", "gevent", "confluent_kafka", "hypothesis")
        code = (
            "import sys\nfrom typer.testing import CliRunner\nfrom necp_validate.cli.app import app\n"
            f"done = CliRunner().invoke(app, ['gate', {str(sound)!r}])\n"
            f"print(done.exit_code, [one for one in {heavy!r} if one in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "0 []"


class TestARecordThatWasChanged:
    """It proves nothing any more, and what was changed is named."""

    @pytest.mark.parametrize(
        "name", ["history/readback.json", "history/timeline-w0.jsonl", "metrics/lag.csv", "logs/core-0.log", "run.json"]
    )
    def test_an_edited_file_is_named(self, tmp_path: Path, name: str) -> None:
        run = fabricate(tmp_path)
        content = (run / name).read_text()
        (run / name).write_text(content + "\n" if name.endswith(("log", "json")) else content.replace("0", "1", 1))
        self._is_unknown(run, f"changed {name}")

    @pytest.mark.parametrize(
        ("name", "text"),
        [("history/experiments.jsonl", ""), ("metrics/more.csv", ""), ("logs/later.log", ""), ("claims.toml", CLAIM)],
    )
    def test_an_added_file_is_named(self, sound: Path, name: str, text: str) -> None:
        (sound / name).write_text(text)
        self._is_unknown(sound, f"added {name}")

    @pytest.mark.parametrize("name", ["history/drain.json", "metrics/host.csv", "logs/core-0.log"])
    def test_a_removed_file_is_named(self, sound: Path, name: str) -> None:
        (sound / name).unlink()
        self._is_unknown(sound, f"missing {name}")

    @pytest.mark.parametrize("text", ["", '{"component":"monitor","t_us":17957809546'])
    def test_a_file_of_rows_that_ends_within_one_is_named(self, sound: Path, text: str) -> None:
        """As a full disk leaves it, closed or not: what failed then is just what cannot be read."""
        (sound / "history/suite-failures.jsonl").write_text(text)
        close(sound)
        self._is_unknown(sound, "this run is not whole: cut off in the middle of a row history/suite-failures.jsonl")

    def test_a_run_that_was_never_closed_never_passes(self, sound: Path) -> None:
        (sound / "manifest.json").unlink()
        self._is_unknown(sound, "was never closed")

    def test_a_manifest_that_is_damaged_is_no_manifest(self, sound: Path) -> None:
        (sound / "manifest.json").write_text("{}")
        with pytest.raises(SuiteError, match=r"manifest\.json is damaged"):
            gate(sound)

    def test_a_fail_stays_one(self, tmp_path: Path) -> None:
        """What is lost is lost, whoever touched the files afterwards."""
        run = fabricate(tmp_path, Recipe(lost=3))
        (run / "logs/core-0.log").write_text("")
        assert gate(run).verdict is FAIL
        assert "changed-record" in {one.name for one in gate(run).applicable if one.verdict is UNKNOWN}

    def test_reports_and_the_verdict_are_no_part_of_the_record(self, sound: Path) -> None:
        judge_and_report(sound)
        (sound / "report.html").write_text("")
        (sound / "notes.txt").write_text("seen by me")
        assert gate(sound).verdict is PASS

    @staticmethod
    def _is_unknown(run: Path, says: str) -> None:
        found = gate(run)
        assert found.verdict.exit_code == 3
        (changed,) = (one for one in found.applicable if one.name == "changed-record")
        assert says in changed.summary
        assert says in sentence(found)


class TestClaimsThatAreGivenLater:
    """They belong to the run from then on, and nothing else that was changed does."""

    @pytest.fixture
    def claims(self, tmp_path: Path) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(CLAIM)
        return path

    def test_the_manifest_takes_them_in_and_the_gate_judges_them(self, sound: Path, claims: Path) -> None:
        before = parts.MANIFEST.read(sound)
        assert before is not None
        assert judge(sound, claims=claims).verdict is PASS
        after = parts.MANIFEST.read(sound)
        assert after is not None
        assert after.files.keys() - before.files.keys() == {"claims.toml"}
        assert {path: after.files[path] for path in before.files} == dict(before.files)
        assert [one.id for one in gate(sound).of(PASS)][-1] == "mine"

    def test_what_else_was_changed_stays_changed(self, sound: Path, claims: Path) -> None:
        (sound / "metrics/lag.csv").write_text("t,domain,lag\n")
        found = judge(sound, claims=claims)
        assert found.verdict is UNKNOWN
        assert "changed metrics/lag.csv" in sentence(found)
        assert "claims.toml" not in sentence(found)

    def test_an_edited_claim_is_a_change(self, sound: Path, claims: Path) -> None:
        judge(sound, claims=claims)
        (sound / "claims.toml").write_text(CLAIM.replace("threshold = 0", "threshold = 9"))
        found = gate(sound)
        assert found.verdict is UNKNOWN
        assert "changed claims.toml" in sentence(found)

    def test_a_run_that_was_never_closed_is_not_closed_by_them(self, sound: Path, claims: Path) -> None:
        (sound / "manifest.json").unlink()
        assert judge(sound, claims=claims).verdict is UNKNOWN
        assert not (sound / "manifest.json").exists()


def test_an_own_failure_of_the_suite_is_in_the_verdict(sound: Path) -> None:
    """The monitor died: what it would have written is missing, whatever there is of it."""
    from necp_validate.record.suite_failures import SuiteFailure

    info = parts.RUN.read(sound)
    assert info is not None
    failure = SuiteFailure(t_us=info.started_us, component="monitor", problem="it ended", parts=("host", "lag"))
    parts.SUITE_FAILURES.append(sound, failure)
    rewrite(sound, parts.RUN, error=None)
    assert "monitor: it ended" in " ".join(one.summary for one in gate(sound).applicable if one.verdict is UNKNOWN)
