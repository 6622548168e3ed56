from __future__ import annotations

from dataclasses import replace

from histories import START_S, ack, failing, found, history_of, read, run_info, timed_history

from necp_validate.core import Verdict
from necp_validate.record import Drain, History, Phase, PhaseCounts


def with_gap(gap_ms: float, *, kind: str = "steady", config: dict[str, object] | None = None) -> History:
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
    assert set() == failing(with_gap(60_000, kind="fault"))


def test_a_very_low_rate_is_silent_by_itself() -> None:
    history = with_gap(9_000)
    phases = (replace(history.phases[0], target_eps={"combat": 2.0}),)
    assert set() == failing(replace(history, phases=phases))


def test_a_phase_with_sends_and_no_ack_is_a_silence() -> None:
    history = history_of(ack(0), read(0))
    counts = {"steady": {"combat": PhaseCounts(scheduled=9, sent=9)}}
    load = replace(history.loads[0], phases=counts)
    assert {"longest-gap"} == failing(replace(history, loads=(load,)))


def test_a_silence_that_no_ack_ended_shows_in_the_timeline() -> None:
    history = timed_history(eps={"combat": 100.0})
    rows = tuple(replace(row, acked=0 if row.t > START_S + 20 else row.acked) for row in history.timeline)
    finding = found(replace(history, timeline=rows), "longest-gap")
    assert finding.verdict is Verdict.FAIL
    assert "10.0 s" in finding.summary


def with_drain(drain: Drain | None, *, surge: bool = True) -> History:
    history = history_of(ack(0), read(0), drain=drain)
    phase = Phase(name="surge", kind="surge", start_us=1, end_us=2)
    return replace(history, phases=(*history.phases, phase)) if surge else history


def test_backlog_drain_has_a_limit() -> None:
    late = Drain(phase_end_us=0, lag_at_end=500, drained_us=11_000_000, drain_s=11.0)
    finding = found(with_drain(late), "backlog-drain")
    assert (finding.verdict, finding.count) == (Verdict.FAIL, 500)
    assert found(with_drain(replace(late, drain_s=9.0)), "backlog-drain").verdict is Verdict.PASS


def test_a_backlog_that_never_drained_fails() -> None:
    assert {"backlog-drain"} == failing(with_drain(Drain(phase_end_us=0, lag_at_end=5)))


def test_a_surge_without_a_record_of_its_drain_is_unknown_and_no_surge_is_fine() -> None:
    assert found(with_drain(None), "backlog-drain").verdict is Verdict.UNKNOWN
    assert found(with_drain(None, surge=False), "backlog-drain").verdict is Verdict.PASS


def test_late_schedule_is_less_than_99_percent_sent() -> None:
    history = history_of(ack(0), read(0))
    for sent, failed in ((990, set()), (989, {"late-schedule"})):
        counts = {"steady": {"combat": PhaseCounts(scheduled=1000, sent=sent, acked=sent)}}
        load = replace(history.loads[0], phases=counts)
        assert failed == failing(replace(history, loads=(load,)))


def test_late_schedule_is_a_rate_below_the_plan_although_all_that_began_was_sent() -> None:
    """A generator that falls behind counts nothing as scheduled that it has not come to."""
    late = timed_history(eps={"combat": 1000.0}, sent_eps={"combat": 970.0})
    counts = {"steady": {"combat": PhaseCounts(scheduled=970, sent=970, acked=970)}}
    late = replace(late, loads=(replace(late.loads[0], phases=counts),))
    finding = found(late, "late-schedule")
    assert finding.verdict is Verdict.FAIL
    assert finding.examples[0].detail == "sent at 970 EPS, planned 1,000 EPS"


def test_what_was_still_to_be_sent_when_the_run_was_stopped_is_not_late() -> None:
    history = history_of(ack(0), read(0), run=run_info(status="stopped"))
    counts = {"steady": {"combat": PhaseCounts(scheduled=1000, sent=500, acked=500)}}
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
