from __future__ import annotations

from dataclasses import replace

import pytest
from histories import (
    START_S,
    ack,
    counts_of,
    failing,
    finding_of,
    found,
    history_of,
    phase_of,
    planned,
    read,
    run_info,
    timed_history,
    unknown,
)

from necp_validate.core import Verdict
from necp_validate.record import Drain, Record
from necp_validate.record.model import OutcomeGap


def with_gap(gap_ms: float, *, kind: str = "steady", config: dict[str, object] | None = None) -> Record:
    history = history_of(ack(0), read(0), run=run_info(config=config or {}))
    load = replace(history.loads[0], max_gap_ms={"steady": {"combat": gap_ms}})
    phases = (replace(history.phases[0], kind=kind),)
    return replace(history, loads=(load,), phases=phases)


def test_longest_gap_fails_above_five_seconds() -> None:
    assert set() == failing(with_gap(4_999))
    assert {"longest-gap"} == failing(with_gap(5_001))


def test_the_longest_gap_is_a_threshold_of_the_scenario() -> None:
    assert {"longest-gap"} == failing(with_gap(1_500, config={"thresholds": {"longest_gap_ms": 1000}}))


def test_a_fault_may_be_silent() -> None:
    assert "longest-gap" not in failing(with_gap(60_000, kind="fault"))


def test_a_very_low_rate_is_silent_by_itself() -> None:
    history = with_gap(9_000)
    phases = (replace(history.phases[0], target_eps={"combat": 2.0}),)
    assert "longest-gap" not in failing(replace(history, phases=phases))


def test_servers_that_all_send_at_once_are_silent_in_between() -> None:
    """One server of a hundred events in a row, at ten events a second."""
    traffic = {"combat": {"rate_eps": 10.0, "run_length": 100, "tick_hz": 10.0}}
    history = with_gap(10_100, config={"traffic": traffic})
    slow = replace(history, phases=(replace(history.phases[0], target_eps={"combat": 10.0}),))
    assert "longest-gap" not in failing(slow)
    assert "longest-gap" in failing(with_gap(10_100))


def test_a_phase_with_sends_and_no_ack_is_a_silence() -> None:
    history = history_of(ack(0), read(0))
    counts = {"steady": {"combat": counts_of(scheduled=9, acked=0)}}
    finding = found(replace(history, loads=(replace(history.loads[0], phases=counts),)), "longest-gap")
    assert finding.verdict is Verdict.FAIL
    assert finding.examples[0].detail == "9 events sent, not one acknowledged"


def test_a_silence_that_no_ack_ended_shows_in_the_timeline() -> None:
    history = timed_history(eps={"combat": 100.0})
    rows = tuple(replace(row, acked=0 if row.t > START_S + 20 else row.acked) for row in history.timeline)
    finding = found(replace(history, timeline=rows), "longest-gap")
    assert finding.verdict is Verdict.FAIL
    assert "10.00 s without an ack" in finding.summary


def silent_core(*gaps: OutcomeGap) -> Record:
    history = history_of(ack(0), read(0))
    return replace(history, loads=(replace(history.loads[0], outcome_gaps=gaps),))


@pytest.mark.parametrize(("to_s", "fails"), [(4.9, False), (5.1, True), (None, True)])
def test_a_core_that_answers_nothing_is_a_silence_like_any_other(to_s: float | None, fails: bool) -> None:
    """One that never ended lasts until the drain was given up, which the last row of the timeline shows."""
    begin_us = START_S * 10**6
    to_us = None if to_s is None else begin_us + round(to_s * 10**6)
    finding = found(silent_core(OutcomeGap(domain="combat", from_us=begin_us, to_us=to_us)), "longest-gap")
    assert (finding.verdict is Verdict.FAIL) is fails
    assert f"{10.0 if to_s is None else to_s} s without an outcome" in finding.summary


def test_silences_of_outcomes_that_were_not_recorded_are_unknown() -> None:
    history = history_of(ack(0), read(0))
    history = replace(history, loads=(replace(history.loads[0], outcome_gaps=None),))
    assert "longest-gap" in unknown(history)


def with_drain(drain: Drain | None, kind: str = "surge", **thresholds: float) -> Record:
    history = history_of(ack(0), read(0), drain=drain)
    phase = phase_of("busiest", kind=kind, from_s=10, seconds=5)
    phases = (*history.phases, phase)
    config = {**history.run.config, "phases": planned(*phases), "thresholds": thresholds}
    ended = {"busiest": drain.drained_us} if drain is not None and drain.drained_us is not None else {}
    loads = tuple(replace(load, last_ended_us=ended) for load in history.loads)
    return replace(history, run=replace(history.run, config=config), phases=phases, loads=loads)


END_US = (START_S + 15) * 10**6


def drained(seconds: float | None) -> Drain:
    drained_us = None if seconds is None else END_US + round(seconds * 10**6)
    return Drain(phase_end_us=END_US, lag_at_end=500, drained_us=drained_us, drain_s=seconds)


@pytest.mark.parametrize(
    ("kind", "seconds", "verdict"),
    [
        ("surge", 9.9, Verdict.PASS),
        ("surge", 10.1, Verdict.FAIL),
        ("fault", 10.1, Verdict.PASS),
        ("recovery", 29.9, Verdict.PASS),
        ("recovery", 30.1, Verdict.FAIL),
        ("surge", None, Verdict.FAIL),
    ],
)
def test_a_backlog_has_a_limit_and_longer_where_faults_have_piled_it_up(
    kind: str, seconds: float | None, verdict: Verdict
) -> None:
    finding = found(with_drain(drained(seconds), kind), "backlog-drain")
    assert (finding.verdict, finding.count) == (verdict, 500 if verdict is Verdict.FAIL else 0)


