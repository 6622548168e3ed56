"""Sound records under faults: a minute of combat events, or more, in which things break and come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from histories import START_S, described, timed_history

from necp_validate.claims.metrics.faults import LEADERLESS, broker_of
from necp_validate.record import (
    CoreStop,
    ExperimentOutcome,
    FaultRecord,
    GroupSample,
    IntervalSet,
    LeaderSample,
    PartitionGap,
    Record,
)
from necp_validate.record.model import OutcomeGap

S = 1_000_000
START_US = START_S * S
COMBAT = "game.combat.events"
COMBAT_GROUP = "event-core-combat"


def at_us(seconds: float) -> int:
    """So many seconds into the load."""
    return START_US + round(seconds * S)


def fault(kind: str = "broker-kill", *, at: float = 10, until: float | None = 20, **changes: Any) -> FaultRecord:
    """A fault that took effect at once; by default, its experiment is named after its kind."""
    record = FaultRecord(
        id=f"{kind}-1",
        experiment=kind,
        kind=kind,
        target="broker-1",
        begin_us=at_us(at),
        effective_us=at_us(at),
        evidence="pid 1 gone",
        end_us=None if until is None else at_us(until),
        needs="",
        claims=(),
    )
    return replace(record, **changes)


def gap(begin: float, end: float | None, *, partition: int = 0) -> PartitionGap:
    """A silence of a partition's acks."""
    return PartitionGap(
        domain="combat", partition=partition, from_us=at_us(begin), to_us=None if end is None else at_us(end)
    )


def silence(begin: float, end: float | None, *, domain: str = "combat") -> OutcomeGap:
    """A silence of the event core's outcomes."""
    return OutcomeGap(domain=domain, from_us=at_us(begin), to_us=None if end is None else at_us(end))


def outcome(experiment: str = "broker-kill", **changes: Any) -> ExperimentOutcome:
    """An experiment that went as it should."""
    sound = ExperimentOutcome(
        experiment=experiment,
        title=f"The experiment {experiment}",
        status="completed",
        steady_before=True,
        steady_after=True,
        failed=(),
        missed=(),
        seconds=60.0,
        faults=(),
    )
    return replace(sound, **changes)


def outcomes_of(faults: Iterable[FaultRecord]) -> tuple[ExperimentOutcome, ...]:
    """A row for each experiment that injected one of the faults, naming those."""
    by_experiment: dict[str, list[str]] = {}
    for one in faults:
        by_experiment.setdefault(one.experiment, []).append(one.id)
    return tuple(outcome(name, faults=tuple(ids)) for name, ids in by_experiment.items())


def group_of(*changes: tuple[float, str, int], name: str = COMBAT_GROUP, seconds: int = 60) -> tuple[GroupSample, ...]:
    """Four samples a second of a consumer group; each change (when, state, members) holds until the next."""
    return tuple(
        GroupSample(t=START_S + at, group=name, state=state, members=members)
        for at in (quarter / 4 for quarter in range(4 * seconds + 1))
        for _, state, members in [[change for change in changes if change[0] <= at][-1]]
    )


def faulted(
    *faults: FaultRecord,
    gaps: tuple[PartitionGap, ...] | None = (),
    outcome_gaps: tuple[OutcomeGap, ...] | None = (),
    seconds: int = 60,
    ended: int | None = None,
    acked_eps: float = 1_000.0,
    economy_eps: float = 0.0,
    **changes: Any,
) -> Record:
    """Even seconds of combat events, in one phase with faults; every experiment went as it should.

    Of ``ended`` events the end was seen, of all that were acked by default; of the others, the outcome is unknown.
    """
    more = {"economy": economy_eps} if economy_eps else {}
    history = timed_history(
        kind="fault",
        seconds=seconds,
        eps={"combat": 1_000.0, **more},
        acked_eps={"combat": acked_eps, **more},
        samples=ended,
    )
    (load,) = history.loads
    totals: dict[str, dict[str, int]] = {domain: {} for domain in history.domains}
    config = {**history.run.config, "experiments": list(dict.fromkeys(one.experiment for one in faults))}
    found: dict[str, Any] = {
        "run": replace(history.run, config=config),
        "faults": faults,
        "experiments": outcomes_of(faults),
        "loads": (replace(load, gaps=gaps, outcome_gaps=outcome_gaps, expected_totals=totals),),
        "groups": tuple(
            sample
            for domain in history.domains
            for sample in group_of((0, "STABLE", 2), name=f"event-core-{domain}", seconds=seconds)
        ),
    }
    return failed_over(described(replace(history, **{**found, **changes})))


