from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histories import (
    START_S,
    ack,
    claim_of,
    counts_of,
    drained,
    handled,
    histogram_of,
    history_of,
    judged,
    phase_of,
    planned,
    read,
    run_info,
    timed_history,
)

from necp_validate.claims import judge_record
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.judge import not_judged
from necp_validate.claims.metrics.measures import MEASURES, Question
from necp_validate.core import UsageError, Verdict
from necp_validate.record import (
    BrokerSample,
    CoreShutdown,
    HdrHistogram,
    HostSample,
    IntervalSet,
    OutcomeGap,
    Record,
    TimelineRow,
)

PEAK = {"combat": 20_000.0, "economy": 5_000.0, "social": 1_000.0, "system": 500.0}
DOUBLE = {domain: 2 * eps for domain, eps in PEAK.items()}


def combat(**changes: Any) -> Record:
    return timed_history(eps={"combat": 20_000.0}, **changes)


def at_scale(history: Record, scale: float) -> Record:
    return replace(history, run=replace(history.run, scale=scale))


# Rates ------------------------------------------------------------------------------------------------------


def test_a_rate_is_acked_and_handled() -> None:
    """End to end: what the brokers have and the event core has not handled does not count."""
    result = claim_of(combat(), "THR-COMBAT")
    assert result.verdict is Verdict.PASS
    slowest = "sent 20,000 events/s in the slowest 10 s, end to end 20,000 events/s in the slowest 10 s"
    assert result.measured == f"{slowest}, end to end 20,000 events/s"
    slow_core = claim_of(combat(handled_eps={"combat": 18_000.0}), "THR-COMBAT")
    assert slow_core.verdict is Verdict.FAIL
    assert slow_core.measured.startswith("end to end 18,000 events/s")
    slow_brokers = claim_of(combat(acked_eps={"combat": 15_000.0}), "THR-COMBAT")
    assert slow_brokers.verdict is Verdict.FAIL
    assert "end to end 15,000 events/s" in slow_brokers.measured


def of_seconds(handled: Callable[[int], float], *, seconds: int = 30, eps: int = 20_000) -> Record:
    """Combat at its claimed rate, of which so much is handled in each second."""
    history = timed_history(eps={"combat": float(eps)}, seconds=seconds)
    rows = tuple(replace(row, processed=round(handled(round(row.t - START_S)))) for row in history.timeline)
    total = sum(row.processed or 0 for row in rows)
    histogram = HdrHistogram()
    histogram.record(10_000, total)
    idle = [row.t for row in rows if not row.processed]
    gaps = (OutcomeGap(domain="combat", from_us=at_us(idle[0] - 1), to_us=at_us(idle[-1])),) if idle else ()
    loads = tuple(replace(load, outcome_gaps=gaps) for load in history.loads)
    latency = {**history.latency, ("steady", "combat", "e2e"): histogram}
    return replace(history, loads=loads, timeline=rows, latency=latency)


def at_us(t: float) -> int:
    return round(t * 1e6)


@pytest.mark.parametrize(
    ("handled", "verdict"),
    [
        (lambda _: 20_000, Verdict.PASS),
        (lambda _: 19_850, Verdict.PASS),
        # A backlog of one second's worth that grows in one stretch explains as much, and no more.
        (lambda at: 0 if at == 12 else 20_000, Verdict.PASS),
        (lambda at: 0 if at in (12, 13) else 20_000, Verdict.FAIL),
        # Nothing for ten seconds, and all of it afterwards: as many on average.
        (lambda at: 0 if at <= 10 else 30_000, Verdict.FAIL),
        (lambda at: 0 if at > 20 else 20_000, Verdict.FAIL),
        (lambda _: 19_700, Verdict.PASS),
        (lambda _: 19_000, Verdict.FAIL),
    ],
)
def test_sustained_is_every_stretch_of_ten_seconds(handled: Callable[[int], float], verdict: Verdict) -> None:
    assert claim_of(of_seconds(handled), "THR-COMBAT").verdict is verdict