def test_a_looser_limit_on_the_backlog_proves_nothing_and_a_stricter_one_holds() -> None:
    looser = finding_of(with_drain(drained(9.0), drain_s=30.0), "backlog-drain")
    assert looser.verdict is Verdict.UNKNOWN
    assert looser.summary.startswith("judged by a looser limit than claimed: drain_s is 30 s, claimed 10 s")
    assert found(with_drain(drained(9.0), drain_s=8.0), "backlog-drain").verdict is Verdict.FAIL


def test_a_surge_without_a_record_of_its_drain_is_unknown_and_no_surge_is_not_applicable() -> None:
    assert finding_of(with_drain(None), "backlog-drain").verdict is Verdict.UNKNOWN
    assert finding_of(history_of(ack(0), read(0)), "backlog-drain").verdict is Verdict.NOT_APPLICABLE


def test_a_drain_from_the_end_of_no_phase_is_no_evidence() -> None:
    elsewhere = replace(drained(1.0), phase_end_us=END_US + 1)
    assert finding_of(with_drain(elsewhere), "backlog-drain").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("sent", "verdict"), [(990, Verdict.PASS), (989, Verdict.FAIL)])
def test_late_schedule_is_less_than_99_percent_sent(sent: int, verdict: Verdict) -> None:
    history = history_of(ack(0), read(0))
    counts = {"steady": {"combat": counts_of(scheduled=1000, sent=sent)}}
    load = replace(history.loads[0], phases=counts)
    assert found(replace(history, loads=(load,)), "late-schedule").verdict is verdict


def test_what_the_client_did_not_take_is_late_and_what_brokers_refused_is_not() -> None:
    history = history_of(ack(0), read(0))
    for refused, failed in ((0, False), (11, True)):
        counts = replace(counts_of(scheduled=1000, acked=900, failed=100), refused=refused)
        load = replace(history.loads[0], phases={"steady": {"combat": counts}})
        late = found(replace(history, loads=(load,)), "late-schedule").verdict is Verdict.FAIL
        assert late is failed


def test_without_a_count_of_what_the_client_did_not_take_the_schedule_is_unknown() -> None:
    """An older version, which counted no unknown events either, left them out of those sent."""
    history = history_of(ack(0), read(0))
    for unheard, verdict in ((0, Verdict.UNKNOWN), (None, Verdict.PASS)):
        counts = replace(counts_of(scheduled=1000), unknown=unheard, refused=None)
        load = replace(history.loads[0], phases={"steady": {"combat": counts}})
        assert found(replace(history, loads=(load,)), "late-schedule").verdict is verdict


def test_late_schedule_is_a_rate_below_the_plan_although_all_that_began_was_sent() -> None:
    """A generator that falls behind counts nothing as scheduled that it has not come to."""
    late = timed_history(eps={"combat": 1000.0}, sent_eps={"combat": 970.0})
    counts = {"steady": {"combat": counts_of(scheduled=970)}}
    late = replace(late, loads=(replace(late.loads[0], phases=counts),))
    finding = found(late, "late-schedule")
    assert finding.verdict is Verdict.FAIL
    assert finding.examples[0].detail == "sent at 970 EPS, planned 1,000 EPS"


def test_what_was_still_to_be_sent_when_the_run_was_stopped_is_not_late() -> None:
    history = history_of(ack(0), read(0), run=run_info(status="stopped"))
    counts = {"steady": {"combat": counts_of(scheduled=1000, sent=500)}}
    stopped = replace(history, loads=(replace(history.loads[0], phases=counts),))
    assert found(stopped, "late-schedule").verdict is Verdict.UNKNOWN


def test_a_ramp_is_not_late() -> None:
    """The ramp of a phase is left out, as the scenario says how long it is."""
    history = timed_history(eps={"combat": 1000.0})
    rows = tuple(replace(row, sent=300 if row.t <= START_S + 10 else row.sent) for row in history.timeline)
    ramped = replace(history, timeline=rows)
    assert found(ramped, "late-schedule").verdict is Verdict.FAIL
    config = {"phases": [{"name": "steady", "ramp_s": 10.0, "load": 1.0}]}
    assert found(replace(ramped, run=run_info(config=config)), "late-schedule").verdict is Verdict.PASS


def test_a_run_that_did_not_come_to_its_end_is_unknown() -> None:
    cut = history_of(ack(0), read(0), run=run_info(status="interrupted", error="Ctrl-C"))
    finding = found(cut, "complete-run")
    assert (finding.verdict, finding.summary) == (Verdict.UNKNOWN, "the run is interrupted: Ctrl-C")


@pytest.mark.parametrize(("busy_pct", "verdict"), [(99, Verdict.UNKNOWN), (50, Verdict.FAIL)])
def test_a_schedule_that_a_saturated_machine_could_not_keep_is_unknown(busy_pct: float, verdict: Verdict) -> None:
    late = timed_history(eps={"combat": 1000.0}, sent_eps={"combat": 970.0}, busy_pct=busy_pct)
    counts = {"steady": {"combat": counts_of(scheduled=970)}}
    finding = found(replace(late, loads=(replace(late.loads[0], phases=counts),)), "late-schedule")
    assert finding.verdict is verdict
    assert ("the host was 99.0% busy" in finding.summary) is (busy_pct == 99)


def test_a_generator_that_is_late_by_itself_has_no_excuse() -> None:
    late = timed_history(eps={"combat": 1000.0}, sent_eps={"combat": 970.0}, late_ms=900.0)
    counts = {"steady": {"combat": counts_of(scheduled=970)}}
    finding = found(replace(late, loads=(replace(late.loads[0], phases=counts),)), "late-schedule")
    assert finding.verdict is Verdict.FAIL
