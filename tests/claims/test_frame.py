"""The frame that every check and every claim is judged in: subjects, evidence, doubts, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, ack, claim_of, finding_of, history_of, judged, read, run_info, timed_history

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import CHECKS, Check, check
from necp_validate.claims.judge import decide
from necp_validate.claims.limits import LIMITS, limit, loosened, replaced
from necp_validate.claims.metrics.measures import MEASURES, Excuse, Measurement
from necp_validate.claims.model import Condition
from necp_validate.core import Finding, Verdict, worst
from necp_validate.evidence.inventory import (
    BROKERS,
    END_TO_END,
    PHASES,
    Asked,
    Evidence,
    Holding,
    shortfalls,
    whole_run,
)
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import PLAYERS, RUN
from necp_validate.record import HdrHistogram, IntervalSet, Record
from necp_validate.record.suite_failures import SuiteFailure

PASS, FAIL, UNKNOWN, ABSENT = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
RECORD = history_of(ack(0), read(0))


def of(
    verdict: Verdict, *holdings: Holding, limits: tuple[str, ...] = (), parts: tuple[str, ...] = ("loads",)
) -> Check:
    kind = Evidence(name="what is due", parts=parts, count=lambda _, __: holdings)
    return Check(
        name="a-check",
        function=lambda _: Finding(name="a-check", verdict=verdict, count=int(verdict is FAIL), summary="found so"),
        subject=RUN,
        evidence=(kind,),
        limits=limits,
    )


def some(found: float, due: float = 3, *, misleads: bool = False) -> Holding:
    names = ("a", "b", "c", "d", "e")[: int(due - found)]
    return Holding(what="things", due=due, found=found, file="history/x.json", missing=names, misleads=misleads)


@pytest.mark.parametrize(
    ("verdict", "holding", "expected"),
    [
        (PASS, some(3), PASS),
        (PASS, some(4), PASS),
        (PASS, some(2), UNKNOWN),
        (ABSENT, some(2), UNKNOWN),
        (ABSENT, some(3), ABSENT),
        (FAIL, some(2), FAIL),
        (FAIL, some(2, misleads=True), UNKNOWN),
        (UNKNOWN, some(3), UNKNOWN),
    ],
)
def test_less_evidence_than_is_due_makes_no_pass(verdict: Verdict, holding: Holding, expected: Verdict) -> None:
    """What was found wrong stays wrong, unless what is missing may have made it so."""
    assert of(verdict, holding).judge(RECORD, {}).verdict is expected


def test_what_is_missing_is_said_with_how_much_is_due() -> None:
    summary = of(PASS, some(2, 7)).judge(RECORD, {}).summary
    assert summary == "2 of 7 things (history/x.json); missing: a, b, c and 2 more; found so"
    assert str(some(0, 1)) == "no things (history/x.json); missing: a"


def test_a_part_that_does_not_add_up_decides_nothing() -> None:
    for verdict in (PASS, FAIL, ABSENT):
        found = of(verdict).judge(RECORD, {"loads": "3 here, 4 there"})
        assert (found.verdict, found.summary) == (UNKNOWN, "the record does not add up: 3 here, 4 there; found so")
        assert of(verdict).judge(RECORD, {"readback": "3 here, 4 there"}).verdict is verdict


def test_what_the_suite_itself_failed_to_record_is_missing_whatever_is_there() -> None:
    failure = SuiteFailure(t_us=1, component="monitor", problem="TypeError: a bug", parts=("loads",))
    broken = replace(RECORD, suite_failures=(failure,))
    found = of(PASS).judge(broken, {})
    assert found.verdict is UNKNOWN
    assert "monitor: TypeError: a bug" in found.summary
    assert of(FAIL).judge(broken, {}).verdict is UNKNOWN
    assert of(PASS, parts=("host",)).judge(broken, {}).verdict is PASS


def test_a_check_of_what_is_not_in_the_scenario_is_not_looked_at() -> None:
    def never(_: Record) -> Finding:
        raise AssertionError

    absent = Check(name="a-check", function=never, subject=PLAYERS, evidence=(), limits=())
    found = absent.judge(RECORD, {})
    assert (found.verdict, found.summary) == (ABSENT, "the scenario has no players")


def test_a_check_that_crashes_or_cannot_say_is_unknown() -> None:
    def crash(_: Record) -> Finding:
        raise ZeroDivisionError("a bug")

    def cannot(_: Record) -> Finding:
        raise NoEvidence("nothing there")

    for function, words in ((crash, "the checker itself failed: ZeroDivisionError: a bug"), (cannot, "nothing there")):
        found = replace(of(PASS), function=function).judge(RECORD, {})
        assert found.verdict is UNKNOWN
        assert found.summary.startswith(words)


def test_two_checks_cannot_share_a_name() -> None:
    for name in ("lost-write", "phase-account"):
        with pytest.raises(ValueError, match="two checks"):
            check(name, RUN)(lambda _: Finding(name="", verdict=PASS, count=0, summary=""))


def test_what_is_not_applicable_counts_neither_way() -> None:
    assert worst([PASS, ABSENT]) is PASS
    assert worst([FAIL, ABSENT]) is FAIL
    assert worst([ABSENT]) is UNKNOWN
    assert worst([]) is UNKNOWN


# Anomalies ------------------------------------------------------------------------------------------------------


def anomalies(*counts: int | None) -> Finding:
    collected = Anomalies("a-check", RECORD)
    for number, count in enumerate(counts):
        collected.add(count, f"place {number}", f"so many: {count}")
    return collected.finding(clean="nothing", found="{count} things", sees="1 thing", measured="{count} of 9")


def test_an_anomaly_fails_and_what_was_not_counted_is_no_pass() -> None:
    assert (anomalies(0).verdict, anomalies(0).sees) == (PASS, "1 thing")
    failed = anomalies(2, 0, 3)
    assert (failed.verdict, failed.count, failed.summary, failed.measured) == (FAIL, 5, "5 things", "5 of 9")
    unknown = anomalies(0, None)
    assert (unknown.verdict, unknown.sees) == (UNKNOWN, "")
    assert unknown.summary == "place 1: not recorded: so many; nothing"
    assert anomalies(2, None).verdict is FAIL


# Limits ---------------------------------------------------------------------------------------------------------


def with_thresholds(**thresholds: Any) -> Record:
    return history_of(ack(0), read(0), run=run_info(config={"thresholds": thresholds}))


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_limit_may_be_stricter_and_never_looser(name: str) -> None:
    known = LIMITS[name]
    up, down = known.value * 1.5 + 1, known.value * 0.5
    for value, looser in (
        (up, known.stricter != "higher"),
        *([(down, known.stricter != "lower")] if known.value else []),  # nothing is less than none
        (known.value, False),
    ):
        record = with_thresholds(**{name: value})
        assert limit(record, name) == value
        assert bool(loosened(record, [name])) is looser
        judged_by_it = of(PASS, limits=(name,)).judge(record, {})
        assert judged_by_it.verdict is (UNKNOWN if looser else PASS)
        if looser:
            assert f"judged by a looser limit than claimed: {name} is {value:g}" in judged_by_it.summary


def test_a_failure_by_a_looser_limit_is_a_failure() -> None:
    assert of(FAIL, limits=("drain_s",)).judge(with_thresholds(drain_s=99.0), {}).verdict is FAIL


def test_a_kind_of_phase_may_have_a_limit_of_its_own() -> None:
    record = with_thresholds(drain_s=20.0)
    assert loosened(record, ["drain_s"], ["fault"]) == []
    assert loosened(record, ["drain_s"], ["fault", "steady"]) != []
    assert limit(RECORD, "drain_s", "fault") == 30.0
    assert limit(RECORD, "drain_s", "surge") == 10.0


def test_limits_are_replaced_within_and_not_afterwards() -> None:
    with replaced({"recovery_s": 3.0}):
        assert limit(RECORD, "recovery_s") == 3.0
    assert limit(RECORD, "recovery_s") == 30.0


@pytest.mark.parametrize(
    ("claim", "thresholds"),
    [
        ("THR-COMBAT", {"rate_tolerance": 0.6}),
        ("THR-COMBAT", {"combat_eps": 10_000.0}),
        ("LAT-COMBAT", {"combat_p99_ms": 31.0}),
        ("LAT-COMBAT", {"late_p99_ms": 5.0}),
        ("DUR-ACKED", {"lost_events": 1.0}),
    ],
)
def test_a_run_does_not_bring_its_own_limits(claim: str, thresholds: dict[str, float]) -> None:
    sound = timed_history(eps={"combat": 20_000.0})
    assert claim_of(sound, claim).verdict is PASS
    looser = replace(sound, run=replace(sound.run, config={**sound.run.config, "thresholds": thresholds}))
    result = claim_of(looser, claim)
    assert result.verdict is UNKNOWN
    assert "judged by a looser limit than claimed" in result.evidence


# Figures --------------------------------------------------------------------------------------------------------


def figure(low: float, high: float | None = None, **more: Any) -> Measurement:
    return Measurement(low=low, high=low if high is None else high, samples=100, **more)


LATENCY = Condition(metric="e2e_p99", comparison="<", threshold=30.0)
RATE = Condition(metric="throughput", comparison=">=", threshold=100.0)
NAN = float("nan")


@pytest.mark.parametrize(
    ("one", "found", "threshold", "verdict"),
    [
        (LATENCY, figure(29.0), 30.0, PASS),
        (LATENCY, figure(30.0), 30.0, FAIL),
        (LATENCY, figure(29.0, 31.0), 30.0, UNKNOWN),
        (LATENCY, figure(NAN), 30.0, UNKNOWN),
        (LATENCY, figure(29.0), NAN, UNKNOWN),
        (LATENCY, figure(29.0, least=101), 30.0, UNKNOWN),
        (LATENCY, figure(40.0, excuses=(Excuse(reason="late", explains=11.0),)), 30.0, UNKNOWN),
        (LATENCY, figure(60_000.0, excuses=(Excuse(reason="late", explains=11.0),)), 30.0, FAIL),
        (LATENCY, figure(60_000.0, excuses=(Excuse(reason="host"),)), 30.0, UNKNOWN),
        (LATENCY, figure(float("inf"), excuses=(Excuse(reason="host"),)), 30.0, FAIL),
        (LATENCY, figure(20.0, excuses=(Excuse(reason="host"),)), 30.0, PASS),
        (RATE, figure(99.0), 100.0, FAIL),
        (RATE, figure(50.0, planned=60.0), 100.0, UNKNOWN),
        (RATE, figure(99.0, planned=200.0), 100.0, FAIL),
        (RATE, figure(99.0, planned=200.0, excuses=(Excuse(reason="not offered"),)), 100.0, UNKNOWN),
    ],
)
def test_what_a_figure_decides(one: Condition, found: Measurement, threshold: float, verdict: Verdict) -> None:
    assert decide(one, MEASURES[one.metric], found, threshold)[0] is verdict


# The inventory --------------------------------------------------------------------------------------------------


def test_a_sound_record_lacks_nothing() -> None:
    record = timed_history(eps={"combat": 1_000.0, "economy": 500.0})
    kinds = [kind for one in CHECKS.values() if one.subject.there(record) for kind in one.evidence]
    assert shortfalls(record, kinds) == []
    asked = whole_run(record)
    assert (len(asked.phases), asked.domains) == (1, ("combat", "economy"))


def without(record: Record, part: str) -> Record:
    changed = {
        "partition": lambda: {"readback": replace(record.readback, partitions=())},
        "receipts": lambda: {"readback": replace(record.readback, receipts=())},
        "receipts topic": lambda: {"readback": replace(record.readback, outputs=())},
        "half of a partition": lambda: {
            "readback": replace(
                record.readback, partitions=tuple(replace(p, position=p.high - 1) for p in record.readback.partitions)
            )
        },
        "position": lambda: {
            "readback": replace(
                record.readback, partitions=tuple(replace(p, position=None) for p in record.readback.partitions)
            )
        },
        "epochs": lambda: {"readback": replace(record.readback, epochs=())},
        "plan": lambda: {"run": replace(record.run, config={**record.run.config, "phases": []})},
        "rows at the end": lambda: {"timeline": tuple(r for r in record.timeline if r.t < record.timeline[-1].t - 10)},
    }
    assert record.readback is not None
    return replace(record, **changed[part]()) if part in changed else replace(record, **{part: empty(record, part)})


def empty(record: Record, part: str) -> Any:
    value = getattr(record, part)
    return () if isinstance(value, tuple) else {} if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("part", "unknown"),
    [
        ("partition", {"lost-write", "unseen", "duplicate", "unknown-record", "key-mismatch", "conservation"}),
        ("half of a partition", {"unseen", "lost-write", "key-mismatch"}),
        ("position", {"unseen", "lost-write", "key-mismatch"}),
        ("receipts topic", {"conservation", "handled-twice"}),
        ("receipts", {"conservation", "handled-twice"}),
        ("epochs", {"leader-epoch"}),
        ("leaders", {"leader-epoch", "unexplained-election"}),
        ("groups", {"poll-skip"}),
        ("plan", {"late-schedule", "longest-gap", "failed-send"}),
        ("phases", {"late-schedule", "longest-gap", "failed-send"}),
        ("timeline", {"late-schedule", "longest-gap", "failed-send", "timeline-account"}),
        ("rows at the end", {"late-schedule", "longest-gap", "failed-send"}),
        ("latency", {"histogram-account"}),
        ("lag", {"implausible-latency"}),
        ("core_shutdown", {"graceful-shutdown"}),
        ("due", {"lost-write", "conservation", "leader-epoch", "poll-skip"}),
        ("readback", {"lost-write", "unseen", "conservation", "unknown-record"}),
        ("loads", {"lost-write", "unseen", "late-schedule", "failed-send"}),
    ],
)
def test_what_is_taken_away_is_missed_by_all_that_rests_on_it(part: str, unknown: set[str]) -> None:
    record = timed_history(eps={"combat": 1_000.0})
    found = {one.name: one.verdict for one in judged(without(record, part)).findings}
    assert {name: found[name] for name in unknown} == dict.fromkeys(unknown, UNKNOWN)
    assert FAIL not in found.values(), [name for name, verdict in found.items() if verdict is FAIL]


def test_a_phase_that_was_never_played_is_missed() -> None:
    record = timed_history(eps={"combat": 1_000.0})
    planned = [*record.run.config["phases"], {"name": "surge", "kind": "surge", "duration_s": 5.0}]
    longer = replace(record, run=replace(record.run, config={**record.run.config, "phases": planned}))
    summary = finding_of(longer, "late-schedule").summary
    assert "1 of 2 phases (history/phases.json); missing: surge" in summary


def test_asked_of_one_phase_only_that_phase_is_due() -> None:
    record = timed_history(eps={"combat": 1_000.0})
    rows = tuple(one for one in record.host if one.t < record.phases[0].start_us / 1e6 + 15)
    half = replace(record, host=rows)
    first = replace(record.phases[0], end_us=record.phases[0].start_us + 15 * 10**6)
    kinds = MEASURES["host_cpu_mean"].evidence
    assert shortfalls(half, kinds) != []
    assert shortfalls(half, kinds, Asked(phases=(first,), domains=("combat",))) == []


def test_events_read_beyond_what_was_due_are_no_shortfall() -> None:
    """A topic that grew during the run has more partitions than when it began."""
    record = timed_history(eps={"combat": 1_000.0})
    assert record.readback is not None
    (part,) = record.readback.partitions
    more = replace(part, partition=1, read=0, low=0, high=0, position=0, offsets=IntervalSet())
    grown = replace(record, readback=replace(record.readback, partitions=(part, more)))
    assert finding_of(grown, "lost-write").verdict is PASS


@pytest.mark.parametrize(
    "changes",
    [{"kind": "fault"}, {"end_us": round((START_S + 15) * 1e6)}, {"target_eps": {"combat": 0.01}}],
    ids=["kind", "length", "rate"],
)
def test_a_phase_that_is_not_as_planned_is_none(changes: dict[str, Any]) -> None:
    history = timed_history(seconds=30, eps={"combat": 10.0})
    (phase,) = history.phases
    plan = [{"name": phase.name, "kind": phase.kind, "duration_s": phase.duration_s, "load": 1.0}]
    traffic = {"combat": {"rate_eps": 10.0}}
    history = replace(
        history, run=replace(history.run, config={**history.run.config, "phases": plan, "traffic": traffic})
    )
    assert not shortfalls(history, [PHASES])
    (short,) = shortfalls(replace(history, phases=(replace(phase, **changes),)), [PHASES])
    assert str(short) == (
        f"no phases of the kind, length and rate that were planned (history/phases.json); missing: {phase.name}"
    )


def test_histograms_without_a_value_and_samples_without_one_are_none() -> None:
    history = timed_history(seconds=30, eps={"combat": 10.0})
    empty = replace(history, latency={key: HdrHistogram() for key in history.latency})
    (short,) = shortfalls(empty, [END_TO_END])
    assert "e2e latency histograms" in short.what
    blank = tuple(replace(one, cpu_pct=None, rss_bytes=None, read_ios=None, write_ios=None) for one in history.brokers)
    (short,) = shortfalls(replace(history, brokers=blank), [BROKERS])
    assert "seconds of samples of the brokers" in short.what


@pytest.mark.parametrize("changes", [{"error": "a broker died"}, {"finished_us": None}])
def test_a_run_that_is_finished_and_yet_is_not_did_not_come_to_its_end(changes: dict[str, Any]) -> None:
    history = timed_history(seconds=30, eps={"combat": 10.0})
    assert finding_of(history, "complete-run").verdict is PASS
    assert finding_of(replace(history, run=replace(history.run, **changes)), "complete-run").verdict is UNKNOWN
