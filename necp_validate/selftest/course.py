"""The faults of the simulated run, and what the brokers say of groups and leaders under them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from necp_validate.events.topics import Domain
from necp_validate.record import (
    CertificateSwap,
    Drills,
    EpochRead,
    ExperimentOutcome,
    FaultRecord,
    GroupSample,
    LeaderSample,
    PasswordChange,
)

START_US = 1_790_000_000_000_000
_S = 1_000_000
STALL = (START_US + 22_100_000, START_US + 23_600_000)
"""While partition 0 of the combat topic has no leader, since its broker was killed."""
BREAK = (START_US + 6_000_000, START_US + 12_000_000)
"""While the circuit breaker of the system events is open."""

_END_S = 42


def _fault(kind: str, target: str, evidence: str, begin_s: float, end_s: float, *claims: str) -> FaultRecord:
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
        claims=claims,
    )


KILL = _fault("broker-kill", "broker-1 (leader of game.combat.events-0)", "pid 123 gone", 22.0, 25.0)
CORE_KILL = _fault("core-kill", "core-1", "pid 456 gone", 25.4, 28.5)
DRILL = _fault(
    "consumers-paused", "every group", "2 instances say so; none handled for 2 s", 29.0, 29.8, "OPS-ROLLBACK"
)
CUT = _fault("cut", "broker-2 from the other brokers", "connect broker-2 -> broker-3 times out", 28.6, 29.8)

POISON = _fault(
    "poison-breaker", "system events of one producer", "the breaker of core-0 opened at 53.0%", 5.0, 18.0, "SEC-BREAKER"
)
FLOOD = _fault(
    "publisher-flood", "game.social.events, 1.5 times 8 events/s", "33 events refused", 0.0, 30.0, "SEC-RATE"
)


ROTATION = _fault(
    "password-rotation", "combat-service", "every broker refuses the old password", 29.82, 29.95, "SEC-SECRETS"
)
RELOAD = _fault(
    "certificate-reload", "every broker", "6 listeners of 3 brokers serve new certificates", 29.82, 29.95, "SEC-CERTS"
)
RENEWAL = _fault(
    "certificate-expiring", "broker-2", "a certificate of 24 s was renewed by itself", 29.82, 29.95, "SEC-CERTS"
)
_VALID_US = 90 * 86_400 * _S


def _drills() -> Drills:
    """A password that its one client knew 60 ms later, and certificates of all brokers."""
    asked_us = ROTATION.begin_us
    change = PasswordChange(
        fault=ROTATION.id,
        principal="combat-service",
        domains=(str(Domain.COMBAT),),
        asked_us=asked_us,
        refused_us=asked_us + 40_000,
        accepted_us=asked_us + 40_000,
        taken_us={"load w0": asked_us + 60_000},
        session_ms=20,
        watched_us=asked_us + 100_000,
        tried_later=3,
    )
    swaps = [_swap(RELOAD, "reload", broker, listener) for broker in (1, 2, 3) for listener in ("internal", "external")]
    return Drills(passwords=(change,), certificates=(*swaps, _swap(RENEWAL, "renewal", 2, "external")))


def _swap(fault: FaultRecord, how: str, broker: int, listener: str) -> CertificateSwap:
    return CertificateSwap(
        fault=fault.id,
        how=how,
        broker=broker,
        listener=listener,
        before=f"a{broker}",
        issued=f"b{broker}",
        served=f"b{broker}",
        valid_until_us=fault.begin_us + _VALID_US,
        pid_before=100 + broker,
        pid_after=100 + broker,
        asked_us=fault.begin_us,
        served_us=fault.effective_us,
    )


ALERT_CAUSES = (
    "broker-kill",
    "plaintext-listener",
    "consumers-paused",
    "publisher-flood",
    "disk-usage",
    "failed-logins",
    "denied-requests",
    "certificate-ending",
)
CAUSED_S = 60.0
"""The causes of alerts are made when everything else is over: they explain nothing else."""


def alert_causes() -> list[FaultRecord]:
    """One cause for each alert, at the same time, for five seconds."""
    made = [_fault(kind, "the simulated run", "as simulated", CAUSED_S, CAUSED_S + 5) for kind in ALERT_CAUSES]
    return [replace(f, id=f"{f.kind}-for-alert", experiment="alerts", claims=_ALERTS) for f in made]


_ALERTS = ("OBS-ALERTS", "SEC-ALERTS", "MTTR")


def _outcomes() -> list[ExperimentOutcome]:
    return [
        ExperimentOutcome(
            experiment=fault.experiment,
            title=f"{fault.kind} under load",
            status="completed",
            steady_before=True,
            steady_after=True,
        )
        for fault in (KILL, CORE_KILL, CUT, POISON, FLOOD, ROTATION, RELOAD, RENEWAL, alert_causes()[0], DRILL)
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

    faults: list[FaultRecord] = field(
        default_factory=lambda: [
            *(KILL, CORE_KILL, CUT, DRILL, POISON, FLOOD, ROTATION, RELOAD, RENEWAL),
            *alert_causes(),
        ]
    )
    outcomes: list[ExperimentOutcome] = field(default_factory=_outcomes)
    groups: list[GroupSample] = field(default_factory=group_samples)
    leaders: list[LeaderSample] = field(default_factory=_leaders)
    epochs: list[EpochRead] = field(default_factory=_epochs)
    drills: Drills = field(default_factory=_drills)
