"""Producer limits and circuit breakers, judged on histories written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, timed_history

from necp_validate.claims.checks.security.breakers import openings
from necp_validate.claims.judge import judge_claims
from necp_validate.claims.run import verify_history
from necp_validate.core import Verdict
from necp_validate.record import (
    BreakerSample,
    FaultRecord,
    FloodRecord,
    FloodSecond,
    History,
    IntervalSet,
    LoadRecord,
    Readback,
    ReceiptsRecord,
    StreamRead,
    StreamRecord,
    TimelineRow,
)

START_US = START_S * 10**6


def fault(kind: str, target: str, claim: str, end_s: float = 30.0, **changes: Any) -> FaultRecord:
    record = FaultRecord(
        id=f"{kind}-1",
        experiment="x",
        kind=kind,
        target=target,
        begin_us=START_US + 1_000_000,
        effective_us=START_US + 2_000_000,
        evidence="seen",
        end_us=START_US + round(end_s * 1e6),
        claims=(claim,),
    )
    return replace(record, **changes)


def judged(history: History, claim: str) -> tuple[Verdict, str]:
    findings, _, _ = verify_history(history)
    (result,) = judge_claims(history, findings, [claim])
    return result.verdict, f"{result.measured} {result.evidence}"


RECEIPTS = (ReceiptsRecord(topic="game.social.events", partition=0, accounted=IntervalSet([(0, 99)]), processed=100),)

FLOOD = FloodRecord(
    topic="game.combat.events",
    rate_eps=20_000,
    burst=10_000,
    begin_us=START_US + 1_000_000,
    end_us=START_US + 16_000_000,
    offering_s=14.95,
    elapsed_s=15.0,
    due=448_500,
    passable=308_900,
    unanswered=0,
    seconds=tuple(FloodSecond(offered=22_000, accepted=20_600, refused=1_400) for _ in range(15)),
    waits_s=tuple(tuple(w * (1 - n / 40) for w in (0.1, 0.2, 0.4, 0.8, 1.6)) for n in range(10)),
    streams=("f100d000",),
    hits=21_000,
)


def flooded(passed: int = 309_000, flood: FloodRecord = FLOOD, **changes: Any) -> History:
    """A history in which so many events of a flood lie in the log."""
    history = timed_history(seconds=30, eps={"social": 300.0}, **changes)
    numbers = IntervalSet([(0, passed - 1)])
    stream = StreamRecord(
        stream="f100d000", domain="combat", topic=flood.topic, key="flood-0-000", sent=passed, acked=numbers
    )
    assert history.readback is not None
    streams = {**history.readback.streams, "f100d000": StreamRead(read=numbers)}
    return replace(
        history,
        drill_loads=(LoadRecord(worker="flood-0", streams=(stream,)),),
        floods=(flood,),
        faults=(fault("publisher-flood", "game.combat.events, 1.5 times", "SEC-RATE"),),
        readback=Readback(
            events_read=history.readback.events_read + passed,
            partitions=(),
            streams=streams,
            receipts=RECEIPTS,
        ),
    )


def test_a_limiter_that_holds_passes_with_its_figures() -> None:
    verdict, words = judged(flooded(), "SEC-RATE")
    assert verdict is Verdict.PASS, words
    assert "309,000 events passed in 15.0 s, the limit is 309,000 to 310,000" in words
    assert "448,500 due, 330,000 offered, 21,000 refused" in words
    assert "social ? → 10 ms → ?" in words


@pytest.mark.parametrize(
    ("passed", "changes", "verdict", "words"),
    [
        (313_500, {}, Verdict.FAIL, "the limit allows 310,000"),
        (300_000, {}, Verdict.FAIL, "300,000 events passed where 309,000 had to"),
        (
            250_000,
            {"seconds": (FloodSecond(offered=16_000, accepted=16_000),) * 15, "hits": 0},
            Verdict.UNKNOWN,
            "this host does not carry the flood",
        ),
        (300_000, {"passable": 301_000}, Verdict.UNKNOWN, "an exact limit would have let 301,000 of the offers pass"),
        (290_000, {"passable": 301_000}, Verdict.FAIL, "290,000 events passed where 309,000 had to"),
        (250_000, {"unanswered": 250}, Verdict.UNKNOWN, "250 events got no answer"),
        (309_000, {"due": 310_000}, Verdict.UNKNOWN, "no flood for a limit"),
        (309_000, {"hits": 20_999}, Verdict.FAIL, "metric has 20,999 events refused, 21,000 were"),
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
    found, said = judged(flooded(passed, replace(FLOOD, **changes)), "SEC-RATE")
    assert (found, words in said) == (verdict, True), said


def test_others_that_become_slow_fail_it_unless_the_host_is_to_blame() -> None:
    """Or unless nobody knows how they were before."""
    slow = flooded(e2e_ms=250.0)
    assert judged(slow, "SEC-RATE")[0] is Verdict.UNKNOWN  # the flood is in the first phase
    before = replace(slow.phases[0], name="before", start_us=START_US - 10**7, end_us=START_US)
    quick = timed_history(seconds=30, eps={"social": 300.0}, e2e_ms=10.0)
    latency = {**slow.latency, ("before", "social", "e2e"): quick.latency["steady", "social", "e2e"]}
    counts = {"before": quick.loads[0].phases["steady"], **slow.loads[0].phases}
    known = replace(
        slow,
        phases=(before, *slow.phases),
        latency=latency,
        loads=(replace(slow.loads[0], phases=counts),),
    )
    verdict, words = judged(known, "SEC-RATE")
    assert verdict is Verdict.FAIL
    assert "social 10 ms → 251 ms → ?" in words
    busy = replace(known, host=tuple(replace(sample, cpu_busy_pct=99.0) for sample in known.host))
    assert judged(busy, "SEC-RATE")[0] is Verdict.UNKNOWN


def test_a_flood_that_was_never_made_is_no_evidence() -> None:
    history = replace(flooded(), floods=())
    assert judged(history, "SEC-RATE") == (Verdict.UNKNOWN, " no flood left a record")


def sample(at_s: float, state: str, openings: int = 0, trials: int = 0, **changes: Any) -> BreakerSample:
    one = BreakerSample(
        t_us=START_US + round(at_s * 1e6),
        instance="core-0",
        domain="social",
        state=state,
        openings=openings,
        trials=trials,
        tried_events=100 * trials,
        window_events=1_000,
        window_failures=500,
        ratio_at_opening=0.52 if openings else None,
        failure_threshold=0.5,
        recovery_timeout_s=60.0,
        monitoring_window_s=300.0,
    )
    return replace(one, **changes)


SOUND = (
    sample(2, "closed"),
    sample(9.9, "closed"),
    sample(10, "open", 1),
    sample(69.9, "open", 1),
    sample(70.1, "half-open", 1, 1),
    sample(70.2, "closed", 1, 1),
    sample(75, "closed", 1, 1),
)


def broken(*samples: BreakerSample, poison: int = 9_000, open_s: tuple[int, int] = (10, 70)) -> History:
    """A history of two domains; the social one is not handled while its breaker is open."""
    history = timed_history(seconds=80, eps={"social": 100.0, "combat": 100.0})
    rows: list[TimelineRow] = [
        replace(row, processed=0) if row.domain == "social" and open_s[0] < row.t - START_S <= open_s[1] else row
        for row in history.timeline
    ]
    numbers = IntervalSet([(0, poison - 1)])
    stream = StreamRecord(
        stream="f100d000", domain="social", topic="game.social.events", key="poison-0", sent=poison, acked=numbers
    )
    assert history.readback is not None
    streams = {**history.readback.streams, "f100d000": StreamRead(read=numbers)}
    return replace(
        history,
        timeline=tuple(rows),
        drill_loads=(LoadRecord(worker="poison-0", streams=(stream,), planted={"social": {"poison": poison}}),),
        breakers=samples,
        faults=(fault("poison-breaker", "social events of one producer", "SEC-BREAKER", end_s=79.0),),
        readback=replace(history.readback, streams=streams, receipts=RECEIPTS),
    )


def test_a_breaker_that_does_what_it_must_passes_with_its_figures() -> None:
    verdict, words = judged(broken(*SOUND), "SEC-BREAKER")
    assert verdict is Verdict.PASS, words
    assert "social of core-0: opened at 52.0% failures, open for 60.1 s, closed in the end" in words


def test_a_trial_too_short_to_be_seen_is_known_by_its_count() -> None:
    unseen = tuple(one for one in SOUND if one.state != "half-open")
    assert judged(broken(*unseen), "SEC-BREAKER")[0] is Verdict.PASS
    (opening,) = openings(unseen)
    assert opening.open_s == pytest.approx(60.2)


def test_a_bad_trial_opens_it_again() -> None:
    again = (
        *SOUND[:4],
        sample(70.1, "open", 2, 1),
        sample(129.9, "open", 2, 1),
        sample(130.2, "closed", 2, 2),
    )
    assert [opening.open_s for opening in openings(again)] == pytest.approx([60.1, 60.1])


@pytest.mark.parametrize(
    ("samples", "verdict", "words"),
    [
        ((), Verdict.UNKNOWN, "nobody looked"),
        ((sample(2, "closed"), sample(75, "closed")), Verdict.FAIL, "never opened"),
        ((*SOUND[:3], sample(40, "half-open", 1, 1), sample(41, "closed", 1, 1)), Verdict.FAIL, "open for 30.0 s"),
        ((*SOUND[:3], sample(79, "open", 1)), Verdict.FAIL, "it never tried in the 69.0 s"),
        ((*SOUND[:3], sample(60, "open", 1)), Verdict.UNKNOWN, "it never tried in the 50.0 s"),
        ((*SOUND[:4], sample(70.1, "closed", 1, 0)), Verdict.FAIL, "closed without a trial"),
        ((*SOUND[:5], sample(79, "half-open", 1, 1)), Verdict.UNKNOWN, "half-open 8.9 s after its trial"),
        (tuple(replace(s, ratio_at_opening=0.4) for s in SOUND), Verdict.FAIL, "opened at 40.0% failures"),
        (tuple(replace(s, monitoring_window_s=60.0) for s in SOUND), Verdict.UNKNOWN, "not configured as claimed"),
        ((sample(2, "open", 1), *SOUND[3:]), Verdict.FAIL, "never opened"),
    ],
)
def test_what_is_wrong_with_a_breaker_is_told(samples: tuple[BreakerSample, ...], verdict: Verdict, words: str) -> None:
    found, said = judged(broken(*samples), "SEC-BREAKER")
    assert (found, words in said) == (verdict, True), said


@pytest.mark.parametrize(("tried_events", "verdict"), [(0, Verdict.UNKNOWN), (100, Verdict.FAIL)])
def test_a_trial_for_which_no_event_came_decides_nothing(tried_events: int, verdict: Verdict) -> None:
    stuck = (sample(at_s, "half-open", 1, 1, tried_events=tried_events) for at_s in (70.1, 98))
    history = broken(*SOUND[:4], *stuck)
    history = replace(history, faults=tuple(replace(one, end_us=START_US + 99_000_000) for one in history.faults))
    found, said = judged(history, "SEC-BREAKER")
    words = f"half-open 27.9 s after its trial began, {tried_events} events came for it"
    assert (found, words in said) == (verdict, True), said


def test_a_breaker_without_reason_to_open_proves_nothing() -> None:
    found, said = judged(broken(sample(2, "closed"), sample(75, "closed"), poison=100), "SEC-BREAKER")
    assert (found, "had no reason to open" in said) == (Verdict.UNKNOWN, True)


def test_a_consumer_that_reads_on_or_stops_the_others_fails_it() -> None:
    found, said = judged(broken(*SOUND, open_s=(0, 0)), "SEC-BREAKER")
    assert (found, "social events were handled while the breaker was open" in said) == (Verdict.FAIL, True)
    history = broken(*SOUND)
    stopped = replace(
        history,
        timeline=tuple(replace(row, processed=0) if row.domain == "combat" else row for row in history.timeline),
    )
    found, said = judged(stopped, "SEC-BREAKER")
    assert (found, "combat events were handled while the breaker of social was open" in said) == (Verdict.FAIL, True)