def failed_over(history: Record) -> Record:
    """The same run, in which what a broker led that was taken away is led by another one meanwhile."""
    samples = list(history.leaders)
    epochs: dict[tuple[str, int], int] = {}
    for one in sorted(
        (fault for fault in history.faults if fault.kind in LEADERLESS), key=lambda fault: fault.begin_us
    ):
        for first in history.leaders:
            place = (first.topic, first.partition)
            for at_us, leader in ((one.begin_us, 2), (one.end_us, 1)):
                if at_us is not None and first.epoch is not None and broker_of(one) == first.leader:
                    epochs[place] = epochs.get(place, first.epoch) + 1
                    samples.append(replace(first, t=at_us / S + 0.5, leader=leader, epoch=epochs[place]))
    return replace(history, leaders=tuple(sorted(samples, key=lambda sample: sample.t)))


def with_config(history: Record, **config: Any) -> Record:
    """The same run by another configuration."""
    return replace(history, run=replace(history.run, config={**history.run.config, **config}))


REBALANCED = group_of((0, "STABLE", 2), (16, "PREPARING_REBALANCING", 1), (17.5, "STABLE", 1), (20.5, "STABLE", 2))
"""Members of a group that lost one at 10 s, noticed after 6 s, settled after 7.5 s, and got it back at 20 s."""

CONSUMERS_ADDED = fault("scale-consumers", target=f"{COMBAT_GROUP} to 12", until=40)
PARTITIONS_ADDED = fault("scale-partitions", target=f"{COMBAT} to 48", until=40)


def stopped(*faults: FaultRecord, **changes: Any) -> Record:
    """An event core that is asked to end under load, and does so."""
    stop = CoreStop(fault="core-stop-1", instance="core-0", clean=True, seconds=0.8, lag_after=900)
    asked = fault("core-stop", target="core-0", at=10, until=16, evidence="pid 7 gone")
    groups = group_of((0, "STABLE", 1), (11, "EMPTY", 0), (17, "STABLE", 1))
    return faulted(asked, *faults, core_stops=(replace(stop, **changes),), groups=groups)


def consumers_scaled(members: int = 12) -> Record:
    """The combat group grows from three members under load."""
    return faulted(CONSUMERS_ADDED, groups=group_of((0, "STABLE", 3), (12, "STABLE", members)))


def partitions_scaled(partitions: int = 48) -> Record:
    """The combat topic grows from 24 partitions under load; half of the events lie in one of the new ones."""
    history = faulted(PARTITIONS_ADDED)
    assert history.readback is not None
    assert history.due is not None
    (part,), (receipts,), (load,) = history.readback.partitions, history.readback.receipts, history.loads
    events = part.read
    streams = tuple(replace(one, max_acked_offset=events - events // 2 - 1) for one in load.streams)
    first, rest = IntervalSet([(0, events // 2 - 1)]), IntervalSet([(0, events - events // 2 - 1)])
    parts = [
        replace(part, partition=number, high=0, read=0, position=0, offsets=IntervalSet())
        for number in range(partitions)
    ]
    for number, offsets in ((0, first), (partitions - 1, rest)):
        count = offsets.count
        parts[number] = replace(part, partition=number, high=count, read=count, position=count, offsets=offsets)
    readback = replace(
        history.readback,
        partitions=tuple(parts),
        receipts=(
            replace(receipts, accounted=first, processed=first.count),
            replace(receipts, partition=partitions - 1, accounted=rest, processed=rest.count),
        ),
        streams={name: replace(one, partitions=(0, partitions - 1)) for name, one in history.readback.streams.items()},
        epochs=tuple(
            replace(one, partition=number) for one in history.readback.epochs or () for number in (0, partitions - 1)
        ),
    )
    topics = tuple(replace(one, partitions=24 if one.topic == COMBAT else one.partitions) for one in history.due.topics)
    leaders = tuple(
        LeaderSample(t=START_S + (0 if number < 24 else 11), topic=COMBAT, partition=number, leader=1, epoch=0)
        for number in range(partitions)
    )
    return described(
        replace(
            history,
            loads=(replace(load, streams=streams),),
            readback=readback,
            due=replace(history.due, topics=topics),
            leaders=leaders,
        )
    )