def test_the_generator_has_to_send_in_every_stretch_too() -> None:
    history = combat()
    rows = tuple(replace(row, sent=0 if 10 < row.t - START_S <= 12 else 20_000) for row in history.timeline)
    result = claim_of(replace(history, timeline=rows), "THR-COMBAT")
    assert result.verdict is not Verdict.PASS


@pytest.mark.parametrize("seconds", [15, 16, 20, 30])
@pytest.mark.parametrize("tick_hz", [1, 2, 5])
@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.4])
def test_healthy_data_of_ticking_servers_does_not_fail(seconds: int, tick_hz: int, late_s: float) -> None:
    """Servers send in ticks, rows come late, and a backlog comes and goes: none of that is a miss."""
    eps, rng = 20_000, np.random.default_rng(seconds * 100 + tick_hz)
    traffic = {"combat": {"rate_eps": float(eps), "run_length": eps // 100 // tick_hz, "tick_hz": float(tick_hz)}}
    history = timed_history(eps={"combat": float(eps)}, seconds=seconds)
    config = {**history.run.config, "traffic": traffic}
    ticks = np.arange(0, seconds, 1 / tick_hz)
    rows, seen, done = [], 0, 0
    for second in range(1, seconds + 1):
        at = second + float(rng.uniform(0, late_s)) if second < seconds else float(seconds)
        sent = int((ticks < at).sum()) * (eps // tick_hz)
        ended = max(min(sent, sent - round(eps * float(rng.uniform(0, 0.3)))), done) if second < seconds else sent
        rows.append(row_of("combat", START_S + at, sent - seen, ended - done))
        seen, done = sent, ended
    ticking = replace(history, timeline=tuple(rows), run=replace(history.run, config=config))
    result = claim_of(ticking, "THR-COMBAT")
    assert result.verdict is Verdict.PASS, result.evidence


@pytest.mark.parametrize(
    ("ramp_s", "tick_hz", "words"),
    [
        (0.0, 0.5, "the ticks of the schedule alone move 8,000 of 20,000 events/s in 10 s"),
        (16.0, 5.0, "the ramp leaves 14 of 30 s of steady to be judged"),
    ],
)
def test_a_schedule_that_hides_a_shortfall_proves_nothing(ramp_s: float, tick_hz: float, words: str) -> None:
    """Servers that send every two seconds, and a ramp over most of the phase."""
    history = timed_history(eps={"combat": 20_000.0}, seconds=30)
    traffic = {"combat": {"rate_eps": 20_000.0, "run_length": 100, "tick_hz": tick_hz}}
    phases = [{**history.run.config["phases"][0], "ramp_s": ramp_s}]
    run = replace(history.run, config={**history.run.config, "traffic": traffic, "phases": phases})
    result = claim_of(replace(history, run=run), "THR-COMBAT")
    assert result.verdict is Verdict.UNKNOWN
    assert words in result.evidence


def row_of(domain: str, t: float, sent: int, handled: int) -> TimelineRow:
    return TimelineRow(
        t=t,
        domain=domain,
        worker="w0",
        phase="steady",
        scheduled=sent,
        sent=sent,
        acked=sent,
        failed=0,
        unknown=0,
        refused=0,
        processed=handled,
        rejected=0,
        dead_lettered=0,
    )


def of_two_phases(second_eps: float) -> Record:
    """Two steady phases of 20 s, planned at the same rate; in the second, less is done."""
    first, second = (
        phase_of("one", kind="steady", seconds=20, eps={"combat": 20_000.0}),
        phase_of("two", kind="steady", from_s=20, seconds=20, eps={"combat": 20_000.0}),
    )
    history = timed_history(eps={"combat": 20_000.0}, seconds=40)
    rows = tuple(
        replace(
            row,
            phase="one" if row.t <= START_S + 20 else "two",
            processed=20_000 if row.t <= START_S + 20 else round(second_eps),
        )
        for row in history.timeline
    )
    counts = {name: {"combat": counts_of(scheduled=400_000)} for name in ("one", "two")}
    latency = {}
    for name, ended in (("one", 400_000), ("two", round(20 * second_eps))):
        for kind, number in (("e2e", ended), ("ack", 400_000), ("late", 400_000)):
            latency[name, "combat", kind] = HdrHistogram()
            latency[name, "combat", kind].record(10_000, number)
    load = replace(history.loads[0], phases=counts, max_gap_ms={"one": {"combat": 1.0}, "two": {"combat": 1.0}})
    run = replace(history.run, config={**history.run.config, "phases": planned(first, second)})
    return replace(history, run=run, phases=(first, second), loads=(load,), timeline=rows, latency=latency)


def test_every_phase_of_a_kind_is_judged_and_the_worst_decides() -> None:
    assert claim_of(of_two_phases(20_000.0), "THR-COMBAT").verdict is Verdict.PASS
    half = claim_of(of_two_phases(10_000.0), "THR-COMBAT")
    assert half.verdict is Verdict.FAIL
    assert "10,000 events/s (two)" in half.measured


def test_rejected_and_dead_lettered_events_are_handled() -> None:
    history = combat()
    rows = tuple(replace(row, processed=19_000, rejected=900, dead_lettered=100) for row in history.timeline)
    assert claim_of(replace(history, timeline=rows), "THR-COMBAT").verdict is Verdict.PASS


def test_a_claim_about_rates_is_unknown_below_scale_1() -> None:
    result = claim_of(at_scale(timed_history(eps={"combat": 20_000.0}), 0.1), "THR-COMBAT")
    assert result.verdict is Verdict.UNKNOWN
    assert "run at scale 0.1, claim is about scale 1" in result.evidence


def test_a_rate_that_no_phase_planned_is_unknown() -> None:
    result = claim_of(timed_history(eps=PEAK), "THR-HEADLINE")
    assert result.verdict is Verdict.UNKNOWN
    assert "no phase was planned at 100,000 events/s" in result.evidence


def test_the_headline_is_judged_over_all_domains() -> None:
    eps = {domain: 4 * rate for domain, rate in PEAK.items()}
    assert claim_of(timed_history(eps=eps), "THR-HEADLINE").verdict is Verdict.PASS


def test_a_rate_that_a_saturated_host_could_not_offer_is_unknown() -> None:
    """Only where the generator itself fell short; a miss of the target stays a miss."""
    sent = {"combat": 15_000.0}
    assert claim_of(combat(sent_eps=sent, busy_pct=99), "THR-COMBAT").verdict is Verdict.UNKNOWN
    assert claim_of(combat(sent_eps=sent, busy_pct=60), "THR-COMBAT").verdict is Verdict.FAIL
    assert claim_of(combat(acked_eps=sent, busy_pct=99), "THR-COMBAT").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("busy_pct", "waited", "verdict"),
    [
        (94.6, 4.9, Verdict.UNKNOWN),
        (94.6, 0.9, Verdict.FAIL),
        (94.6, None, Verdict.FAIL),
        (89.9, 4.9, Verdict.FAIL),
    ],
)
def test_a_host_just_below_its_limit_is_saturated_if_threads_waited(
    busy_pct: float, waited: float | None, verdict: Verdict
) -> None:
    slow = combat(e2e_ms=40.0, busy_pct=busy_pct, waited=waited)
    assert claim_of(slow, "LAT-COMBAT").verdict is verdict


@pytest.mark.parametrize(
    ("busy_pct", "waited", "verdict"),
    [
        (99, 0.05, Verdict.FAIL),
        (99, 0.3, Verdict.UNKNOWN),
        (99, None, Verdict.FAIL),
        (50, 0.3, Verdict.FAIL),
        (50, None, Verdict.FAIL),
    ],
)
def test_a_target_on_a_saturated_host_is_excused_for_as_much_as_it_waited(
    busy_pct: float, waited: float | None, verdict: Verdict
) -> None:
    """It handled a tenth less: having waited for a CPU for a twentieth of its time does not explain that."""
    slow = combat(handled_eps={"combat": 18_000.0}, busy_pct=busy_pct, waited=waited)
    result = claim_of(slow, "THR-COMBAT")
    assert result.verdict is verdict, result.evidence
    assert ("brokers and event core waited 0.30 s for a CPU" in result.evidence) is (waited == 0.3 and busy_pct == 99)


def test_a_few_seconds_are_not_sustained() -> None:
    assert claim_of(combat(seconds=8), "THR-COMBAT").verdict is Verdict.UNKNOWN


def test_without_outcomes_in_the_timeline_a_rate_is_unknown() -> None:
    history = combat()
    rows = tuple(replace(row, processed=None) for row in history.timeline)
    assert claim_of(replace(history, timeline=rows), "THR-COMBAT").verdict is Verdict.UNKNOWN
    assert claim_of(replace(history, timeline=()), "THR-COMBAT").verdict is Verdict.UNKNOWN
    assert claim_of(timed_history(eps={"social": 1_000.0}), "THR-COMBAT").verdict is Verdict.UNKNOWN


# 200% of peak -----------------------------------------------------------------------------------------------


def test_load_200_needs_the_rate_no_loss_and_a_drained_backlog() -> None:
    surge = timed_history(kind="surge", eps=DOUBLE)
    assert claim_of(surge, "LOAD-200").verdict is Verdict.PASS
    assert surge.drain is not None
    loads, drain = drained(surge.loads, surge.phases[0], seconds=12.0)
    slow = replace(surge, loads=loads, drain=drain)
    assert claim_of(slow, "LOAD-200").verdict is Verdict.FAIL
    late = timed_history(kind="surge", eps=DOUBLE, sent_eps={d: eps * 0.97 for d, eps in DOUBLE.items()})
    assert claim_of(late, "LOAD-200").verdict is Verdict.FAIL
    assert claim_of(timed_history(eps=PEAK), "LOAD-200").verdict is Verdict.UNKNOWN
    assert claim_of(timed_history(kind="surge", eps=PEAK), "LOAD-200").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("metric", ["sent_rate", "throughput"])
def test_a_saturated_host_explains_of_a_stretch_what_it_did_not_offer_and_no_more(metric: str) -> None:
    """What was sent and not handled is the target's."""
    sound = combat(busy_pct=99)

    def explained(offered: int) -> list[float]:
        rows = tuple(
            replace(row, sent=offered, acked=offered, processed=10_000) if 12 <= row.t - START_S < 22 else row
            for row in sound.timeline
        )
        history = replace(sound, timeline=rows)
        asked = Question(history=history, phase=history.phases[0], domains=("combat",), window_s=10.0)
        return [round(one.explains) for one in MEASURES[metric].measure(asked).excuses]

    assert explained(17_000) == [3_000]
    assert explained(20_000) == []


def test_a_saturated_host_that_could_not_send_leaves_load_200_unknown() -> None:
    late = timed_history(kind="surge", eps=DOUBLE, sent_eps={d: eps * 0.9 for d, eps in DOUBLE.items()}, busy_pct=99)
    assert claim_of(late, "LOAD-200").verdict is Verdict.UNKNOWN


def test_a_loss_fails_load_200_at_any_scale() -> None:
    """Nothing turns a loss into unknown: not the scale, not a missing timeline."""
    surge = at_scale(timed_history(kind="surge", eps=PEAK), 0.5)
    assert claim_of(surge, "LOAD-200").verdict is Verdict.UNKNOWN
    assert surge.readback is not None
    streams = {
        name: replace(read, read=read.read.difference(IntervalSet([(5, 5)])), duplicates=1)
        for name, read in surge.readback.streams.items()
    }
    lossy = replace(surge, readback=replace(surge.readback, streams=streams), timeline=())
    assert claim_of(lossy, "LOAD-200").verdict is Verdict.FAIL


# Latency ----------------------------------------------------------------------------------------------------


def test_latency_is_judged_by_p99_of_the_steady_phase() -> None:
    result = claim_of(combat(e2e_ms=29.0), "LAT-COMBAT")
    assert (result.verdict, result.phase) == (Verdict.PASS, "steady")
    assert result.measured.startswith("P99 29.")
    assert claim_of(combat(e2e_ms=31.0), "LAT-COMBAT").verdict is Verdict.FAIL
    assert claim_of(combat(kind="surge", e2e_ms=5.0), "LAT-COMBAT").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "host",
    [{"busy_pct": 95.0}, {"late_ms": 11.0}],
    ids=["busy", "late generator"],
)
def test_a_miss_on_a_saturated_host_is_unknown_and_a_pass_stays_one(host: dict[str, float]) -> None:
    missed = claim_of(combat(e2e_ms=31.0, **host), "LAT-COMBAT")
    assert missed.verdict is Verdict.UNKNOWN
    assert "may be the host's" in missed.evidence
    assert claim_of(combat(e2e_ms=20.0, **host), "LAT-COMBAT").verdict is Verdict.PASS


def test_stolen_cpu_is_a_reason_too() -> None:
    stolen = (HostSample(t=START_S + 1, cpu_busy_pct=40, cpu_steal_pct=6.0),)
    assert claim_of(combat(e2e_ms=31.0, host=stolen), "LAT-COMBAT").verdict is Verdict.UNKNOWN


def test_a_scenario_may_not_widen_its_excuses() -> None:
    """A host that counts as saturated sooner excuses more: then not even a pass is one."""
    run = run_info(config={"thresholds": {"host_busy_pct": 70.0}})
    for e2e_ms in (20.0, 31.0):
        result = claim_of(combat(e2e_ms=e2e_ms, busy_pct=75.0, run=run), "LAT-COMBAT")
        assert result.verdict is Verdict.UNKNOWN
        assert "judged by a looser limit than claimed: host_busy_pct is 70 %, claimed 95 %" in result.evidence
    narrower = run_info(config={"thresholds": {"host_busy_pct": 99.0}})
    assert claim_of(combat(e2e_ms=31.0, busy_pct=97.0, run=narrower), "LAT-COMBAT").verdict is Verdict.FAIL


def test_a_late_generator_excuses_as_much_as_it_was_late() -> None:
    assert claim_of(combat(e2e_ms=40.0, late_ms=11.0), "LAT-COMBAT").verdict is Verdict.UNKNOWN
    assert claim_of(combat(e2e_ms=60_000.0, late_ms=11.0), "LAT-COMBAT").verdict is Verdict.FAIL


def test_answers_that_never_came_are_no_hosts_doing() -> None:
    """800 of 800 events without an end, beside a generator that was a little late."""
    never = timed_history(eps={"combat": 1_000.0}, samples=0, late_ms=10.6)
    assert claim_of(never, "LAT-COMBAT").verdict is not Verdict.PASS


def few(events: int, e2e_ms: float = 10.0) -> Record:
    return timed_history(eps={"combat": events / 30}, e2e_ms=e2e_ms)


def test_percentiles_need_samples() -> None:
    """No P99 under 1,000 samples, no P99.9 under 10,000."""
    assert claim_of(few(990), "LAT-COMBAT").verdict is Verdict.UNKNOWN
    thousand = claim_of(few(1_020), "LAT-COMBAT")
    assert thousand.verdict is Verdict.PASS
    assert "P99.9" not in thousand.evidence
    assert "P99.9" in claim_of(few(10_020), "LAT-COMBAT").evidence


def test_events_never_seen_handled_are_slower_than_any_limit() -> None:
    """2% of the events have no end: P99 lies among them."""
    result = claim_of(timed_history(eps={"combat": 100.0}, e2e_ms=1.0, samples=2_940), "LAT-COMBAT")
    assert result.verdict is Verdict.FAIL
    assert "P99 never" in result.measured
    assert "60 acked events were never seen handled" in result.evidence
    assert claim_of(timed_history(eps={"combat": 100.0}, samples=2_980), "LAT-COMBAT").verdict is Verdict.PASS


def with_ends_before_they_were_due(events: int) -> Record:
    """Thirty thousand events whose ends were seen, and some more whose ends a clock that is behind put too early."""
    history = timed_history(eps={"combat": 1_000.0})
    histogram = histogram_of(30_000 - events, 10.0)
    histogram.negative = events
    return replace(history, latency={**history.latency, ("steady", "combat", "e2e"): histogram})


def test_a_few_ends_before_they_were_due_are_reported() -> None:
    result = claim_of(with_ends_before_they_were_due(7), "LAT-COMBAT")
    assert result.verdict is Verdict.PASS
    assert "7 are said to have ended before they were due: a clock is wrong" in result.evidence


def test_a_clock_that_is_behind_makes_no_pass() -> None:
    """Left out, these events could be the slow ones."""
    result = claim_of(with_ends_before_they_were_due(1_200), "LAT-COMBAT")
    assert result.verdict is Verdict.UNKNOWN
    assert "the figure is only known between bounds" in result.evidence
    assert "never seen handled" not in result.evidence


def test_the_headline_latency_is_over_all_domains() -> None:
    history = timed_history(eps=PEAK, e2e_ms=49.0)
    assert claim_of(history, "LAT-HEADLINE").verdict is Verdict.PASS
    assert claim_of(history, "LAT-ECONOMY").verdict is Verdict.PASS
    assert claim_of(history, "LAT-COMBAT").verdict is Verdict.FAIL


# Durability, processing, resources, operations --------------------------------------------------------------


def test_acked_is_durable_or_not() -> None:
    assert claim_of(history_of(ack(0), ack(1), read(0), read(1)), "DUR-ACKED").verdict is Verdict.PASS
    lost = claim_of(history_of(ack(0), ack(1), read(1)), "DUR-ACKED")
    assert (lost.verdict, lost.measured) == (Verdict.FAIL, "lost: 1 events")
    assert claim_of(history_of(ack(0), readback=None), "DUR-ACKED").verdict is Verdict.UNKNOWN


def test_a_loss_that_the_configuration_allows_is_still_no_durability() -> None:
    weak = {"acks": "1", "enable.idempotence": "false"}
    result = claim_of(history_of(ack(0), ack(1), read(1), producer=weak), "DUR-ACKED")
    assert result.verdict is Verdict.FAIL
    assert "the configuration permits it" in result.evidence


def test_cheats_and_poison() -> None:
    ops = (ack(0), ack(1), ack(2), read(0), read(1), read(2), handled(0))
    good = history_of(*ops, handled(1, 1), handled(2, 2), planted={"cheat": 1, "poison": 1})
    assert claim_of(good, "EVT-COMBAT").verdict is Verdict.PASS
    assert claim_of(good, "EVT-REGISTRY").verdict is Verdict.PASS
    processed = history_of(*ops, handled(1), handled(2), planted={"cheat": 1, "poison": 1})
    assert claim_of(processed, "EVT-COMBAT").verdict is Verdict.FAIL
    assert claim_of(processed, "EVT-REGISTRY").verdict is Verdict.FAIL
    nothing_planted = history_of(*ops, handled(1), handled(2))
    assert claim_of(nothing_planted, "EVT-COMBAT").verdict is Verdict.UNKNOWN
    assert claim_of(nothing_planted, "EVT-REGISTRY").verdict is Verdict.UNKNOWN


def test_dead_letters_must_be_in_their_topics() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0), handled(1, 2), planted={"poison": 1})
    assert history.readback is not None
    empty = replace(history, readback=replace(history.readback, dead_letters={}))
    assert claim_of(empty, "EVT-REGISTRY").verdict is Verdict.FAIL


