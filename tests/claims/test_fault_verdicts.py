"""Verdicts on faults: recovery, rebalances, availability and scaling, each from a hand-written history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, timed_history

from necp_validate.claims import judge_claims, run_checks
from necp_validate.claims.checks.faults.faults import failed_at_us, figures
from necp_validate.claims.checks.faults.recovery import recovery, slowest_s
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import (
    ExperimentOutcome,
    FaultRecord,
    GroupSample,
    History,
    IntervalSet,
    LeaderSample,
    PartitionGap,
    PartitionRead,
    Readback,
    ReceiptsRecord,
)

S = 1_000_000
START_US = START_S * S


def fault(kind: str = "broker-kill", *, at: float = 10, until: float | None = 20, **changes: Any) -> FaultRecord:
    record = FaultRecord(
        id=f"{kind}-1",
        experiment=kind,
        kind=kind,
        target="broker-1",
        begin_us=START_US + round(at * S),
        effective_us=START_US + round(at * S),
        evidence="pid 1 gone",
        end_us=None if until is None else START_US + round(until * S),
    )
    return replace(record, **changes)


def gap(begin: float, end: float | None, *, partition: int = 0) -> PartitionGap:
    return PartitionGap(
        domain="combat",
        partition=partition,
        from_us=START_US + round(begin * S),
        to_us=None if end is None else START_US + round(end * S),
    )


def faulted(*faults: FaultRecord, gaps: tuple[PartitionGap, ...] | None = (), **changes: Any) -> History:
    """Sixty even seconds of combat events, all handled, with faults and silences."""
    history = timed_history(kind="fault", seconds=60, eps={"combat": 1_000.0})
    (load,) = history.loads
    events = load.streams[0].acked.count
    everything = IntervalSet([(0, events - 1)])
    assert history.readback is not None
    readback = replace(
        history.readback,
        partitions=(
            PartitionRead(topic="game.combat.events", partition=0, low=0, high=events, read=events, offsets=everything),
        ),
        receipts=(ReceiptsRecord(topic="game.combat.events", partition=0, accounted=everything, processed=events),),
        dead_letters={"game.combat.events.dlt": 0},
        epochs=(),
    )
    parts: dict[str, Any] = {"faults": faults, "loads": (replace(load, gaps=gaps),), "readback": readback}
    return replace(history, **(parts | changes))


def judged(history: History, claim: str) -> ClaimResult:
    (result,) = judge_claims(history, run_checks(history), [claim])
    return result


def group(*changes: tuple[float, str, int], name: str = "event-core-combat") -> tuple[GroupSample, ...]:
    """Samples every quarter of a second for a minute; each change holds until the next."""
    samples = []
    for quarter in range(240):
        at = quarter / 4
        _, state, members = [change for change in changes if change[0] <= at][-1]
        samples.append(GroupSample(t=START_S + at, group=name, state=state, members=members))
    return tuple(samples)


def test_recovery_is_from_the_effect_to_the_end_of_the_silence() -> None:
    """Two partitions of three were silent; the slower one counts, and so does their producer."""
    history = faulted(fault(), gaps=(gap(9.9, 13.5), gap(10.2, 12, partition=1)))

    found = recovery(history, START_US + 10 * S, START_US + 20 * S)

    assert found.partitions == pytest.approx({"combat-0": 3.5, "combat-1": 2.0})
    assert found.clients == pytest.approx({"producer combat of w0": 3.5})
    assert found.slowest == ("partition combat-0", pytest.approx(3.5))


def test_success_counts_once_it_is_sustained() -> None:
    """Silences less than five seconds apart are one failure; a later one is another, with a time of its own."""
    silences = [(10 * S, 12.0 * S), (15 * S, 18.0 * S), (40 * S, 41.0 * S)]

    assert slowest_s(silences, 10 * S, 50 * S) == 8.0
    assert slowest_s([(40 * S, 49.0 * S)], 10 * S, 50 * S) == 9.0
    assert slowest_s([(10 * S, math.inf)], 10 * S, 50 * S) == math.inf
    assert slowest_s([(1 * S, 9.0 * S), (60 * S, 61.0 * S)], 10 * S, 50 * S) == 0.0


def test_a_failure_that_was_felt_before_it_was_seen_counts_from_then() -> None:
    """A cut takes seconds to be measured; nothing from before it was asked for is its doing."""
    assert slowest_s([(12 * S, 20.0 * S)], 14 * S, 30 * S, 10 * S) == 8.0
    assert slowest_s([(8 * S, 20.0 * S)], 14 * S, 30 * S, 10 * S) == 10.0
    assert slowest_s([(12 * S, 13.0 * S)], 14 * S, 30 * S, 10 * S) == 0.0

    seen_late = fault(effective_us=START_US + 13 * S)
    result = judged(faulted(seen_late, gaps=(gap(10.5, 15),)), "FT-BROKER")

    assert result.measured.startswith("recovery within 4.5 s")


def test_a_kill_that_was_recovered_from_in_time_passes() -> None:
    """Figures and evidence are in the result."""
    result = judged(faulted(fault(), gaps=(gap(9.9, 13.5),)), "FT-BROKER")

    assert result.verdict is Verdict.PASS
    assert result.measured == "recovery within 3.5 s (partition combat-0), 0 of 60,000 acked events lost"
    assert "pid 1 gone" in result.evidence


def test_a_recovery_that_took_too_long_fails() -> None:
    """Half a minute is the limit."""
    result = judged(faulted(fault(at=10, until=45), gaps=(gap(10, 41),)), "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert "partition combat-0 came back after 31.0 s" in result.evidence


def test_a_partition_that_never_came_back_fails() -> None:
    """Its silence has no end."""
    result = judged(faulted(fault(), gaps=(gap(10, None),)), "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert "never" in result.measured


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effective_us": None}, "broker-kill-1 (broker-kill of broker-1) was never seen to take effect"),
        ({"effective_us": None, "needs": "needs root and iptables"}, "broker-kill-1: needs root and iptables"),
    ],
)
def test_a_fault_that_did_not_happen_proves_nothing(changes: dict[str, Any], reason: str) -> None:
    """Neither its claim nor the experiment, and the run says so."""
    history = faulted(fault(**changes))

    for claim in ("FT-BROKER", "CHAOS-ALL"):
        result = judged(history, claim)
        assert result.verdict is Verdict.UNKNOWN
        assert reason in result.evidence
    finding = next(one for one in run_checks(history) if one.name == "fault-in-effect")
    assert (finding.verdict, finding.summary) == (Verdict.UNKNOWN, reason)


def test_a_loss_fails_every_claim_about_faults() -> None:
    """Also one that was recovered from at once."""
    history = faulted(fault())
    assert history.readback is not None
    stream, read = next(iter(history.readback.streams.items()))
    less = replace(read, read=read.read.difference(IntervalSet([(5, 6)])))
    history = replace(history, readback=replace(history.readback, streams={stream: less}))

    result = judged(history, "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert "2 acked events lost on the brokers" in result.evidence

    (load,) = history.loads
    weak = replace(history, loads=(replace(load, guarantees={"combat": {"acks": "1"}}),))
    assert "configuration permits it" in judged(weak, "FT-BROKER").evidence


def test_an_event_without_an_outcome_is_lost_between_broker_and_consumer() -> None:
    """The brokers have it, and the event core never said what became of it."""
    history = faulted(fault())
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    fewer = replace(receipts, accounted=receipts.accounted.difference(IntervalSet([(7, 7)])), processed=59_999)
    history = replace(history, readback=replace(history.readback, receipts=(fewer,)))

    result = judged(history, "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert "1 events lost between broker and consumer" in result.evidence


def test_without_silences_by_partition_nothing_is_known() -> None:
    """A run of a version that did not record them."""
    result = judged(faulted(fault(), gaps=None), "FT-BROKER")

    assert result.verdict is Verdict.UNKNOWN
    assert "did not record the silences" in result.evidence


def test_claims_of_a_fault_are_those_its_experiment_names() -> None:
    """A kill for another purpose is no evidence for this claim; no fault at all is none either."""
    drill = fault(claims=("OPS-ROLLBACK",))

    assert judged(faulted(drill), "FT-BROKER").verdict is Verdict.UNKNOWN
    assert judged(faulted(), "FT-BROKER").evidence == "no fault of this run is evidence for it"
    assert judged(faulted(fault("cut", claims=("FT-PARTITION",))), "FT-PARTITION").verdict is Verdict.PASS


def test_with_two_brokers_down_the_clock_starts_when_one_is_back() -> None:
    """Two in-sync replicas of three cannot be had before."""
    first, second = fault(at=10, until=25), fault("broker-pause", at=12, until=22, target="broker-2")
    history = faulted(first, second)

    assert failed_at_us(history, first) == START_US + 22 * S
    assert failed_at_us(history, replace(first, kind="double-kill")) == START_US + 25 * S
    assert failed_at_us(faulted(first), first) == START_US + 10 * S


def test_figures_before_during_and_after() -> None:
    """Rates, the worst second, the share of good events and the longest silence."""
    history = faulted(fault(), gaps=(gap(10, 12),))
    timeline = tuple(
        replace(row, acked=100) if row.t in (START_S + 11, START_S + 12) else row for row in history.timeline
    )

    found = figures(replace(history, timeline=timeline), history.faults[0])

    assert found.before is not None
    assert found.before.acked_eps == 1_000
    assert found.during is not None
    assert found.during.least_eps == 100
    assert found.during.good == pytest.approx(0.82)
    assert found.during.longest_gap_s == 2.0
    assert found.after is not None
    assert found.after.least_eps == 1_000
    assert found.recovery_s == 2.0


def test_a_rebalance_counts_from_the_kill_until_the_group_is_stable_for_good() -> None:
    """Noticed after six seconds, settled after seven and a half; that it grows again later does not count."""
    samples = group((0, "STABLE", 2), (16, "PREPARING_REBALANCING", 1), (17.5, "STABLE", 1), (20.5, "STABLE", 2))

    result = judged(faulted(fault("core-kill", target="core-1"), groups=samples), "FT-CONSUMER")

    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("stable within 7.5 s (event-core-combat)")
    assert "noticed within 6.0 s, 2 → 1 members" in result.evidence


def test_a_slow_rebalance_fails() -> None:
    """Ten seconds are the limit; a moment of stability in between is none."""
    samples = group(
        (0, "STABLE", 2),
        (16, "PREPARING_REBALANCING", 1),
        (17, "STABLE", 1),
        (18, "PREPARING_REBALANCING", 1),
        (21, "STABLE", 1),
    )

    result = judged(faulted(fault("core-kill", until=30), groups=samples), "FT-CONSUMER")

    assert result.verdict is Verdict.FAIL
    assert "stable again after 11.0 s" in result.evidence


def test_a_kill_that_no_group_noticed_proves_nothing() -> None:
    """Nor does one in a group without a second member, nor one whose groups were not watched."""
    unmoved = faulted(fault("core-kill"), groups=group((0, "STABLE", 2)))
    alone = faulted(fault("core-kill"), groups=group((0, "STABLE", 1), (16, "EMPTY", 0)))

    assert "no consumer group was seen to rebalance" in judged(unmoved, "FT-CONSUMER").evidence
    assert "no second member" in judged(alone, "FT-CONSUMER").evidence
    assert judged(faulted(fault("core-kill")), "FT-CONSUMER").evidence == "the consumer groups were not watched"


def outcome(**changes: Any) -> ExperimentOutcome:
    sound = ExperimentOutcome(
        experiment="broker-kill", title="A kill", status="completed", steady_before=True, steady_after=True
    )
    return replace(sound, **changes)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, Verdict.PASS, ""),
        ({"status": "failed", "steady_after": False, "missed": ("lag: 9",)}, Verdict.FAIL, "did not come back: lag: 9"),
        ({"status": "failed", "steady_before": False}, Verdict.UNKNOWN, "no steady state to begin with"),
        ({"status": "interrupted", "steady_after": None}, Verdict.UNKNOWN, "broker-kill: interrupted"),
    ],
)
def test_every_experiment_must_pass(changes: dict[str, Any], verdict: Verdict, reason: str) -> None:
    """By what the experiment itself found."""
    result = judged(faulted(fault(experiment="A kill"), experiments=(outcome(**changes),)), "CHAOS-ALL")

    assert result.verdict is verdict
    assert reason in result.evidence


def test_an_experiment_needs_an_end_and_a_recovery_after_it() -> None:
    """What was not recorded, never undone or not recovered from is not passed."""
    assert "how it ended was not recorded" in judged(faulted(fault()), "CHAOS-ALL").evidence
    in_force = judged(faulted(fault(until=None), experiments=(outcome(),)), "CHAOS-ALL")
    assert (in_force.verdict, "still in force" in in_force.evidence) == (Verdict.UNKNOWN, True)
    slow = judged(faulted(fault(), gaps=(gap(15, 55),), experiments=(outcome(),)), "CHAOS-ALL")
    assert (slow.verdict, "35.0 s after it was undone" in slow.evidence) == (Verdict.FAIL, True)


def test_availability_is_the_share_of_good_events() -> None:
    """Against an error budget of one in a thousand, in a run that is long enough."""
    long = {"thresholds": {"soak_s": 30}}
    history = faulted(fault())
    history = replace(history, run=replace(history.run, config=long))

    assert judged(history, "AVAIL").verdict is Verdict.PASS
    assert "the run lasted 60 s" in judged(faulted(fault()), "AVAIL").evidence
    assert judged(faulted(), "AVAIL").verdict is Verdict.UNKNOWN
    (load,) = history.loads
    counts = load.phases["fault"]["combat"]
    fewer = replace(load, phases={"fault": {"combat": replace(counts, acked=counts.scheduled - 100)}})
    bad = judged(replace(history, loads=(fewer,)), "AVAIL")
    assert (bad.verdict, bad.measured) == (Verdict.FAIL, "99.8333% good events")
    assert "167% of the error budget spent" in bad.evidence


def test_what_is_beyond_the_claim_does_not_count_for_availability() -> None:
    """With fewer brokers than min.insync.replicas nothing is to be acknowledged."""
    history = faulted(fault("double-kill"))

    assert judged(history, "AVAIL").evidence == "no event was due in a phase that counts"


def test_consumers_scaled_under_load() -> None:
    """Three to twelve members of the group that was scaled; the latency of the phase must hold."""
    scaled = fault("scale-consumers", target="event-core-combat to 12", until=40)
    watched = (*group((0, "STABLE", 3), (12, "STABLE", 12)), *group((0, "STABLE", 3), name="event-core-social"))

    result = judged(faulted(scaled, groups=watched), "SCALE-CONSUMERS")
    too_few = judged(faulted(scaled, groups=group((0, "STABLE", 3), (12, "STABLE", 9))), "SCALE-CONSUMERS")

    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("event-core-combat 3 → 12; P99 10.0 ms in fault")
    assert too_few.verdict is Verdict.UNKNOWN
    assert judged(faulted(scaled, groups=watched), "LAT-SCALING").verdict is Verdict.PASS


def test_partitions_added_under_load() -> None:
    """All of the new ones are known, some are used, and keys that moved are told."""
    topic = "game.combat.events"
    added = fault("scale-partitions", target=f"{topic} to 48", until=40)
    leaders = tuple(
        LeaderSample(t=START_S + (0 if number < 24 else 11), topic=topic, partition=number, leader=1, epoch=0)
        for number in range(48)
    )
    history = faulted(added, leaders=leaders)
    assert judged(history, "SCALE-PARTITIONS").verdict is Verdict.UNKNOWN

    readback: Readback | None = history.readback
    assert readback is not None
    (part,), (receipts,) = readback.partitions, readback.receipts
    half, rest = IntervalSet([(0, 29_999)]), IntervalSet([(30_000, 59_999)])
    readback = replace(
        readback,
        partitions=(
            replace(part, read=30_000, offsets=half),
            replace(part, partition=30, read=30_000, offsets=rest),
        ),
        receipts=(
            replace(receipts, accounted=half, processed=30_000),
            replace(receipts, partition=30, accounted=rest, processed=30_000),
        ),
        streams={name: replace(one, partitions=(0, 30)) for name, one in readback.streams.items()},
    )
    result = judged(replace(history, readback=readback), "SCALE-PARTITIONS")
    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("24 → 48 partitions, 1 of the new ones used")
    assert "1 keys moved" in result.evidence


def test_silences_of_a_phase_in_which_a_fault_was_in_force_are_the_faults() -> None:
    """A fault that took long to be undone reaches into the phase of recovery; its own claims judge it."""
    (phase,) = faulted().phases
    (load,) = faulted().loads
    silent = (replace(load, max_gap_ms={"fault": {"combat": 20_000.0}}, gaps=()),)
    recovering = (replace(phase, kind="recovery"),)

    def verdict(*faults: FaultRecord) -> Verdict:
        history = replace(faulted(*faults), loads=silent, phases=recovering)
        return next(one for one in run_checks(history) if one.name == "longest-gap").verdict

    assert verdict() is Verdict.FAIL
    assert verdict(fault(effective_us=None)) is Verdict.FAIL
    assert verdict(fault()) is Verdict.PASS


def drill(kind: str = "consumers-paused", **changes: Any) -> FaultRecord:
    return fault(kind, claims=("OPS-ROLLBACK",), **changes)


def went_through(kind: str = "consumers-paused", **changes: Any) -> ExperimentOutcome:
    outcome = ExperimentOutcome(experiment=kind, title="", status="completed", steady_before=True, steady_after=True)
    return replace(outcome, **changes)


def test_a_drill_that_went_through_passes() -> None:
    """And says which of the three it was."""
    result = judged(faulted(drill(), experiments=(went_through(),)), "OPS-ROLLBACK")

    assert result.verdict is Verdict.PASS, result
    assert result.measured.startswith("consumers paused, books reconciled, consumers resumed; 0 of ")


@pytest.mark.parametrize(
    ("record", "outcome", "verdict", "reason"),
    [
        (drill(), went_through(failed=("reconcile the books: 3 events",)), Verdict.FAIL, "reconcile the books"),
        (drill(), went_through(steady_after=False), Verdict.FAIL, "the steady state did not come back"),
        (drill(), went_through(status="interrupted"), Verdict.UNKNOWN, "interrupted"),
        (drill(), None, Verdict.UNKNOWN, "how it ended was not recorded"),
        (drill(effective_us=None), went_through(), Verdict.UNKNOWN, "never seen to take effect"),
        (drill(until=None), went_through(), Verdict.UNKNOWN, "still in force"),
        (drill("cut"), went_through("cut"), Verdict.UNKNOWN, "no fault of this run belongs to a drill"),
    ],
)
def test_a_drill_is_judged_by_its_steps(
    record: FaultRecord, outcome: ExperimentOutcome | None, verdict: Verdict, reason: str
) -> None:
    """A step that fails fails the drill; what is not known leaves it unknown."""
    result = judged(faulted(record, experiments=(outcome,) if outcome else ()), "OPS-ROLLBACK")

    assert (result.verdict, reason in result.evidence) == (verdict, True), result


def test_a_drill_without_load_proves_nothing() -> None:
    """Nobody was served while it lasted."""
    history = faulted(drill(), experiments=(went_through(),))
    idle = replace(history, timeline=tuple(replace(row, acked=0) for row in history.timeline))

    assert judged(idle, "OPS-ROLLBACK").verdict is Verdict.UNKNOWN


def test_a_drill_after_which_the_core_stays_away_fails() -> None:
    """Thirty seconds are given from when it was undone."""
    history = faulted(drill(), experiments=(went_through(),))
    silent = tuple(
        replace(row, processed=0, rejected=0, dead_lettered=0) if START_S + 15 <= row.t < START_S + 58 else row
        for row in history.timeline
    )

    result = judged(replace(history, timeline=silent), "OPS-ROLLBACK")
    assert result.verdict is Verdict.FAIL
    assert "event core, combat came back" in result.evidence
