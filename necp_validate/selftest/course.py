"""The faults of the simulated run, and what the brokers say of groups and leaders under them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from necp_validate.events.topics import Domain
from necp_validate.history import EpochRead, ExperimentOutcome, FaultRecord, GroupSample, LeaderSample

START_US = 1_790_000_000_000_000
_S = 1_000_000
STALL = (START_US + 22_100_000, START_US + 23_600_000)
"""While partition 0 of the combat topic has no leader, since its broker was killed."""
BREAK = (START_US + 6_000_000, START_US + 12_000_000)
"""While the circuit breaker of the system events is open."""

_END_S = 42


def _fault(kind: str, target: str, evidence: str, begin_s: float, end_s: float) -> FaultRecord:
    begin_us = START_US + round(begin_s * _S)
    return FaultRecord(
        id=f"{kind}-1",
        experiment=kind,
        kind=kind,
        target=target,
        begin_us=begin_us,
        effective_us=begin_us + 100_000,
        evidence=evidence,
        end_us=START_US + round(end_s * _S),
    )


KILL = _fault("broker-kill", "broker-1 (leader of game.combat.events-0)", "pid 123 gone", 22.0, 25.0)
CORE_KILL = _fault("core-kill", "core-1", "pid 456 gone", 25.4, 28.5)
DRILL = replace(
    _fault("consumers-paused", "every group", "2 instances say so; none handled for 2 s", 29.0, 29.8),
    claims=("OPS-ROLLBACK",),
)
CUT = _fault("cut", "broker-2 from the other brokers", "connect broker-2 -> broker-3 times out", 28.6, 29.8)

POISON = replace(
    _fault("poison-breaker", "system events of one producer", "the breaker of core-0 opened at 53.0%", 5.0, 18.0),
    claims=("SEC-BREAKER",),
)
FLOOD = replace(
    _fault("publisher-flood", "game.social.events, 1.5 times 8 events/s", "33 events refused", 0.0, 30.0),
    claims=("SEC-RATE",),
)


def _outcomes() -> list[ExperimentOutcome]:
    return [
        ExperimentOutcome(
            experiment=fault.experiment,
            title=f"{fault.kind} under load",
            status="completed",
            steady_before=True,
            steady_after=True,
        )
        for fault in (KILL, CORE_KILL, CUT, POISON, FLOOD, DRILL)
    ]


def group_samples(stable_s: float = 27.2) -> list[GroupSample]:
    """Both members, then one that notices the other's end, then two again.

    Args:
        stable_s: when the group is stable again.
    """
    samples = []
    for quarter in range(-4, _END_S * 4):
        at_s = quarter / 4
        state, members = "STABLE", 2
        if 26.4 <= at_s < stable_s:
            state, members = "PREPARING_REBALANCING", 1
        elif stable_s <= at_s < max(28.6, stable_s + 3):
            members = 1
        samples += [
            GroupSample(t=START_US / _S + at_s, group=domain.group, state=state, members=members) for domain in Domain
        ]
    return samples


def _leaders() -> list[LeaderSample]:
    topic = Domain.COMBAT.topic
    return [
        LeaderSample(t=START_US / _S + at_s, topic=topic, partition=partition, leader=leader, epoch=epoch)
        for at_s, partition, leader, epoch in ((0, 0, 1, 3), (0, 1, 2, 4), (23.5, 0, 2, 4))
    ]


def _epochs() -> list[EpochRead]:
    return [EpochRead(topic=Domain.COMBAT.topic, partition=partition, highest=4) for partition in (0, 1)]


@dataclass(slots=True)
class Course:
    """What is done to the run, and what it does to the cluster."""

    faults: list[FaultRecord] = field(default_factory=lambda: [KILL, CORE_KILL, CUT, DRILL, POISON, FLOOD])
    outcomes: list[ExperimentOutcome] = field(default_factory=_outcomes)
    groups: list[GroupSample] = field(default_factory=group_samples)
    leaders: list[LeaderSample] = field(default_factory=_leaders)
    epochs: list[EpochRead] = field(default_factory=_epochs)