def with_brokers(*of_seconds: tuple[BrokerSample, ...], stack: dict[str, Any] | None = None) -> Record:
    """Samples of two brokers over ten seconds: those that are given, then small ones."""
    small = tuple(BrokerSample(t=0.1, broker=b, rss_bytes=1e9, read_ios=10, write_ios=20) for b in ("1", "2"))
    rows = [*of_seconds, *([small] * (11 - len(of_seconds)))]
    samples = tuple(replace(one, t=float(START_S + second)) for second, row in enumerate(rows) for one in row)
    history = history_of(ack(0), read(0), run=run_info(stack=stack or {"backend": "local"}))
    assert history.due is not None
    return replace(history, brokers=samples, due=replace(history.due, brokers=("1", "2")))


def of_broker(broker: str, rss_bytes: float = 1e9, ios: float = 30) -> BrokerSample:
    return BrokerSample(t=0.1, broker=broker, rss_bytes=rss_bytes, read_ios=0, write_ios=ios)


def test_memory_and_iops_are_judged_by_the_worst_broker() -> None:
    history = with_brokers((of_broker("1"), of_broker("2", 3.99e9, 9_999)))
    memory = claim_of(history, "RES-MEMORY")
    assert (memory.verdict, memory.measured) == (Verdict.PASS, "3.99 GB")
    assert "highest of broker 2, of 2" in memory.evidence
    assert claim_of(history, "RES-IOPS").verdict is Verdict.PASS
    worse = with_brokers((of_broker("1", 4e9, 10_000), of_broker("2")))
    assert claim_of(worse, "RES-MEMORY").verdict is Verdict.FAIL
    assert claim_of(worse, "RES-IOPS").verdict is Verdict.FAIL


