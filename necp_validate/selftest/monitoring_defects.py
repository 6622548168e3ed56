"""Defects of the monitoring: alerts that are missed, come without a cause or never go, metrics that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from necp_validate.core import Verdict
from necp_validate.record import FIRING, RESOLVED, AlertTransition
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.monitoring import at
from necp_validate.selftest.simulation import Simulation, Stage

_OBS, _SEC, _MTTR, _METRICS = "OBS-ALERTS", "SEC-ALERTS", "MTTR", "OBS-METRICS"
Seed = Callable[[Simulation], None]


def _under_another_name(name: str) -> Seed:
    """The rule has a wrong name; whoever waits for the right one waits for ever."""

    def seed(simulation: Simulation) -> None:
        monitored = simulation.monitored
        monitored.rules = [replace(one, name=f"{name}s") if one.name == name else one for one in monitored.rules]
        _silence(name)(simulation)

    return seed


def _silence(name: str) -> Seed:
    def seed(simulation: Simulation) -> None:
        before = simulation.monitored.alerts
        simulation.monitored.alerts = [one for one in before if one.name != name]
        assert simulation.monitored.alerts != before, name

    return seed


def _without_cause(name: str) -> Seed:
    def seed(simulation: Simulation) -> None:
        simulation.monitored.alerts += [
            AlertTransition(t_us=at(second), name=name, state=state) for second, state in ((5, FIRING), (9, RESOLVED))
        ]

    return seed


def _never_resolved(name: str) -> Seed:
    def seed(simulation: Simulation) -> None:
        before = simulation.monitored.alerts
        simulation.monitored.alerts = [one for one in before if (one.name, one.state) != (name, RESOLVED)]
        assert simulation.monitored.alerts != before, name

    return seed


def _slow_recovery(kind: str, name: str, seconds: float) -> Seed:
    """The fault lasts, and so does its alert."""

    def seed(simulation: Simulation) -> None:
        end_us = at(60 + seconds)
        course, monitored = simulation.course, simulation.monitored
        course.faults = [replace(one, end_us=end_us) if one.id == f"{kind}-for-alert" else one for one in course.faults]
        monitored.alerts = [
            replace(one, t_us=end_us + 3_000_000) if (one.name, one.state) == (name, RESOLVED) else one
            for one in monitored.alerts
        ]

    return seed


def _off_by_a_tenth(simulation: Simulation) -> None:
    simulation.monitored.scale = 0.9


def _no_prometheus(simulation: Simulation) -> None:
    simulation.monitored.needs = "needs prometheus: there is none"


MONITORING_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(name=f"monitoring: {name}", caught_by=caught_by, after=Stage.READ, seed=seed, claims=frozenset(claims))
        for name, caught_by, seed, claims in (
            ("alert rule with a wrong name", "alert-missed", _under_another_name("KafkaDiskUsageHigh"), {_OBS}),
            ("security alert that never fires", "alert-missed", _silence("KafkaCertificateExpiry"), {_SEC}),
            ("alert without a cause", "alert-without-cause", _without_cause("KafkaDiskUsageHigh"), {_OBS}),
            ("alert that never goes", "alert-without-cause", _never_resolved("KafkaCertificateExpiry"), {_SEC}),
            (
                "incident of twenty minutes",
                _MTTR,
                _slow_recovery("plaintext-listener", "KafkaUnencryptedConnections", 1200),
                set(),
            ),
            ("metric off by a tenth", "metric-mismatch", _off_by_a_tenth, {_METRICS}),
        )
    ),
    Defect(
        name="monitoring: no Prometheus",
        caught_by=_OBS,
        after=Stage.READ,
        seed=_no_prometheus,
        claims=frozenset({_SEC, _MTTR, _METRICS, "alert-missed", "alert-without-cause", "metric-mismatch"}),
        verdict=Verdict.UNKNOWN,
    ),
)
