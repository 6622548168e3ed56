"""The limit of a producer, judged by what of a flood lies in the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import claim_of, finding_of, found, timed_history
from sound.drills import FLOOD, FLOODED, flooded, under
from sound.faults import START_US, with_config

from necp_validate.core import Verdict
from necp_validate.record import FloodSecond, IntervalSet, Record


def judged(history: Record) -> tuple[Verdict, str]:
    """Verdict and words of the claim; the check agrees."""
    result = claim_of(history, "SEC-RATE")
    assert finding_of(history, "producer-limit").verdict is result.verdict
    return result.verdict, f"{result.measured}; {result.evidence}"


def test_a_limiter_that_holds_passes_with_its_figures() -> None:
    verdict, words = judged(flooded())
    assert verdict is Verdict.PASS, words
    assert "309,000 events passed in 15.0 s, the limit is 309,000 to 310,000" in words
    assert "448,500 due, 330,000 offered, 21,000 refused" in words
    assert "social ? → 10 ms → ?" in words
    assert claim_of(flooded(), "SEC-RATE").sees.startswith("2% too few or 1% too many events of a flood that pass")


@pytest.mark.parametrize(
    ("passed", "changes", "verdict", "words"),
    [
        (313_500, {}, Verdict.FAIL, "the limit allows 310,000"),
        (300_000, {}, Verdict.FAIL, "300,000 events passed where 309,000 had to"),
        (
            250_000,
            {"seconds": (FloodSecond(offered=16_000, accepted=16_000, refused=0),) * 15, "hits": 0},
            Verdict.UNKNOWN,
            "this host does not carry the flood",
        ),
        (300_000, {"passable": 301_000}, Verdict.UNKNOWN, "an exact limit would have let 301,000 of the offers pass"),
        (290_000, {"passable": 301_000}, Verdict.FAIL, "290,000 events passed where 309,000 had to"),
        (250_000, {"unanswered": 250}, Verdict.UNKNOWN, "250 events got no answer"),
        (309_000, {"due": 310_000}, Verdict.UNKNOWN, "no flood for a limit"),
        (309_000, {"hits": 20_999}, Verdict.FAIL, "metric has 20,999 events refused, 21,000 were"),
        (309_000, {"hits": None}, Verdict.PASS, "309,000 events passed"),
        (309_000, {"waits_s": ((0.1, 0.2, 0.3, 0.35),) * 10}, Verdict.FAIL, "do not grow exponentially"),
        (309_000, {"waits_s": ((0.1, 0.2, 0.4, 0.8),) * 10}, Verdict.FAIL, "no jitter"),
        (309_000, {"waits_s": ((0.1, 0.2),) * 10}, Verdict.UNKNOWN, "too few to see waits grow"),
        (
            31_000,
            {"rate_eps": 2_000, "burst": 1_000, "due": 44_850},
            Verdict.UNKNOWN,
            "the claim is about 20,000/s and 10,000",
        ),
    ],
)
def test_what_is_wrong_with_a_limiter_is_told(passed: int, changes: Any, verdict: Verdict, words: str) -> None:
    found_, said = judged(flooded(passed, replace(FLOOD, **changes)))
    assert (found_, words in said) == (verdict, True), said


def test_the_limit_that_is_claimed_cannot_be_moved_at_all() -> None:
    """Neither way: the claim is about this very figure."""
    for name, value in (("producer_rate_eps", 10_000), ("producer_rate_eps", 40_000), ("producer_burst", 5_000)):
        verdict, words = judged(with_config(flooded(), thresholds={name: value}))
        assert verdict is Verdict.UNKNOWN
        assert f"judged by a looser limit than claimed: {name} is {value:g} events" in words


def test_others_that_become_slow_fail_it_unless_the_host_is_to_blame() -> None:
    """Or unless nobody knows how they were before."""
    slow = flooded(e2e_ms=250.0)
    first = found(slow, "producer-limit")
    assert first.verdict is Verdict.UNKNOWN, "the flood is in the first phase"
    assert "claimed < 200 ms), and no better before it" in first.summary

    before = replace(slow.phases[0], name="before", start_us=START_US - 10**7, end_us=START_US)
    quick = timed_history(seconds=30, eps={"social": 300.0}, e2e_ms=10.0)
    counts = {"before": (quick.loads[0].phases or {})["steady"], **(slow.loads[0].phases or {})}
    known = replace(
        slow,
        phases=(before, *slow.phases),
        latency={**slow.latency, ("before", "social", "e2e"): quick.latency["steady", "social", "e2e"]},
        loads=(replace(slow.loads[0], phases=counts),),
    )
    felt = found(known, "producer-limit")
    assert felt.verdict is Verdict.FAIL
    assert "social 10 ms → 251 ms → ?" in felt.summary

    busy = replace(known, host=tuple(replace(sample, cpu_busy_pct=99.0) for sample in known.host))
    excused = found(busy, "producer-limit")
    assert (excused.verdict, "the host was 99.0% busy" in excused.summary) == (Verdict.UNKNOWN, True)


def test_a_flood_that_was_never_made_is_no_evidence() -> None:
    """Its fault took effect, and it left no record."""
    verdict, words = judged(replace(flooded(), floods=()))
    assert (verdict, "no records of floods (history/limits.jsonl)" in words) == (Verdict.UNKNOWN, True)


def test_a_flood_that_never_took_effect_is_no_evidence() -> None:
    """Whatever its record says."""
    history = under(flooded(), replace(FLOODED, effective_us=None))
    verdict, words = judged(history)
    assert (verdict, "publisher-flood-1" in words) == (Verdict.UNKNOWN, True)
    assert "was never seen to take effect" in words


def test_what_is_lost_of_the_flood_itself_counts() -> None:
    """Its topic is loaded by nobody else."""
    history = flooded()
    assert history.readback is not None
    (drill,) = history.drill_loads
    stream = drill.streams[0]
    more = replace(stream, acked=IntervalSet([(0, stream.sent)]), sent=stream.sent + 1)
    lossy = replace(history, drill_loads=(replace(drill, streams=(more,)),))

    result = claim_of(lossy, "SEC-RATE")
    assert (result.verdict, "lost: 1 event" in result.measured) == (Verdict.FAIL, True), result.evidence


def test_a_run_without_a_flood_has_nothing_to_judge() -> None:
    """The check is not applicable, the claim unknown."""
    history = timed_history(seconds=30, eps={"social": 300.0})
    finding = finding_of(history, "producer-limit")
    assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, "the scenario has no faults")
    assert claim_of(history, "SEC-RATE").verdict is Verdict.UNKNOWN