def test_samples_that_cover_less_than_is_due_prove_nothing() -> None:
    """A monitor that died after some seconds, one of three brokers, one sample: not what a claim rests on."""
    whole = with_brokers()
    assert claim_of(whole, "RES-MEMORY").verdict is Verdict.PASS
    died = replace(whole, brokers=tuple(one for one in whole.brokers if one.t < START_S + 5))
    result = claim_of(died, "RES-MEMORY")
    assert result.verdict is Verdict.UNKNOWN
    assert "seconds of samples of the brokers (metrics/brokers.csv)" in result.evidence
    one_missing = replace(whole, brokers=tuple(one for one in whole.brokers if one.broker == "1"))
    assert "missing: broker 2: 0 of 10 s" in claim_of(one_missing, "RES-MEMORY").evidence
    assert claim_of(replace(whole, brokers=()), "RES-MEMORY").verdict is Verdict.UNKNOWN
    assert claim_of(replace(whole, due=None), "RES-MEMORY").verdict is Verdict.UNKNOWN


def test_an_upper_bound_of_iops_proves_only_a_pass() -> None:
    """Where the whole disk is counted, its load is not only the broker's."""
    stack = {"backend": "local", "io_source": "operations of the whole disk (an upper bound)"}
    for ios, verdict in ((9_999, Verdict.PASS), (10_000, Verdict.UNKNOWN)):
        history = with_brokers((of_broker("1", ios=ios), of_broker("2")), stack=stack)
        assert claim_of(history, "RES-IOPS").verdict is verdict


