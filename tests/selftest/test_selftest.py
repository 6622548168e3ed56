"""The self-test proves that every check can fail, and that none passes without evidence; these prove the self-test."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from necp_validate.claims import CHECKS
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.limits import LIMITS as CLAIMED
from necp_validate.cli.tables import selftest_table
from necp_validate.core import SuiteError, UsageError, Verdict
from necp_validate.record import parts
from necp_validate.selftest import Results, run_selftest, runner, uncovered
from necp_validate.selftest.bed import BEDS, Bed, verdicts_of
from necp_validate.selftest.contents import write_like, write_run
from necp_validate.selftest.simulated.scenario import JUDGED, LIMITS, NOT_REACHED, PHASES, SCENARIO, finished_run

LOAD, TOPICS, CAMPAIGN = BEDS


@pytest.fixture(scope="module")
def results() -> Results:
    return run_selftest()


@pytest.fixture(scope="module")
def sound_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound simulated run of the load."""
    run_dir = tmp_path_factory.mktemp("selftest") / "sound"
    write_run(LOAD.sound(), run_dir)
    return run_dir


def shown(table: RenderableType) -> str:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def _only(monkeypatch: pytest.MonkeyPatch, bed: Bed) -> None:
    monkeypatch.setattr(runner, "BEDS", (bed,))


# Both halves of the proof -------------------------------------------------------------------------------------------


def test_every_defect_is_caught_by_exactly_what_must_catch_it(results: Results) -> None:
    assert [(one.name, one.problem) for one in results.caught if not one.caught] == []
    count = sum(len(bed.defects) for bed in BEDS)
    assert results.words[0] == f"{count} of {count} defects caught"


def test_nothing_passes_without_its_evidence(results: Results) -> None:
    assert [(one.removal, sorted(one.passing)) for one in results.missed if one.passing] == []
    assert results.exit_code == 0
    checked, resting = results.words[1].split(" checks")[0].split(" of ")
    assert checked == resting


def test_every_check_comparison_and_claim_has_a_defect() -> None:
    """A check that nothing proves able to fail proves nothing."""
    assert uncovered() == []


def test_names_of_defects_and_of_what_is_taken_away_are_unique(results: Results) -> None:
    seeded = [one.name for one in results.caught]
    taken = [(one.bed, one.removal) for one in results.missed]
    assert len(set(seeded)) == len(seeded)
    assert len(set(taken)) == len(taken)


def test_a_caught_defect_is_told_with_its_figures(results: Results) -> None:
    lost = next(one for one in results.caught if one.caught_by == "lost-write")
    assert "1 of" in lost.summary
    late = next(one for one in results.caught if one.caught_by == "LAT-COMBAT")
    assert "claimed e2e_p99 < 30 ms" in late.summary


def test_a_fault_that_was_not_applied_is_no_failure(results: Results) -> None:
    """It leaves what rests on it unknown, with the reason."""
    idle = next(one for one in results.caught if one.name == "fault that cannot be done")
    assert idle.found is Verdict.UNKNOWN
    assert idle.summary == "cut-1: needs root and iptables"


def test_the_table_has_both_halves(results: Results) -> None:
    text = shown(selftest_table(results))
    for words in ("acked event dropped", "without metrics/lag.csv", *results.words):
        assert words in text


# The sound runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bed", BEDS, ids=lambda bed: str(bed.name))
def test_a_sound_run_passes(bed: Bed, tmp_path: Path) -> None:
    write_run(bed.sound(), tmp_path / "run")
    judgement = bed.judge(tmp_path / "run")
    assert judgement.verdict is Verdict.PASS
    assert all(finding.count == 0 for finding in judgement.findings)
    assert {claim.id for claim in judgement.claims} == set(bed.claims)


def test_every_claim_is_judged_or_says_why_not() -> None:
    assert set(JUDGED) | NOT_REACHED.keys() == CLAIMS.keys()
    assert all(NOT_REACHED.values())
    judged = {claim for bed in BEDS for claim in bed.claims}
    assert {name for name, claim in CLAIMS.items() if not claim.not_judged} == judged


