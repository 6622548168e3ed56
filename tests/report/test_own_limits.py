"""Limits that a scenario sets: a stricter one is held to, a looser one leaves unknown what it limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricate import Recipe, fabricate, rewrite

from necp_validate.core import ClaimResult, SuiteError, Verdict
from necp_validate.record import parts
from necp_validate.report.gate import gate
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import RunVerdict

LOOSER = "judged by a looser limit than claimed"


def made(tmp_path: Path, claim: str, **thresholds: float) -> Path:
    overrides = (f'judge=["{claim}"]', *(f"thresholds.{name}={value}" for name, value in thresholds.items()))
    return fabricate(tmp_path, Recipe(overrides=overrides))


def result(verdict: RunVerdict) -> ClaimResult:
    (claim,) = verdict.claims
    return claim


@pytest.mark.parametrize(
    ("claim", "threshold", "claimed"),
    [
        ("LAT-COMBAT", {"combat_p99_ms": 500}, "combat_p99_ms is 500 ms, claimed 30 ms"),
        ("LAT-HEADLINE", {"headline_p99_ms": 50.001}, "headline_p99_ms is 50.001 ms, claimed 50 ms"),
        ("RES-MEMORY", {"broker_memory_bytes": 8e9}, "broker_memory_bytes is 8e+09 B, claimed 4e+09 B"),
        ("DUR-ACKED", {"lost_events": 1}, "lost_events is 1 events, claimed 0 events"),
    ],
)
def test_a_claim_that_a_looser_limit_lets_pass_is_unknown_and_says_so(
    tmp_path: Path, claim: str, threshold: dict[str, float], claimed: str
) -> None:
    assert result(gate(made(tmp_path / "as-claimed", claim))).verdict is Verdict.PASS
    verdict = gate(made(tmp_path / "looser", claim, **threshold))
    assert result(verdict).verdict is Verdict.UNKNOWN
    assert f"{LOOSER}: {claimed}" in result(verdict).evidence
    assert verdict.verdict is Verdict.UNKNOWN


def test_every_report_says_that_a_limit_is_looser(tmp_path: Path) -> None:
    run = made(tmp_path, "DUR-ACKED", lost_events=1)
    judge_and_report(run)
    for name in ("report.html", "summary.md", "junit.xml"):
        assert LOOSER in (run / name).read_text(encoding="utf-8")


def test_a_check_with_a_looser_limit_is_unknown_too(tmp_path: Path) -> None:
    verdict = gate(made(tmp_path, "DUR-ACKED", drain_s=3600))
    assert result(verdict).verdict is Verdict.PASS
    (drain,) = (one for one in verdict.applicable if one.verdict is Verdict.UNKNOWN)
    assert drain.name == "backlog-drain"
    assert f"{LOOSER}: drain_s is 3600 s, claimed 10 s" in drain.summary


@pytest.mark.parametrize(
    ("claim", "threshold", "verdict"),
    [
        ("LAT-COMBAT", {"combat_p99_ms": 25}, Verdict.PASS),
        ("LAT-COMBAT", {"combat_p99_ms": 5}, Verdict.FAIL),
        ("LAT-COMBAT", {"combat_p99_ms": 30}, Verdict.PASS),
        ("RES-MEMORY", {"broker_memory_bytes": 1e9}, Verdict.FAIL),
    ],
)
def test_a_stricter_limit_decides(tmp_path: Path, claim: str, threshold: dict[str, float], verdict: Verdict) -> None:
    found = result(gate(made(tmp_path, claim, **threshold)))
    assert found.verdict is verdict
    assert LOOSER not in found.evidence


def test_a_miss_of_a_looser_limit_is_a_miss(tmp_path: Path) -> None:
    """What is not even so fast is not as fast as claimed."""
    run = fabricate(tmp_path, Recipe(slow=20, overrides=('judge=["LAT-COMBAT"]', "thresholds.combat_p99_ms=60")))
    assert result(gate(run)).verdict is Verdict.FAIL


@pytest.mark.parametrize("value", ["nan", True, None, [30]])
def test_a_stored_limit_that_is_no_number_is_damage(tmp_path: Path, value: object) -> None:
    """The loader would have refused it; whoever wrote it into the record gains nothing."""
    run = made(tmp_path, "LAT-COMBAT")
    info = parts.RUN.read(run)
    assert info is not None
    rewrite(run, parts.RUN, config={**info.config, "thresholds": {"combat_p99_ms": value}})
    with pytest.raises(SuiteError, match=r"run\.json is damaged: config\.thresholds\.combat_p99_ms: expected a number"):
        gate(run)