@pytest.mark.parametrize(
    ("shutdown", "verdict"),
    [
        (CoreShutdown(exit_code=0, seconds=4.0, healthy_before=True), Verdict.PASS),
        (CoreShutdown(exit_code=0, seconds=31.0, healthy_before=True), Verdict.FAIL),
        (CoreShutdown(exit_code=1, seconds=4.0, healthy_before=True), Verdict.FAIL),
        (CoreShutdown(exit_code=0, seconds=4.0, healthy_before=False), Verdict.FAIL),
        (None, Verdict.UNKNOWN),
    ],
)
def test_a_graceful_shutdown(shutdown: CoreShutdown | None, verdict: Verdict) -> None:
    history = history_of(ack(0), read(0), core_shutdown=shutdown)
    assert verdict is claim_of(history, "OPS-HEALTH").verdict


def test_a_graceful_shutdown_loses_nothing() -> None:
    shutdown = CoreShutdown(exit_code=0, seconds=4.0, healthy_before=True)
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0), core_shutdown=shutdown)
    assert claim_of(history, "OPS-HEALTH").verdict is Verdict.FAIL


# The whole --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim_id", sorted(CLAIMS))
def test_no_claim_passes_without_evidence(claim_id: str) -> None:
    result = claim_of(Record(run=run_info()), claim_id)
    assert result.verdict is Verdict.UNKNOWN
    assert result.evidence


