"""Verdicts on recovery from faults: which silences count, from when, and that the slowest of all decides."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, claim_of, failing, finding_of, found, phase_of, planned, unknown
from sound.faults import S, at_us, fault, faulted, gap, silence, with_config

from necp_validate.claims.metrics.faults import failed_at_us, figures
from necp_validate.claims.metrics.recovery import recovery, slowest_s
from necp_validate.core import Verdict
from necp_validate.record import FaultRecord, IntervalSet, Record


def test_recovery_is_from_the_effect_to_the_end_of_the_silence() -> None:
    """Two partitions of three were silent; the slower one counts, and so does their producer."""
    history = faulted(fault(), gaps=(gap(9.9, 13.5), gap(10.2, 12, partition=1)))

    times = recovery(history, at_us(10), at_us(20))

    assert times.partitions == pytest.approx({"combat-0": 3.5, "combat-1": 2.0})
    assert times.clients == pytest.approx({"producer combat of w0": 3.5})
    assert times.slowest == ("partition combat-0", pytest.approx(3.5))


def test_the_event_core_is_a_client_that_has_to_come_back_too() -> None:
    """From the outcomes that the load workers waited for; a domain that was never silent is not among the clients."""
    times = recovery(faulted(fault(), outcome_gaps=(silence(10.5, 14.5),)), at_us(10), at_us(20))

    assert times.clients == pytest.approx({"event core, combat": 4.5})


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

    seen_late = fault(effective_us=at_us(13))
    assert "recovery within 4.5 s" in claim_of(faulted(seen_late, gaps=(gap(10.5, 15),)), "FT-BROKER").measured


def test_a_kill_that_was_recovered_from_in_time_passes() -> None:
    """Figures and evidence are in the result, and what would have been seen."""
    result = claim_of(faulted(fault(), gaps=(gap(9.9, 13.5),)), "FT-BROKER")

    assert result.verdict is Verdict.PASS
    assert result.measured == "lost: 0 events, never handled: 0 events, recovery within 3.5 s, 1 leader moved"
    assert (
        "the slowest: partition combat-0 after broker-kill-1; broker-kill-1 of broker-1: pid 1 gone" in result.evidence
    )
    assert "1 lost of 60,000 acked events" in result.sees
    assert "a silence of 0.5 s of one partition, and of 1 s of the event core" in result.sees


@pytest.mark.parametrize(
    ("silent", "who"),
    [
        ({"gaps": (gap(10, 41),)}, "partition combat-0"),
        ({"outcome_gaps": (silence(10, 41),)}, "event core, combat"),
        ({"gaps": (gap(10, None),)}, "partition combat-0"),
        ({"outcome_gaps": (silence(10, None),)}, "event core, combat"),
    ],
)
def test_a_recovery_that_took_too_long_fails(silent: dict[str, Any], who: str) -> None:
    """Half a minute is the limit, for partitions and for the event core; a silence without an end is one for ever."""
    result = claim_of(faulted(fault(until=45), **silent), "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert f"the slowest: {who} after broker-kill-1" in result.evidence
    (first, *_) = silent.values()
    took = "never" if first[0].to_us is None else "31 s"
    assert f"recovery within {took}" in result.measured


def test_the_slowest_of_several_faults_decides_not_the_first() -> None:
    """The first and the last were got over at once, the second was not."""
    faults = [
        fault(at=2, until=8, id="broker-kill-1"),
        fault("broker-stop", at=12, until=52, id="broker-stop-1"),
        fault(at=55, until=58, id="broker-kill-2"),
    ]

    result = claim_of(faulted(*faults, gaps=(gap(2, 3), gap(12.5, 49), gap(55, 56))), "FT-BROKER")

    assert result.verdict is Verdict.FAIL
    assert "recovery within 37 s" in result.measured
    assert "the slowest: partition combat-0 after broker-stop-1" in result.evidence
    sound = claim_of(faulted(*faults, gaps=(gap(2, 3), gap(12.5, 20), gap(55, 56))), "FT-BROKER")
    assert (sound.verdict, "3 faults" in sound.evidence) == (Verdict.PASS, True)


def test_a_fault_that_was_still_in_force_at_the_end_may_have_gone_on() -> None:
    """Five seconds prove nothing of half a minute; a whole minute without a silence does."""
    early = claim_of(faulted(fault(at=55, until=None), gaps=(gap(55, 57),)), "FT-BROKER")
    assert early.verdict is Verdict.UNKNOWN
    assert "only known between bounds" in early.evidence

    assert claim_of(faulted(fault(at=5, until=None), gaps=(gap(5, 7),)), "FT-BROKER").verdict is Verdict.PASS


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
        result = claim_of(history, claim)
        assert result.verdict is Verdict.UNKNOWN
        assert reason in result.evidence
    finding = finding_of(history, "fault-in-effect")
    assert (finding.verdict, finding.summary) == (Verdict.UNKNOWN, reason)


def test_one_fault_of_two_that_did_not_happen_leaves_the_claim_unknown() -> None:
    """What is known of the other one is no evidence for both."""
    history = faulted(fault(), fault("broker-stop", at=30, until=40, effective_us=None))

    result = claim_of(history, "FT-BROKER")

    assert result.verdict is Verdict.UNKNOWN
    assert "broker-stop-1 (broker-stop of broker-1) was never seen to take effect" in result.evidence


def with_reads(history: Record, *, without: IntervalSet) -> Record:
    """The same, and some acked events were not found."""
    assert history.readback is not None
    streams = {name: replace(one, read=one.read.difference(without)) for name, one in history.readback.streams.items()}
    kept = history.readback.events_read - without.count
    parts = tuple(
        replace(one, read=kept, gaps=without.count, offsets=(one.offsets or IntervalSet()).difference(without))
        for one in history.readback.partitions
    )
    receipts = tuple(
        replace(one, accounted=one.accounted.difference(without), processed=kept) for one in history.readback.receipts
    )
    readback = replace(history.readback, streams=streams, partitions=parts, events_read=kept, receipts=receipts)
    return replace(history, readback=readback)


@pytest.mark.parametrize("claim", ["FT-BROKER", "CHAOS-ALL"])
def test_a_loss_fails_every_claim_about_faults(claim: str) -> None:
    """Also one that was recovered from at once, and also where the producer's configuration permits it."""
    history = with_reads(faulted(fault(), ended=59_998), without=IntervalSet([(5, 6)]))
    (load,) = history.loads

    for given in (history, replace(history, loads=(replace(load, guarantees={"combat": {"acks": "1"}}),))):
        result = claim_of(given, claim)
        assert result.verdict is Verdict.FAIL
        assert "lost: 2 events" in result.measured


