"""The scenario of the simulated run: every kind of phase, faults of many kinds, all of it short and small."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Final

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, PlannedPhase
from necp_validate.load.schedule import Schedule
from necp_validate.record import Phase, RunInfo
from necp_validate.scenario.model import Load, Monitoring, PhaseKind, Players, Scenario, Security, Traffic
from necp_validate.scenario.model import Phase as PlannedByScenario

START_US: Final = 1_790_000_000_000_000
"""Second 0 of the load."""

RUN_ID: Final = "selftest"
PLAYERS: Final = 6
PLAYERS_LEFT: Final = PLAYERS // 3
CHEAT_SHARE, POISON_SHARE = 0.01, 1 / 150

EXPERIMENTS: Final = (
    *("scale-consumers", "scale-partitions", "publisher-flood", "password-rotation"),
    *("certificate-reload", "certificate-expiring", "broker-kill", "core-kill", "cut", "consumers-paused"),
    *("core-stop", "poison-breaker", "alerts"),
)

NOT_REACHED: Final[Mapping[str, str]] = {
    **{one.id: one.not_judged for one in CLAIMS.values() if one.not_judged},
    "EVT-SOCIAL": "its only evidence are fuzzed events: the simulated campaign judges it",
    "EVT-SYSTEM": "its only evidence are fuzzed events: the simulated campaign judges it",
}
"""Claims of the catalogue that the simulated run of the load does not judge, and why."""

JUDGED: Final = tuple(one for one in CLAIMS if one not in NOT_REACHED)


def _traffic(run_length: int, tick_hz: float, *, cheat_share: float = 0.0) -> Traffic:
    """Traffic of four servers."""
    rate_eps = 4 * run_length * tick_hz
    return Traffic(
        rate_eps=rate_eps, run_length=run_length, tick_hz=tick_hz, cheat_share=cheat_share, poison_share=POISON_SHARE
    )


# A 99th percentile wants 1,000 events of a domain in a phase; a rate, every 10 s of it. Samples of lag and groups need
# not be there under a fault and 30 s after it: without the calm end of the run, none of its second half would be due.
SCENARIO: Final = Scenario(
    name=RUN_ID,
    stack="local",
    traffic={
        "combat": _traffic(5, 2.0, cheat_share=CHEAT_SHARE),
        "economy": _traffic(10, 1.0),
        "social": _traffic(10, 1.0),
        "system": _traffic(2, 1.25),
    },
    phases=(
        PlannedByScenario(name="steady", kind=PhaseKind.STEADY, duration_s=27),
        PlannedByScenario(name="surge", kind=PhaseKind.SURGE, duration_s=11, load=2.0, players=PLAYERS_LEFT),
        PlannedByScenario(name="scaling", kind=PhaseKind.FAULT, duration_s=9, players=PLAYERS_LEFT),
        PlannedByScenario(name="broken", kind=PhaseKind.FAULT, duration_s=20, load=0.5, players=PLAYERS_LEFT),
        PlannedByScenario(name="recovery", kind=PhaseKind.RECOVERY, duration_s=34, load=0.25, players=PLAYERS_LEFT),
    ),
    load=Load(processes=2),
    players=Players(count=PLAYERS),
    security=Security(audit=True),
    monitoring=Monitoring(),
    judge=JUDGED,
    experiments=EXPERIMENTS,
)

TRAFFIC: Final = {Domain(name): traffic for name, traffic in SCENARIO.traffic.items()}

LIMITS: Final[Mapping[str, tuple[float, str]]] = {
    "headline_eps": (SCENARIO.peak_eps, "the simulated load has few events"),
    **{f"{domain}_eps": (traffic.rate_eps, "likewise") for domain, traffic in TRAFFIC.items()},
    "surge_eps": (2 * SCENARIO.peak_eps, "likewise"),
    "recovery_s": (3.0, "a fault lasts for 3 s"),
    "failover_s": (2.0, "likewise"),
    "soak_s": (60.0, "the run lasts for 101 s"),
    "least_comparisons": (150.0, "six players see little of one another"),
    "producer_rate_eps": (20.0, "the flood is one of 8 s, and has to be of 200 events"),
    "producer_burst": (40.0, "likewise"),
    "breaker_recovery_s": (4.0, "the breaker is open for 4 s"),
    "breaker_closes_s": (1.0, "it is watched for 6 s after that"),
}
"""Limits by which the simulated run is judged in place of the catalogue's, and why each."""

REPLACED: Final = {name: value for name, (value, _) in LIMITS.items()}


def at(seconds: float) -> int:
    """Epoch microseconds of a second of the run."""
    return START_US + round(seconds * 1e6)


_ENDS_S = tuple(accumulate(phase.duration_s for phase in SCENARIO.phases))
END_S: Final = _ENDS_S[-1]

PHASES: Final = tuple(
    Phase(
        name=phase.name,
        kind=phase.kind.value,
        start_us=at(end_s - phase.duration_s),
        end_us=at(end_s),
        target_eps=SCENARIO.target_eps(phase),
    )
    for phase, end_s in zip(SCENARIO.phases, _ENDS_S, strict=True)
)
STEADY, SURGE, SCALING, BROKEN, RECOVERY = PHASES


def schedule_of(domain: Domain) -> Schedule:
    """When each server of a domain is due, by the load's own schedule."""
    traffic = TRAFFIC[domain]
    planned = [
        PlannedPhase(name=phase.name, kind=phase.kind.value, duration_s=phase.duration_s, load=phase.load)
        for phase in SCENARIO.phases
    ]
    of_domain = DomainTraffic(
        topic=domain.topic,
        rate_eps=traffic.rate_eps,
        run_length=traffic.run_length,
        tick_hz=traffic.tick_hz,
        cheat_share=traffic.cheat_share,
        poison_share=traffic.poison_share,
        client={},
    )
    return Schedule(of_domain, planned, f"{SCENARIO.seed}/{domain}")


def finished_run(name: str, scenario: str, config: dict[str, object], *, backend: str = "local") -> RunInfo:
    """What a run at full scale that came to its end says of itself."""
    return RunInfo(
        id=name,
        scenario=scenario,
        scale=1.0,
        seed=SCENARIO.seed,
        stack={"backend": backend, "kafka_version": "as simulated", "brokers": ["1", "2", "3"]},
        versions={"necp-validate": "as simulated"},
        host={"cpus": 2, "memory_bytes": 8 << 30},
        config=dict(config),
        started_us=at(-60),
        finished_us=at(END_S + 1_600),
        stages={},
        status="finished",
        error=None,
    )
