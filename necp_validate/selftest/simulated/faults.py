"""The faults of the simulated run, how their experiments ended, and the secrets that were changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from necp_validate.events.topics import Domain
from necp_validate.record import (
    CertificateSwap,
    CoreStop,
    EpochRead,
    ExperimentOutcome,
    FaultRecord,
    GroupSample,
    LeaderSample,
    PasswordChange,
)
from necp_validate.selftest.simulated import cluster
from necp_validate.selftest.simulated.scenario import EXPERIMENTS, at

STALL = (at(48.1), at(49.6))
"""While the partition of the first combat server has no leader, since its broker was killed."""
BREAK = (at(57), at(61))
"""While the circuit breaker of the system events is open."""
CAUSED_S = 51.2
"""When the causes of alerts are made."""
_ALERTS = ("OBS-ALERTS", "SEC-ALERTS", "MTTR")
_VALID_US = 90 * 86_400 * 1_000_000


def _fault(kind: str, target: str, evidence: str, begin_s: float, end_s: float, *claims: str) -> FaultRecord:
    return FaultRecord(
        id=f"{kind}-1",
        experiment=kind,
        kind=kind,
        target=target,
        begin_us=at(begin_s),
        effective_us=at(begin_s + 0.1),
        evidence=evidence,
        end_us=at(end_s),
        needs="",
        claims=claims,
    )


CONSUMERS = _fault("scale-consumers", "every group", "3 → 12 members in every group", 38.5, 46)
PARTITIONS = _fault("scale-partitions", "game.combat.events", "24 → 48 partitions", cluster.GROWN_S, 46)
FLOOD = _fault(
    "publisher-flood", "game.social.events, 1.5 times 20 events/s", "24 events refused", 5, 13, "SEC-RATE", *_ALERTS
)
ROTATION = _fault(
    "password-rotation", "combat-service", "every broker refuses the old password", 47.1, 47.3, "SEC-SECRETS"
)
RELOAD = _fault(
    "certificate-reload", "every broker", "6 listeners of 3 brokers serve new certificates", 47.1, 47.3, "SEC-CERTS"
)
RENEWAL = _fault(
    "certificate-expiring", "broker-2", "a certificate of 24 s was renewed by itself", 47.1, 47.3, "SEC-CERTS"
)
KILL = _fault("broker-kill", "broker-1 (leader of game.combat.events)", "pid 123 gone", 48, 51)
CORE_KILL = _fault("core-kill", "core-1", "pid 456 gone", 51.4, 54.5)
CUT = _fault("cut", "broker-2 from the other brokers", "connect broker-2 -> broker-3 times out", 54.6, 55.8)
DRILL = _fault("consumers-paused", "every group", "3 instances say so; none handled for 2 s", 55, 55.8, "OPS-ROLLBACK")
CORE_STOP = _fault("core-stop", "core-2", "pid 789 gone", 55, 55.8, "OPS-HEALTH")
POISON = _fault(
    "poison-breaker", "system events of one producer", "the breaker of core-0 opened at 53.0%", 56, 66.8, "SEC-BREAKER"
)
ALERT_CAUSES = (
    *("broker-kill", "plaintext-listener", "consumers-paused", "disk-usage"),
    *("failed-logins", "denied-requests", "certificate-ending"),
)
"""Kinds of fault that are made for the sake of an alert alone; the flood raises two more."""


def alert_causes() -> list[FaultRecord]:
    """One cause for each alert, at the same time, for five seconds."""
    made = [_fault(kind, "the simulated run", "as simulated", CAUSED_S, CAUSED_S + 5) for kind in ALERT_CAUSES]
    return [replace(f, id=f"{f.kind}-for-alert", experiment="alerts", claims=_ALERTS) for f in made]


def _faults() -> list[FaultRecord]:
    single = [CONSUMERS, PARTITIONS, FLOOD, ROTATION, RELOAD, RENEWAL, KILL, CORE_KILL, CUT, DRILL, CORE_STOP, POISON]
    return [*single, *alert_causes()]


def _outcomes(faults: Iterable[FaultRecord]) -> list[ExperimentOutcome]:
    by_experiment: dict[str, list[str]] = {name: [] for name in EXPERIMENTS}
    for fault in faults:
        by_experiment[fault.experiment].append(fault.id)
    return [
        ExperimentOutcome(
            experiment=name,
            title=f"{name} under load",
            status="completed",
            steady_before=True,
            steady_after=True,
            failed=(),
            missed=(),
            seconds=5.0,
            faults=tuple(ids),
        )
        for name, ids in by_experiment.items()
    ]


def _password_changes() -> list[PasswordChange]:
    """A password that its one client knew 60 ms later."""
    asked_us = ROTATION.begin_us
    return [
        PasswordChange(
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
            let_in_later=0,
        )
    ]


def _certificate_swaps() -> list[CertificateSwap]:
    """Certificates of all brokers."""
    swaps = [_swap(RELOAD, "reload", broker, name) for broker in cluster.BROKERS for name in cluster.LISTENERS]
    return [*swaps, *(_swap(RENEWAL, "renewal", 2, name) for name in cluster.LISTENERS)]


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


@dataclass(slots=True)
class Course:
    """What is done to the run, and what it does to the cluster; a defect changes it."""

    faults: list[FaultRecord] = field(default_factory=_faults)
    outcomes: list[ExperimentOutcome] = field(default_factory=lambda: _outcomes(_faults()))
    groups: list[GroupSample] = field(default_factory=cluster.group_samples)
    leaders: list[LeaderSample] = field(default_factory=cluster.leader_samples)
    epochs: list[EpochRead] = field(default_factory=list)
    password_changes: list[PasswordChange] = field(default_factory=_password_changes)
    certificate_swaps: list[CertificateSwap] = field(default_factory=_certificate_swaps)
    core_stops: list[CoreStop] = field(
        default_factory=lambda: [CoreStop(fault=CORE_STOP.id, instance="core-2", clean=True, seconds=0.7, lag_after=40)]
    )
