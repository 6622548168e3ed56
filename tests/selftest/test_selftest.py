from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from necp_validate.claims import verify_run
from necp_validate.core import SuiteError, Verdict
from necp_validate.selftest import DEFECTS, TOPIC_DEFECTS, Caught, exit_code, run_selftest, runner, table, uncovered
from necp_validate.selftest.accounts import JUDGED, write_run
from necp_validate.selftest.simulation import CHEAT_EVERY, new_simulation


@pytest.fixture(scope="module")
def results() -> list[Caught]:
    return run_selftest()


def test_every_defect_is_caught_by_exactly_what_must_catch_it(results: list[Caught]) -> None:
    assert [(result.defect.name, result.problem) for result in results if not result.caught] == []
    assert exit_code(results) == 0
    count = len(DEFECTS) + len(TOPIC_DEFECTS)
    assert table(results).endswith(f"{count} of {count} defects caught")


def test_every_check_has_a_defect() -> None:
    """A check that nothing proves able to fail proves nothing."""
    assert uncovered() == []


def test_a_caught_defect_is_told_with_its_figures(results: list[Caught]) -> None:
    lost = next(result for result in results if result.defect.caught_by == "lost-write")
    assert "1 of" in lost.summary
    late = next(result for result in results if result.defect.caught_by == "LAT-COMBAT")
    assert "claimed P99 < 30 ms" in late.summary


def test_the_sound_run_passes_every_check_and_claim(tmp_path: Path) -> None:
    simulation = new_simulation()
    simulation.go()
    write_run(simulation, tmp_path / "run")
    findings, claims, verdict = verify_run(tmp_path / "run")
    assert verdict is Verdict.PASS
    assert all(finding.count == 0 for finding in findings)
    combat = [event for event in simulation.plan if event.domain == "combat"]
    assert len(combat) // CHEAT_EVERY == sum(event.kind == "cheat" for event in combat)
    assert {claim.id for claim in claims} == set(JUDGED)


def test_a_defect_that_is_not_caught_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = replace(DEFECTS[0], name="nothing at all", seed=lambda simulation: None)
    monkeypatch.setattr(runner, "DEFECTS", (harmless,))
    missed = run_selftest()
    assert exit_code(missed) == 1
    assert "CHAOS-ALL" in harmless.expected
    assert f"NO (not failed: {', '.join(sorted(harmless.expected))})" in table(missed)


def test_a_check_that_fires_as_well_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    broad = replace(DEFECTS[0], claims=frozenset())
    monkeypatch.setattr(runner, "DEFECTS", (broad,))
    monkeypatch.setattr(runner, "TOPIC_DEFECTS", ())
    (result,) = run_selftest()
    assert result.problem == f"failed as well: {', '.join(sorted(DEFECTS[0].claims))}"


def test_a_defect_for_a_check_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "DEFECTS", (replace(DEFECTS[0], caught_by="lost-right"),))
    with pytest.raises(SuiteError, match="lost-right"):
        run_selftest()


def test_checks_that_cry_wolf_stop_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sound run does not pass, nothing can be said of the defects."""
    monkeypatch.setattr("necp_validate.claims.checks.load.resources.MEMORY_BYTES", 1)
    with pytest.raises(SuiteError, match="RES-MEMORY"):
        run_selftest()


def test_nothing_seeded_is_no_pass() -> None:
    assert exit_code([]) == 1


def test_a_fault_that_was_not_applied_is_no_failure(results: list[Caught]) -> None:
    """It leaves what rests on it unknown, with the reason."""
    idle = next(result for result in results if result.defect.name == "fault that cannot be done")
    assert idle.defect.verdict is Verdict.UNKNOWN
    assert idle.summary == "cut-1: needs root and iptables"
