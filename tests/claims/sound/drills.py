"""Sound records of runs in which limits, breakers and secrets are provoked: floods, poison, passwords, certificates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from histories import described, letters_of, load_record, timed_history, topic_due

from necp_validate.record import (
    BreakerSample,
    CertificateSwap,
    EpochRead,
    FaultRecord,
    FloodRecord,
    FloodSecond,
    IntervalSet,
    LeaderSample,
    OutcomeGap,
    PartitionRead,
    PasswordChange,
    ReceiptsRecord,
    Record,
    StreamRead,
    StreamRecord,
)

from .faults import START_S, S, at_us, failed_over, fault, faulted, outcomes_of, with_config

SOCIAL, COMBAT = "game.social.events", "game.combat.events"
DRILL_STREAM = "f100d000"


def under(history: Record, *faults: FaultRecord) -> Record:
    """The same run with faults, whose experiments went as they should."""
    names = list(dict.fromkeys(one.experiment for one in faults))
    broken = with_config(replace(history, faults=faults, experiments=outcomes_of(faults)), experiments=names)
    return failed_over(described(broken))


def with_drill(history: Record, *, topic: str, events: int, worker: str, poison: bool = False) -> Record:
    """The same run, in which a drill has sent events of its own; they lie in a partition that nobody else uses."""
    readback, due = history.readback, history.due
    assert readback is not None
    assert due is not None
    domain = topic.split(".")[1]
    number = 1 + max((part.partition for part in readback.partitions if part.topic == topic), default=-1)
    numbers = IntervalSet([(0, events - 1)])
    stream = StreamRecord(
        stream=DRILL_STREAM,
        domain=domain,
        topic=topic,
        key=f"{worker}-0",
        sent=events,
        acked=numbers,
        failed=IntervalSet(),
        unknown=IntervalSet(),
        digest=0,
        max_acked_offset=events - 1,
        unplaced=0,
        planted={"poison": numbers} if poison else {},
    )
    planted = {domain: {"poison": events}} if poison else {}
    part = PartitionRead(
        topic=topic,
        partition=number,
        low=0,
        high=events,
        read=events,
        position=events,
        gaps=0,
        offsets=numbers,
        cheats=IntervalSet(),
        out_of_order_offsets=0,
    )
    receipts = ReceiptsRecord(
        topic=topic,
        partition=number,
        accounted=numbers,
        processed=0 if poison else events,
        rejected=0,
        dead_lettered=events if poison else 0,
        duplicate_outcomes=0,
        jumps=(),
        jumps_left_out=0,
        late=IntervalSet(),
        ended_early=0,
        rejected_at=IntervalSet(),
    )
    read = StreamRead(read=numbers, duplicates=0, out_of_order=0, digest=0, partitions=(number,))
    letters = {f"{topic}.dlt": events if poison else 0}
    others = tuple(one for one in due.topics if one.topic != topic)
    leader = LeaderSample(t=START_S, topic=topic, partition=number, leader=1, epoch=0)
    return described(
        replace(
            history,
            loads=tuple(replace(load, expected_totals={one: {} for one in history.domains}) for load in history.loads),
            drill_loads=(load_record(worker=worker, streams=(stream,), planted=planted, expected_totals={domain: {}}),),
            readback=replace(
                readback,
                events_read=readback.events_read + events,
                partitions=(*readback.partitions, part),
                streams={**readback.streams, DRILL_STREAM: read},
                receipts=(*readback.receipts, receipts),
                dead_letters={**(readback.dead_letters or {}), **letters},
                letters=(
                    *(readback.letters or ()),
                    letters_of(f"{topic}.dlt", {DRILL_STREAM: numbers} if poison else {}),
                ),
                epochs=(*(readback.epochs or ()), EpochRead(topic=topic, partition=number, highest=0, decreases=0)),
            ),
            due=replace(due, topics=(*others, topic_due(topic, "events", number + 1))),
            leaders=(*history.leaders, leader),
        )
    )


# Limits -----------------------------------------------------------------------------------------------------------

FLOOD = FloodRecord(
    topic=COMBAT,
    rate_eps=20_000,
    burst=10_000,
    begin_us=at_us(1),
    end_us=at_us(16),
    offering_s=14.95,
    elapsed_s=15.0,
    due=448_500,
    passable=308_900,
    unanswered=0,
    seconds=tuple(FloodSecond(offered=22_000, accepted=20_600, refused=1_400) for _ in range(15)),
    waits_s=tuple(tuple(w * (1 - n / 40) for w in (0.1, 0.2, 0.4, 0.8, 1.6)) for n in range(10)),
    streams=(DRILL_STREAM,),
    hits=21_000,
)
FLOODED = fault("publisher-flood", at=1, until=30, target=f"{COMBAT}, 1.5 times", claims=("SEC-RATE",))


def flooded(passed: int = 309_000, flood: FloodRecord = FLOOD, **changes: Any) -> Record:
    """Half a minute of social events, beside a flood of which so many events lie in the log."""
    history = under(timed_history(seconds=30, eps={"social": 300.0}, **changes), FLOODED)
    history = with_drill(history, topic=flood.topic, events=passed, worker="flood-0")
    return replace(history, floods=(flood,))


# Breakers ---------------------------------------------------------------------------------------------------------

POISONED = fault("poison-breaker", at=1, until=79, target="social events of one producer", claims=("SEC-BREAKER",))


def breaker(at_s: float, state: str, openings: int = 0, trials: int = 0, **changes: Any) -> BreakerSample:
    """What an instance said of the breaker of social events."""
    one = BreakerSample(
        t_us=at_us(at_s),
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


CHANGES = (
    breaker(1, "closed"),
    breaker(9.9, "closed"),
    breaker(10, "open", 1),
    breaker(69.9, "open", 1),
    breaker(70.1, "half-open", 1, 1),
    breaker(70.2, "closed", 1, 1),
    breaker(79, "closed", 1, 1),
)
"""Closed, open at 10 s, half-open at 70.1 s, closed again at once."""


def watched(*changes: BreakerSample, every_s: float = 0.5) -> tuple[BreakerSample, ...]:
    """Between two changes, a breaker is what it was."""
    found = []
    for one, after in zip(changes, (*changes[1:], changes[-1]), strict=True):
        steps = max(int((after.t_us - one.t_us) / (every_s * S)), 0)
        found += [replace(one, t_us=round(one.t_us + step * every_s * S)) for step in range(steps + 1)]
    return tuple(found)


def poisoned(*samples: BreakerSample, poison: int = 12_000, open_s: tuple[int, int] = (10, 70)) -> Record:
    """Eighty seconds of two domains; social events are not handled while their breaker is open, but afterwards."""
    history = timed_history(seconds=80, eps={"social": 100.0, "combat": 100.0})
    first, last = open_s
    rows = tuple(
        row
        if row.domain != "social" or not first < row.t - START_S <= last + 1
        else replace(row, processed=100 * (last + 1 - first) if row.t - START_S == last + 1 else 0)
        for row in history.timeline
    )
    silence = OutcomeGap(domain="social", from_us=at_us(first), to_us=at_us(last + 1))
    loads = tuple(replace(load, outcome_gaps=(silence,)) for load in history.loads)
    others = watched(*(replace(one, domain="combat") for one in (CHANGES[0], breaker(79, "closed"))))
    history = replace(history, loads=loads, timeline=rows, breakers=(*(samples or watched(*CHANGES)), *others))
    history = under(history, POISONED)
    return with_drill(history, topic=SOCIAL, events=poison, worker="poison-0", poison=True)


# Secrets ----------------------------------------------------------------------------------------------------------

CHANGED_US = at_us(10)
DAY_US = 86_400 * S
ROTATED = fault("password-rotation", claims=("SEC-SECRETS",))
RELOADED = fault("certificate-reload", claims=("SEC-CERTS",))


def change(**changes: Any) -> PasswordChange:
    """A password that was changed without a trace."""
    sound = PasswordChange(
        fault=ROTATED.id,
        principal="combat-service",
        domains=("combat",),
        asked_us=CHANGED_US,
        refused_us=CHANGED_US + 50_000,
        accepted_us=CHANGED_US + 60_000,
        taken_us={"load w0": CHANGED_US + 120_000},
        session_ms=5_000,
        watched_us=CHANGED_US + 8 * S,
        tried_later=3,
        let_in_later=0,
    )
    return replace(sound, **changes)


def swap(**changes: Any) -> CertificateSwap:
    """A certificate that was swapped in a broker that went on."""
    sound = CertificateSwap(
        fault=RELOADED.id,
        how="reload",
        broker=1,
        listener="external",
        before="a",
        issued="b",
        served="b",
        valid_until_us=CHANGED_US + 90 * DAY_US,
        pid_before=7,
        pid_after=7,
        asked_us=CHANGED_US,
        served_us=CHANGED_US + S,
    )
    return replace(sound, **changes)


def password_changed(*changes: PasswordChange, **around: Any) -> Record:
    """A minute of combat events in which a password changes; the changes that are given, or a sound one."""
    return faulted(ROTATED, password_changes=changes or (change(),), **around)


def certificate_swapped(*swaps: CertificateSwap, **around: Any) -> Record:
    """A minute of combat events in which certificates are swapped; those given, or a sound one."""
    return faulted(RELOADED, certificate_swaps=swaps or (swap(),), **around)