def test_the_scenario_says_which_claims_are_judged() -> None:
    history = history_of(ack(0), read(0), run=run_info(config={"judge": ["DUR-ACKED"]}))
    judgement = judge_record(history)
    assert [claim.id for claim in judgement.claims] == ["DUR-ACKED"]
    assert judgement.verdict is Verdict.PASS
    assert {finding.verdict for finding in judgement.findings} == {Verdict.PASS, Verdict.NOT_APPLICABLE}
    rest = not_judged(history)
    assert len(CLAIMS) == len(rest) + 1
    assert {"not judged by the scenario s"} == {claim.evidence for claim in rest}


def test_a_run_in_which_no_claim_was_judged_proves_nothing() -> None:
    judgement = judged(history_of(ack(0), read(0)))
    assert {finding.verdict for finding in judgement.findings} == {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert judgement.verdict is Verdict.UNKNOWN


def test_what_is_not_in_the_scenario_is_not_applicable_and_a_claim_about_it_is_unknown() -> None:
    judgement = judged(history_of(ack(0), read(0)), "SEC-ACL", "GW-DELTA", "FT-BROKER", "OBS-ALERTS")
    absent = {one.name for one in judgement.findings if one.verdict is Verdict.NOT_APPLICABLE}
    assert {"access-matrix", "state-divergence", "fault-in-effect", "operational-alerts"} <= absent
    assert {claim.verdict for claim in judgement.claims} == {Verdict.UNKNOWN}
    assert "tries nothing that must be refused" in judgement.claims[0].evidence


def test_the_verdict_is_the_worst_of_claims_and_checks() -> None:
    assert judged(history_of(ack(0), read(0)), "DUR-ACKED", "SEC-ACL").verdict is Verdict.UNKNOWN
    assert judged(history_of(ack(0), read(0), read(0, at=1)), "DUR-ACKED").verdict is Verdict.FAIL


def test_a_broker_without_the_figure_leaves_it_unknown() -> None:
    """Its other figures are there: the sample is, and what the claim is about is not."""
    for broker in (replace(of_broker("2"), rss_bytes=None), of_broker("2", rss_bytes=0)):
        result = claim_of(with_brokers(*[(of_broker("1"), broker)] * 11), "RES-MEMORY")
        assert result.verdict is Verdict.UNKNOWN
        assert "samples that have" in result.evidence


def test_a_claim_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UsageError, match="THR-COMBATT"):
        judged(history_of(ack(0), read(0)), "THR-COMBATT")


def test_a_metric_that_crashes_leaves_its_claim_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(MEASURES, "lost", replace(MEASURES["lost"], measure=crash))
    result = claim_of(history_of(ack(0), read(0)), "DUR-ACKED")
    assert result.verdict is Verdict.UNKNOWN
    assert "the checker itself failed: ZeroDivisionError: a bug" in result.evidence
