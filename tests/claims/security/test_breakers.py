"""Circuit breakers, judged by what their instances said of them and by what was handled meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of
from sound.drills import CHANGES, POISONED, breaker, poisoned, under, watched
from sound.faults import START_S, at_us, fault, faulted, with_config

from necp_validate.claims.checks.security.breakers import openings
from necp_validate.core import Verdict
from necp_validate.record import BreakerSample, OutcomeGap, Record


def judged(history: Record) -> tuple[Verdict, str]:
    """Verdict and words of the claim; the check agrees."""
    result = claim_of(history, "SEC-BREAKER")
    assert finding_of(history, "circuit-breaker").verdict is result.verdict, result.evidence
    return result.verdict, f"{result.measured}; {result.evidence}"


def test_a_breaker_that_does_what_it_must_passes_with_its_figures() -> None:
    verdict, words = judged(poisoned())
    assert verdict is Verdict.PASS, words
    assert "social of core-0: opened at 52.0% failures, open for 60.1 s, closed in the end" in words


def test_a_trial_too_short_to_be_seen_is_known_by_its_count() -> None:
    unseen = watched(*(one for one in CHANGES if one.state != "half-open"))
    assert judged(poisoned(*unseen))[0] is Verdict.PASS
    (opening,) = openings(unseen)
    assert opening.open_s == pytest.approx(60.2)


def test_a_bad_trial_opens_it_again() -> None:
    again = (
        *CHANGES[:4],
        breaker(70.1, "open", 2, 1),
        breaker(129.9, "open", 2, 1),
        breaker(130.2, "closed", 2, 2),
    )
    assert [opening.open_s for opening in openings(again)] == pytest.approx([60.1, 60.1])


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ((breaker(1, "closed"), breaker(79, "closed")), Verdict.FAIL, "never opened"),
        (
            (*CHANGES[:3], breaker(40, "half-open", 1, 1), breaker(41, "closed", 1, 1), breaker(79, "closed", 1, 1)),
            Verdict.FAIL,
            "open for 30.0 s",
        ),
        ((*CHANGES[:3], breaker(79, "open", 1)), Verdict.FAIL, "it never tried in the 69.0 s"),
        (
            (*CHANGES[:4], breaker(70.1, "closed", 1, 0), breaker(79, "closed", 1)),
            Verdict.FAIL,
            "without a trial",
        ),
        ((*CHANGES[:5], breaker(79, "half-open", 1, 1)), Verdict.UNKNOWN, "half-open 8.9 s after its trial"),
        (tuple(replace(s, ratio_at_opening=0.4) for s in CHANGES), Verdict.FAIL, "opened at 40.0% failures"),
        (
            tuple(replace(s, ratio_at_opening=None) for s in CHANGES),
            Verdict.UNKNOWN,
            "at which share of failures it opened was not recorded",
        ),
        (tuple(replace(s, monitoring_window_s=60.0) for s in CHANGES), Verdict.UNKNOWN, "not configured as claimed"),
        ((breaker(1, "open", 1), *CHANGES[3:]), Verdict.FAIL, "never opened"),
        (
            (breaker(1, "half-open", 0, 1), *CHANGES[1:]),
            Verdict.UNKNOWN,
            "the breaker was half-open before the poison",
        ),
    ],
)
def test_what_is_wrong_with_a_breaker_is_told(changes: tuple[BreakerSample, ...], verdict: Verdict, words: str) -> None:
    found, said = judged(poisoned(*watched(*changes)))
    assert (found, words in said) == (verdict, True), said


def test_a_breaker_that_nobody_looked_at_or_not_for_long_enough_proves_nothing() -> None:
    """Ten samples a second are taken; what there is must cover the time of the poison."""
    history = poisoned()
    found, said = judged(replace(history, breakers=()))
    assert (found, "nobody looked at the circuit breaker of social" in said) == (Verdict.UNKNOWN, True)
    assert "0 of 125 seconds of samples of circuit breakers (history/breakers.jsonl)" in said

    short = tuple(one for one in history.breakers if one.t_us <= at_us(40) or one.domain != "social")
    found, said = judged(replace(history, breakers=short))
    assert (found, "102 of 125 seconds of samples of circuit breakers" in said) == (Verdict.UNKNOWN, True), said

    sparse = poisoned(*watched(*CHANGES, every_s=20))
    found, said = judged(sparse)
    assert (found, "of 125 seconds of samples of circuit breakers" in said) == (Verdict.UNKNOWN, True), said


@pytest.mark.parametrize(("tried_events", "verdict"), [(0, Verdict.UNKNOWN), (100, Verdict.FAIL)])
def test_a_trial_for_which_no_event_came_decides_nothing(tried_events: int, verdict: Verdict) -> None:
    stuck = (breaker(at_s, "half-open", 1, 1, tried_events=tried_events) for at_s in (70.1, 98))
    history = poisoned(*watched(*CHANGES[:4], *stuck))
    found, said = judged(under(history, replace(POISONED, end_us=at_us(99))))
    words = f"half-open 27.9 s after its trial began, {tried_events} events came for it"
    assert (found, words in said) == (verdict, True), said


def test_a_breaker_without_reason_to_open_proves_nothing() -> None:
    found, said = judged(poisoned(*watched(breaker(1, "closed"), breaker(79, "closed")), poison=100))
    assert (found, "had no reason to open" in said) == (Verdict.UNKNOWN, True)


def test_a_consumer_that_reads_on_or_stops_the_others_fails_it() -> None:
    found, said = judged(poisoned(open_s=(0, 0)))
    assert (found, "social: 5,800 events were handled while the breaker was open" in said) == (Verdict.FAIL, True), said

    history = poisoned()
    begin, end = START_S + 11, START_S + 70
    stopped = tuple(
        replace(row, processed=0 if row.t < end else 100 * (end - begin + 1))
        if row.domain == "combat" and begin <= row.t <= end
        else row
        for row in history.timeline
    )
    silence = OutcomeGap(domain="combat", from_us=at_us(11), to_us=at_us(70))
    loads = tuple(replace(load, outcome_gaps=(*(load.outcome_gaps or ()), silence)) for load in history.loads)
    found, said = judged(replace(history, timeline=stopped, loads=loads))
    assert (found, "0 of 5,800 events were handled while the breaker of social was open" in said) == (
        Verdict.FAIL,
        True,
    )


def test_a_breaker_while_which_no_event_came_proves_nothing() -> None:
    """Nothing of its own had to wait."""
    history = poisoned()
    quiet = tuple(
        replace(row, acked=0) if row.domain == "social" and START_S + 9 <= row.t <= START_S + 71 else row
        for row in history.timeline
    )
    found, said = judged(replace(history, timeline=quiet))
    assert (found, "no event came while the breaker was open" in said) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("breaker_failure", 0.4), ("breaker_failure", 0.6), ("breaker_recovery_s", 30), ("breaker_window_s", 400)],
)
def test_what_a_breaker_is_claimed_to_be_cannot_be_moved_at_all(name: str, value: float) -> None:
    found, said = judged(with_config(poisoned(), thresholds={name: value}))
    assert found is Verdict.UNKNOWN
    assert f"judged by a looser limit than claimed: {name} is {value:g}" in said


def test_a_breaker_has_to_close_as_fast_as_the_scenario_wants_it() -> None:
    """Within 20 s of its trial as claimed, or faster."""
    slow = poisoned(*watched(*CHANGES[:4], breaker(70.1, "half-open", 1, 1), breaker(79, "half-open", 1, 1)))
    assert judged(slow)[0] is Verdict.UNKNOWN
    assert judged(with_config(slow, thresholds={"breaker_closes_s": 5}))[0] is Verdict.FAIL
    found, said = judged(with_config(poisoned(), thresholds={"breaker_closes_s": 60}))
    assert (found, "breaker_closes_s is 60 s, claimed 20 s" in said) == (Verdict.UNKNOWN, True)


def test_a_run_that_provokes_no_breaker_has_nothing_to_judge() -> None:
    """With other faults, or with none."""
    finding = finding_of(faulted(fault()), "circuit-breaker")
    assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, "no breaker was provoked in this run")
    assert claim_of(faulted(fault()), "SEC-BREAKER").verdict is Verdict.UNKNOWN
