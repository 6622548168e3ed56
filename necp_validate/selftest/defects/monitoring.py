"""Defects of the monitoring: alerts that are missed, come without a cause or never go, metrics that are wrong."""

from __future__ import annotations

from dataclasses import replace

from necp_validate.core import Verdict
from necp_validate.record import FIRING, RESOLVED, AlertTransition
from necp_validate.selftest.defect import Defect, Seed, seeded, setting
from necp_validate.selftest.simulated.faults import CAUSED_S
from necp_validate.selftest.simulated.scenario import at
from necp_validate.selftest.simulated.simulation import Simulation

_OBS, _SEC = "operational-alerts", "security-alerts"


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
            AlertTransition(t_us=at(second), name=name, state=state, labels={}, active_us=None, value=None)
            for second, state in ((5, FIRING), (9, RESOLVED))
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
        end_us = at(CAUSED_S + seconds)
        course, monitored = simulation.course, simulation.monitored
        course.faults = [replace(one, end_us=end_us) if one.id == f"{kind}-for-alert" else one for one in course.faults]
        monitored.alerts = [
            replace(one, t_us=end_us + 3_000_000) if (one.name, one.state) == (name, RESOLVED) else one
            for one in monitored.alerts
        ]

    return seed


def _no_failed_login(simulation: Simulation) -> None:
    """Nobody failed to log in, by the metric and by the logs: of that series nothing is known."""
    simulation.monitored.failed_logins = 0.0


MONITORING_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(name=f"monitoring: {name}", caught_by=caught_by, make=seeded(seed), others=others)
        for name, caught_by, seed, others in (
            (
                "alert rule with a wrong name",
                "alert-missed",
                _under_another_name("KafkaDiskUsageHigh"),
                (_OBS,),
            ),
            ("security alert that never fires", "alert-missed", _silence("KafkaCertificateExpiry"), (_SEC,)),
            ("operational alert that never fires", _OBS, _silence("KafkaClusterDown"), ("alert-missed",)),
            ("alert without a cause", "alert-without-cause", _without_cause("KafkaDiskUsageHigh"), (_OBS,)),
            ("alert that never goes", "alert-without-cause", _never_resolved("KafkaCertificateExpiry"), (_SEC,)),
            (
                "security alert without a cause",
                _SEC,
                _without_cause("KafkaCertificateExpiry"),
                ("alert-without-cause",),
            ),
            (
                "incident of twenty minutes",
                "MTTR",
                _slow_recovery("plaintext-listener", "KafkaUnencryptedConnections", 1200),
                (),
            ),
            ("metric off by a tenth", "metric-mismatch", setting("monitored", scale=0.9), ()),
        )
    ),
    Defect(
        name="monitoring: series without anything to compare it with",
        caught_by="metric-series",
        make=seeded(_no_failed_login),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    Defect(
        name="monitoring: no Prometheus",
        caught_by=_OBS,
        make=seeded(setting("monitored", needs="needs prometheus: there is none")),
        verdict=Verdict.UNKNOWN,
        missing=("monitoring",),
    ),
)