def test_the_simulated_run_brings_no_limits_of_its_own() -> None:
    """A looser limit in a scenario proves nothing: what it is judged by replaces the catalogue's, with a reason."""
    assert SCENARIO.thresholds == {}
    assert LIMITS.keys() <= CLAIMED.keys()
    assert all(why and value != CLAIMED[name].value for name, (value, why) in LIMITS.items())


def test_the_simulated_run_says_of_itself_what_a_real_one_does() -> None:
    config = finished_run("r", SCENARIO.name, SCENARIO.to_config()).config
    assert [phase["name"] for phase in config["phases"]] == [phase.name for phase in PHASES]
    assert {phase.kind for phase in PHASES} == {"steady", "surge", "fault", "recovery"}


def test_every_file_matters(sound_dir: Path, tmp_path: Path) -> None:
    """Taken away one at a time, before the run is closed, each changes a verdict."""
    sound = LOAD.sound()
    before = verdicts_of(LOAD.judge(sound_dir))
    unmissed = []
    for number, part in enumerate(part for part in sound if sound[part] and part is not parts.RUN):
        run_dir = tmp_path / f"{number}"
        contents = {one: value for one, value in sound.items() if one is not part}
        write_like(contents, run_dir, sound=sound, sound_dir=sound_dir)
        if verdicts_of(LOAD.judge(run_dir)) == before:
            unmissed.append(part.path)
    assert unmissed == []


# What the self-test does when something is wrong ----------------------------------------------------------------------


def test_a_defect_that_is_not_caught_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    first = CAMPAIGN.defects[0]
    _only(monkeypatch, replace(CAMPAIGN, defects=(replace(first, name="nothing at all", make=CAMPAIGN.sound),)))
    missed = run_selftest(processes=1)
    assert missed.exit_code == 1
    expected = ", ".join(sorted(first.expected(CAMPAIGN.claims)))
    (one,) = missed.caught
    assert one.problem == f"{first.caught_by} is pass, not fail; not failed: {expected}"


def test_a_check_that_fires_as_well_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, replace(CAMPAIGN, defects=(replace(CAMPAIGN.defects[0], others=()),)))
    (result,) = run_selftest(processes=1).caught
    assert result.problem == "failed as well: EVT-SOCIAL, fuzz-social"


def test_a_check_that_passes_without_its_evidence_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that holds whatever there is of its evidence."""
    _only(monkeypatch, CAMPAIGN)
    idle = tuple(replace(kind, count=lambda *_: ()) for kind in CHECKS["fuzz-crash"].evidence)
    monkeypatch.setitem(CHECKS, "fuzz-crash", replace(CHECKS["fuzz-crash"], evidence=idle))
    results = run_selftest(processes=1)
    assert all(one.caught for one in results.caught)
    assert results.exit_code == 1
    assert "NO, EVT-REGISTRY, fuzz-crash do" in {one.words for one in results.missed}


def test_a_defect_for_a_check_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, replace(CAMPAIGN, defects=(replace(CAMPAIGN.defects[0], caught_by="lost-right"),)))
    with pytest.raises(SuiteError, match="lost-right"):
        run_selftest(processes=1)


def test_checks_that_cry_wolf_stop_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sound run does not pass, nothing can be said of the defects."""
    _only(monkeypatch, replace(CAMPAIGN, limits={"shutdown_s": 1.0}))
    with pytest.raises(SuiteError, match=r"does not pass \(campaign\): graceful-shutdown"):
        run_selftest(processes=1)


def test_a_check_that_is_not_judged_stops_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, replace(CAMPAIGN, judges=CAMPAIGN.judges | {"lost-write"}))
    with pytest.raises(SuiteError, match="lost-write"):
        run_selftest(processes=1)


def test_some_of_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, CAMPAIGN)
    found = run_selftest(only="fuzz-crash", processes=1)
    assert {one.caught_by for one in found.caught} == {"fuzz-crash"}
    assert (found.missed, found.exit_code) == ((), 0)
    (gone,) = run_selftest(only="half of its groups", processes=1).missed
    assert gone.removal.endswith("without half of its groups")
    with pytest.raises(UsageError, match="'lost-right'"):
        run_selftest(only="lost-right")


def test_nothing_seeded_is_no_pass() -> None:
    assert Results(caught=(), missed=()).exit_code == 1
