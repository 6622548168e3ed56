"""Whether a record adds up: each of its copies changed, one at a time, names both sides and both files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from histories import (
    START_S,
    ack,
    finding_of,
    histogram_of,
    history_of,
    info,
    judged,
    phase_of,
    read,
    timed_history,
)
from sound.drills import under
from sound.faults import fault

from necp_validate.core import Finding, Verdict
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.evidence.reconcile.lag import lag_against_latency
from necp_validate.record import EpochRead, IntervalSet, LagSample, LeaderSample, OutcomeGap, Record, SendError

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
SOUND = timed_history(eps={"combat": 1_000.0, "social": 100.0})


def with_stream(record: Record, **changes: Any) -> Record:
    (load,) = record.loads
    streams = (replace(load.streams[0], **changes), *load.streams[1:])
    return replace(record, loads=(replace(load, streams=streams),))


def with_load(record: Record, **changes: Any) -> Record:
    (load,) = record.loads
    return replace(record, loads=(replace(load, **changes),))


def with_drain(record: Record, **changes: Any) -> Record:
    assert record.drain is not None
    return replace(record, drain=replace(record.drain, **changes))


def refusals(count: int, fate: str) -> SendError:
    """So many sends of combat events that ended in one error."""
    return SendError(domain="combat", error="MSG_SIZE_TOO_LARGE", fate=fate, count=count, first_us=1, last_us=2)


def with_counts(record: Record, **changes: int) -> Record:
    (load,) = record.loads
    by = load.counts("steady")
    phases = {"steady": {**by, "combat": replace(by["combat"], **changes)}}
    return replace(record, loads=(replace(load, phases=phases),))


def with_row(record: Record, **changes: Any) -> Record:
    rows = list(record.timeline)
    at = next(index for index, row in enumerate(rows) if row.domain == "combat")
    rows[at] = replace(rows[at], **{name: getattr(rows[at], name) + more for name, more in changes.items()})
    return replace(record, timeline=tuple(rows))


def with_latencies(record: Record, kind: str, number: int) -> Record:
    return replace(record, latency={**record.latency, ("steady", "combat", kind): histogram_of(number, 10.0)})


def with_receipt(record: Record, **changes: Any) -> Record:
    assert record.readback is not None
    first, *rest = record.readback.receipts
    return replace(record, readback=replace(record.readback, receipts=(replace(first, **changes), *rest)))


def with_partition(record: Record, **changes: Any) -> Record:
    assert record.readback is not None
    parts = record.readback.partitions
    return replace(record, readback=replace(record.readback, partitions=(replace(parts[0], **changes), *parts[1:])))


def with_receipts(record: Record, count: int) -> Record:
    assert record.readback is not None
    receipts = record.readback.receipts
    fewer = replace(receipts[0], accounted=IntervalSet([(0, count - 1)]), processed=count)
    return replace(record, readback=replace(record.readback, receipts=(fewer, *receipts[1:])))


EVENTS = 30_000

CHANGED: list[tuple[str, str, Callable[[Record], Record], str]] = [
    (
        "stream-account",
        "events of a stream in no set of outcomes",
        lambda r: with_stream(r, acked=IntervalSet([(0, EVENTS - 101)])),
        "30,000 events sent, but 29,900 acked, 0 failed and 0 of unknown outcome (history/load-w0.json: streams)",
    ),
    (
        "stream-account",
        "an event both acked and of unknown outcome",
        lambda r: with_stream(r, unknown=IntervalSet([(7, 7)])),
        "30,000 acked, 0 failed and 1 of unknown outcome",
    ),
    (
        "stream-account",
        "numbers beyond what was sent",
        lambda r: with_stream(r, acked=IntervalSet([(1, EVENTS)])),
        "30,000 events sent",
    ),
    (
        "phase-account",
        "twice as many acked by phase",
        lambda r: with_counts(r, acked=2 * EVENTS),
        "30,000 acked by stream (history/load-*.json: streams), 60,000 by phase (history/load-*.json: phases)",
    ),
    (
        "error-account",
        "more errors of failed sends than failed sends",
        lambda r: with_load(r, send_errors=(refusals(3, "failed"),)),
        "3 errors of failed sends and 0 of unknown outcome (history/load-*.json: send_errors), 0 failed",
    ),
    (
        "error-account",
        "failed sends without an error",
        lambda r: with_counts(r, acked=EVENTS - 3, failed=3),
        "0 errors of failed sends and 0 of unknown outcome (history/load-*.json: send_errors), 3 failed",
    ),
    (
        "error-account",
        "more errors than events of unknown outcome",
        lambda r: with_load(r, send_errors=(refusals(2, "unknown"),)),
        "0 errors of failed sends and 2 of unknown outcome (history/load-*.json: send_errors), 0 failed and 0",
    ),
    (
        "fault-account",
        "a fault that its experiment did not count",
        lambda r: replace(r, experiments=(replace(r.experiments[0], faults=()),)),
        "broker-kill-1 is a fault of it (history/faults.jsonl), and not among the 0 that it counted",
    ),
    (
        "timeline-account",
        "more acked in the rows",
        lambda r: with_row(r, acked=5),
        "30,000 acked by phase (history/load-*.json: phases), 30,005 in the rows (history/timeline-*.jsonl)",
    ),
    (
        "timeline-account",
        "fewer scheduled in the rows",
        lambda r: with_row(r, scheduled=-5),
        "30,000 scheduled by phase (history/load-*.json: phases), 29,995 in the rows (history/timeline-*.jsonl)",
    ),
    (
        "histogram-account",
        "twice as many end-to-end latencies as events",
        lambda r: with_latencies(r, "e2e", 2 * EVENTS),
        "60,000 events ended (history/latency-*.npz), 30,000 can have been written (history/load-*.json: phases)",
    ),
    (
        "histogram-account",
        "fewer ack latencies than acks",
        lambda r: with_latencies(r, "ack", EVENTS - 1),
        "30,000 acked (history/load-*.json: phases), 29,999 ack latencies (history/latency-*.npz)",
    ),
    (
        "histogram-account",
        "a lateness that is nobody's",
        lambda r: with_latencies(r, "late", EVENTS + 1),
        "30,001 events with a lateness (history/latency-*.npz), 30,000 sent of 30,000 scheduled",
    ),
    (
        "outcome-account",
        "latencies without outcomes",
        lambda r: with_latencies(r, "e2e", EVENTS - 10),
        "30,000 outcomes in the rows (history/timeline-*.jsonl), 29,990 end-to-end latencies (history/latency-*.npz)",
    ),
    (
        "outcome-account",
        "more ended than have an outcome",
        lambda r: with_receipts(r, EVENTS - 10),
        "30,000 events ended (history/latency-*.npz), 29,990 have an outcome (history/readback.json: receipts)",
    ),
    (
        "outcome-account",
        "a second that was slower than every event",
        lambda r: replace(r, timeline=tuple(replace(row, e2e_p99_ms=700.0) for row in r.timeline)),
        "a second with a P99 of 700.0 ms (history/timeline-*.jsonl), but none slower than",
    ),
    (
        "end-account",
        "ends moved that were not too early",
        lambda r: with_counts(r, moved=5),
        "5 ends moved (history/load-*.json: phases), 0 too early (history/readback.json: receipts)",
    ),
    (
        "end-account",
        "ends too early that were not moved",
        lambda r: with_receipt(r, ended_early=7),
        "0 ends moved (history/load-*.json: phases), 7 too early (history/readback.json: receipts)",
    ),
    (
        "position-account",
        "more records by partition than by stream",
        lambda r: with_partition(r, read=EVENTS + 1, high=EVENTS + 1, position=EVENTS + 1),
        "33,001 records read by partition, 33,000 by stream (history/readback.json)",
    ),
    (
        "position-account",
        "offsets below the low watermark",
        lambda r: with_partition(r, low=10),
        "30,000 records at 30,000 offsets, 0 to 29999, between 10 and 30000",
    ),
    (
        "position-account",
        "fewer records than offsets, and no gap between them",
        lambda r: with_partition(r, high=EVENTS + 50, position=EVENTS + 50),
        "30,000 records read of 30,050 between 0 and 30050, and no gap between two of them",
    ),
]


def of(record: Record, name: str) -> Finding:
    return finding_of(record, name)


@pytest.mark.parametrize(("name", "what", "change", "detail"), CHANGED, ids=[f"{one[0]}: {one[1]}" for one in CHANGED])
def test_a_changed_copy_is_named_with_both_sides(
    name: str, what: str, change: Callable[[Record], Record], detail: str
) -> None:
    sound = under(SOUND, fault("broker-kill", at=1, until=2)) if name == "fault-account" else SOUND
    assert of(sound, name).verdict is PASS, what
    finding = of(change(sound), name)
    assert finding.verdict is UNKNOWN
    assert any(detail in one.detail for one in finding.examples), finding.examples


def test_what_rests_on_a_changed_copy_is_unknown() -> None:
    """A histogram with twice as many latencies as events: half of them may hide the slow ones."""
    changed = with_latencies(SOUND, "e2e", 2 * EVENTS)
    judgement = judged(changed, "LAT-COMBAT", "DUR-ACKED", "THR-COMBAT")
    verdicts = {claim.id: claim.verdict for claim in judgement.claims}
    assert verdicts["LAT-COMBAT"] is UNKNOWN
    assert "the record does not add up" in judgement.claims[0].evidence
    assert judgement.verdict is UNKNOWN
    assert {one.verdict for one in judged(SOUND, "LAT-COMBAT").claims} == {PASS}


def test_what_was_acked_beyond_the_end_of_the_log_is_broken() -> None:
    """Brokers that have less than they acknowledged have cut their logs back: nobody else can have done that."""
    cut = with_partition(history_of(ack(0), ack(1), read(0)), high=1, position=1, gaps=0)
    finding = of(cut, "position-account")
    assert finding.verdict is FAIL
    assert "acked up to offset 1 (history/load-w0.json: streams)" in finding.summary


def test_an_event_of_unknown_outcome_may_have_ended() -> None:
    history = history_of(ack(0), info(1), read(0), read(1))
    assert of(history, "histogram-account").verdict is PASS


# Silences -------------------------------------------------------------------------------------------------------


def test_seconds_without_an_ack_are_a_silence_in_the_producers_account_too() -> None:
    """0 events per second and no silence cannot both be true."""
    rows = tuple(
        replace(row, acked=0 if 10 < row.t - START_S <= 15 and row.domain == "combat" else row.acked)
        for row in SOUND.timeline
    )
    finding = of(replace(SOUND, timeline=rows), "silence-account")
    assert finding.verdict is UNKNOWN
    assert "5 s without an ack from 10 s into the load on (history/timeline-*.jsonl)" in finding.summary
    (load,) = SOUND.loads
    honest = replace(load, max_gap_ms={"steady": {"combat": 5_400.0, "social": 100.0}})
    assert of(replace(SOUND, timeline=rows, loads=(honest,)), "silence-account").verdict is PASS


def test_seconds_without_an_outcome_while_acked_events_wait_are_a_silence_in_the_loads_account_too() -> None:
    """An event core that answered nothing for ten seconds, and all of it afterwards."""
    rows = tuple(
        replace(row, processed={15.0: 10 * (row.processed or 0)}.get(row.t - START_S, 0))
        if 5 < row.t - START_S <= 15 and row.domain == "combat"
        else row
        for row in SOUND.timeline
    )
    finding = of(replace(SOUND, timeline=rows), "silence-account")
    assert finding.verdict is UNKNOWN
    assert "8 s without an outcome from 7 s into the load on (history/timeline-*.jsonl)" in finding.summary
    assert "no silence longer than 0.0 s (history/load-*.json: outcome_gaps)" in finding.summary
    (load,) = SOUND.loads
    begin_us, end_us = (round((START_S + at) * 1e6) for at in (5, 15))
    for to_us in (end_us, None):
        honest = replace(load, outcome_gaps=(OutcomeGap(domain="combat", from_us=begin_us, to_us=to_us),))
        assert of(replace(SOUND, timeline=rows, loads=(honest,)), "silence-account").verdict is PASS


# The backlog's end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            lambda r: with_load(r, last_ended_us={r.phases[0].name: r.phases[0].end_us + 5_000_000}),
            "(history/load-*.json: last_ended_us), drained at",
        ),
        (lambda r: with_drain(r, phase_end_us=1), "no phase ended at 1 (history/phases.json)"),
        (lambda r: with_drain(r, drain_s=0.2), "drained 1.0 s after the phase by its times, 0.2 s by drain_s"),
    ],
    ids=["an event that ended later", "a backlog of no phase", "other seconds than between its times"],
)
def test_a_backlog_is_gone_when_its_last_event_has_ended(change: Callable[[Record], Record], detail: str) -> None:
    surge = timed_history(kind="surge", eps={"combat": 1_000.0})
    assert of(surge, "drain-account").verdict is PASS
    silent = of(with_load(surge, last_ended_us=None), "drain-account")
    assert silent.verdict is UNKNOWN
    assert "last_ended_us was not recorded in history/load-w0.json" in silent.summary
    ended = with_load(surge, last_ended_us={surge.phases[0].name: surge.phases[0].end_us + 1_000_000})
    assert of(ended, "drain-account").verdict is PASS
    finding = of(change(surge), "drain-account")
    assert finding.verdict is UNKNOWN
    assert detail in finding.summary


# Elections ------------------------------------------------------------------------------------------------------


def elected(at_s: float, epoch: int = 1) -> Record:
    later = LeaderSample(t=START_S + at_s, topic="game.combat.events", partition=0, leader=2, epoch=epoch)
    return replace(SOUND, leaders=(*SOUND.leaders, later))


def test_a_new_leader_without_a_fault_is_not_explained() -> None:
    finding = of(elected(7), "unexplained-election")
    assert finding.verdict is UNKNOWN
    assert "a new leader at 7 s into the load (epoch 1, metrics/leaders.csv), and no fault" in finding.summary
    assert of(elected(7, epoch=0), "unexplained-election").verdict is PASS


@pytest.mark.parametrize(("at_s", "verdict"), [(302, PASS), (400, UNKNOWN)])
def test_leadership_returns_some_minutes_after_a_fault(at_s: float, verdict: Verdict) -> None:
    """Brokers look for leaders that are not the preferred ones every five minutes."""
    record = replace(elected(at_s), faults=(fault("broker-kill", at=1, until=2),))
    assert of(record, "unexplained-election").verdict is verdict


def test_an_epoch_in_the_log_that_no_broker_had_is_not_explained() -> None:
    assert SOUND.readback is not None
    newer = (EpochRead(topic="game.combat.events", partition=0, highest=4, decreases=0),)
    record = replace(SOUND, readback=replace(SOUND.readback, epochs=(*newer, *SOUND.readback.epochs[1:])))
    finding = of(record, "unexplained-election")
    assert finding.verdict is UNKNOWN
    assert "records of leader epoch 4 (history/readback.json: epochs), newest known 0" in finding.summary


# Lag against latency --------------------------------------------------------------------------------------------


def waiting(lag: float, *, seconds: int = 60, e2e_ms: float = 5.0, every_s: float = 2.0) -> Record:
    """2,000 combat events a second, of which so many wait in the brokers whenever somebody looks."""
    record = timed_history(eps={"combat": 2_000.0}, seconds=seconds, e2e_ms=e2e_ms)
    times = [START_S + every_s * number for number in range(round(seconds / every_s))]
    return replace(record, lag=tuple(LagSample(t=t, domain="combat", lag=lag) for t in times))


def test_events_that_wait_for_a_second_did_not_take_five_milliseconds() -> None:
    """A lying event core: it waits 250 ms before every batch, and writes "5 ms after it was due" into its receipts."""
    finding = of(waiting(2_500), "implausible-latency")
    assert finding.verdict is FAIL
    assert "events waited 1.25 s by the mean of 30 samples of consumer lag (metrics/lag.csv)" in finding.summary
    assert "but took 0.005 s by their outcomes (history/latency-*.npz)" in finding.summary


@pytest.mark.parametrize(
    ("lag", "e2e_ms", "verdict"),
    [
        (500, 20.0, PASS),  # a healthy run: a quarter of a second until it is committed
        (1_600, 20.0, PASS),  # commit interval and 250 ms
        (1_800, 20.0, FAIL),
        (2_500, 600.0, PASS),  # slow, and honest about it
    ],
)
def test_lag_may_exceed_latency_by_the_time_until_it_is_committed(lag: int, e2e_ms: float, verdict: Verdict) -> None:
    assert of(waiting(lag, e2e_ms=e2e_ms), "implausible-latency").verdict is verdict


def test_a_few_samples_say_nothing() -> None:
    (one,) = lag_against_latency(waiting(9_000, every_s=5.0)).values()
    assert (one.samples, one.contradicts) == (12, False)
    assert of(waiting(9_000, seconds=20), "implausible-latency").verdict is Verdict.NOT_APPLICABLE


def test_a_consumer_whose_commits_are_not_known_is_not_judged_by_its_lag() -> None:
    record = waiting(9_000)
    assert record.due is not None
    unknown = replace(record, due=replace(record.due, committed_within_s={}))
    assert of(unknown, "implausible-latency").verdict is Verdict.NOT_APPLICABLE


# The comparisons themselves -------------------------------------------------------------------------------------


def test_every_comparison_has_a_copy_that_is_changed_here() -> None:
    elsewhere = {"silence-account", "unexplained-election", "implausible-latency", "players-account", "drain-account"}
    assert {name for name, *_ in CHANGED} | elsewhere == set(RECONCILERS)


def test_every_comparison_says_what_holds_where_nothing_differs() -> None:
    """The first line of its docstring is what a pass says."""
    assert [name for name, one in RECONCILERS.items() if not (one.compare.__doc__ or "").strip()] == []


def test_a_comparison_that_lacks_its_evidence_says_so() -> None:
    finding = of(with_load(SOUND, send_errors=None), "error-account")
    assert finding.verdict is UNKNOWN
    assert finding.summary == "send_errors was not recorded in history/load-w0.json"


def test_a_comparison_that_crashes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Record) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(RECONCILERS, "phase-account", replace(RECONCILERS["phase-account"], compare=crash))
    assert "the checker itself failed" in of(SOUND, "phase-account").summary


def test_a_phase_without_events_adds_up() -> None:
    empty = phase_of("pause", kind="recovery", from_s=30, seconds=5)
    config = [*SOUND.run.config["phases"], {"name": "pause", "kind": "recovery", "duration_s": 5.0}]
    record = replace(
        SOUND,
        phases=(*SOUND.phases, empty),
        run=replace(SOUND.run, config={**SOUND.run.config, "phases": config}),
    )
    assert of(record, "histogram-account").verdict is PASS