@pytest.mark.parametrize("claim", ["FT-BROKER", "CHAOS-ALL"])
def test_an_event_without_an_outcome_is_lost_between_broker_and_consumer(claim: str) -> None:
    """The brokers have it, and the event core never said what became of it."""
    history = faulted(fault(), ended=59_999)
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    fewer = replace(receipts, accounted=receipts.accounted.difference(IntervalSet([(7, 7)])), processed=59_999)

    result = claim_of(replace(history, readback=replace(history.readback, receipts=(fewer,))), claim)

    assert result.verdict is Verdict.FAIL
    assert "never handled: 1 event" in result.measured


def test_without_silences_by_partition_nothing_is_known() -> None:
    """Or without those of the outcomes: what was not recorded never reads as nothing wrong."""
    for missing, words in (
        ({"gaps": None}, "did not record the silences of single partitions"),
        ({"outcome_gaps": None}, "did not record"),
    ):
        result = claim_of(faulted(fault(), **missing), "FT-BROKER")
        assert result.verdict is Verdict.UNKNOWN
        assert words in result.evidence


def test_claims_of_a_fault_are_those_its_experiment_names() -> None:
    """A kill for another purpose is no evidence for this claim; no fault at all is none either."""
    drill = fault(claims=("OPS-ROLLBACK",))

    assert claim_of(faulted(drill), "FT-BROKER").verdict is Verdict.UNKNOWN
    assert "no fault of this run is evidence for it" in claim_of(faulted(), "FT-BROKER").evidence
    assert claim_of(faulted(fault("cut", claims=("FT-PARTITION",))), "FT-PARTITION").verdict is Verdict.PASS


def test_a_time_in_which_nothing_was_due_proves_nothing() -> None:
    """Nobody was there who could have been refused."""
    history = faulted(fault())
    idle = tuple(replace(row, scheduled=0) if START_S + 9 <= row.t <= START_S + 22 else row for row in history.timeline)
    result = claim_of(replace(history, timeline=idle), "FT-BROKER")

    assert result.verdict is Verdict.UNKNOWN
    assert "broker-kill-1: nothing was due while it lasted" in result.evidence


def test_with_two_brokers_down_the_clock_starts_when_one_is_back() -> None:
    """Two in-sync replicas of three cannot be had before."""
    first, second = fault(at=10, until=25), fault("broker-pause", at=12, until=22, target="broker-2")
    history = faulted(first, second)

    assert failed_at_us(history, first) == at_us(22)
    assert failed_at_us(history, replace(first, kind="double-kill")) == at_us(25)
    assert failed_at_us(faulted(first), first) == at_us(10)


def test_figures_before_during_and_after() -> None:
    """Rates, the worst second, the share of good events and the longest silence."""
    history = faulted(fault(), gaps=(gap(10, 12),))
    timeline = tuple(
        replace(row, acked=100) if row.t in (START_S + 11, START_S + 12) else row for row in history.timeline
    )

    of_fault = figures(replace(history, timeline=timeline), history.faults[0])

    assert of_fault.before is not None
    assert of_fault.before.acked_eps == 1_000
    assert of_fault.during is not None
    assert of_fault.during.least_eps == 100
    assert of_fault.during.good == pytest.approx(0.82)
    assert of_fault.during.longest_gap_s == 2.0
    assert of_fault.after is not None
    assert of_fault.after.least_eps == 1_000
    assert of_fault.recovery_s == 2.0


def test_silences_of_a_phase_in_which_a_fault_was_in_force_are_the_faults() -> None:
    """A fault that took long to be undone reaches into the phase of recovery; its own claims judge it."""
    recovering = phase_of("recovery", seconds=60, eps={"combat": 1_000.0})

    def verdict(*faults: FaultRecord) -> Verdict:
        history = faulted(*faults)
        (load,) = history.loads
        counts = (load.phases or {})["fault"]
        load = replace(load, phases={"recovery": counts}, max_gap_ms={"recovery": {"combat": 20_000.0}})
        history = with_config(replace(history, loads=(load,), phases=(recovering,)), phases=planned(recovering))
        return found(history, "longest-gap").verdict

    assert verdict() is Verdict.FAIL
    assert verdict(fault(effective_us=None)) is Verdict.FAIL
    assert verdict(fault()) is Verdict.PASS
    assert verdict(fault("publisher-flood")) is Verdict.FAIL, "a flood that is held to a limit explains no silence"


def test_a_sound_run_under_a_fault_has_nothing_to_complain_of() -> None:
    """The records of these tests are complete, and their accounts add up."""
    history = faulted(fault(), gaps=(gap(9.9, 13.5),), outcome_gaps=(silence(10, 13),))
    assert (failing(history), unknown(history)) == (set(), set())
