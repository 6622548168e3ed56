"""A whole run in memory, as the checks see it: several load workers merged, missing parts empty."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import parts
from necp_validate.record.alerts import AlertTransition, MonitoringRecord
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.drills import CertificateSwap, CoreStop, PasswordChange, PasswordTaken
from necp_validate.record.due import Due
from necp_validate.record.experiments import ExperimentOutcome
from necp_validate.record.faults import FaultRecord
from necp_validate.record.fuzz import FuzzRecord
from necp_validate.record.gateway import GatewayRecord
from necp_validate.record.limits import BreakerSample, FloodRecord
from necp_validate.record.model import (
    NO_EVENTS,
    BrokerSample,
    Drain,
    GatewaySample,
    GroupSample,
    HostSample,
    IsrSample,
    LagSample,
    LeaderSample,
    LoadRecord,
    Phase,
    PhaseCounts,
    RunInfo,
    ServiceShutdown,
    TimelineRow,
)
from necp_validate.record.players import PlayersRecord, PlayersRow
from necp_validate.record.readback import Readback
from necp_validate.record.security import SecurityRound
from necp_validate.record.store import LatencyMap
from necp_validate.record.suite_failures import SuiteFailure
from necp_validate.record.topics import TopicConfiguration
from necp_validate.record.workers import WorkerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record of one run. Only ``run`` is always there; every other part may be missing.

    Args:
        due: what the run owes as evidence.
        suite_failures: what failed of the suite itself, in order of time.
        workers: who the load workers were; empty where one process did it all.
        loads: one record per load worker; of one that was lost, what it may have sent.
        latency: histograms of all workers, merged.
        timeline: rows of all workers, in order of time; a second and domain may occur once per worker.
        players: one record per process of players.
        players_latency: their histograms by phase, kind of action (or of happening) and kind of latency.
        players_timeline: rows of all processes of players, in order of time.
        drill_loads: what drills have sent on their own account.
        floods: floods of publishers.
        breakers: what was seen of circuit breakers, in order of time.
    """

    run: RunInfo = field(metadata={"part": parts.RUN})
    run_dir: Path | None = None
    due: Due | None = parts.DUE.attribute()
    suite_failures: tuple[SuiteFailure, ...] = parts.SUITE_FAILURES.attribute()
    phases: tuple[Phase, ...] = parts.PHASES.attribute()
    workers: tuple[WorkerRecord, ...] = parts.WORKERS.attribute()
    loads: tuple[LoadRecord, ...] = parts.LOADS.attribute()
    latency: LatencyMap = parts.LATENCY.attribute()
    timeline: tuple[TimelineRow, ...] = parts.TIMELINE.attribute()
    drain: Drain | None = parts.DRAIN.attribute()
    readback: Readback | None = parts.READBACK.attribute()
    faults: tuple[FaultRecord, ...] = parts.FAULTS.attribute()
    experiments: tuple[ExperimentOutcome, ...] = parts.EXPERIMENTS.attribute()
    security: tuple[SecurityRound, ...] = parts.SECURITY.attribute()
    alerts: tuple[AlertTransition, ...] = parts.ALERTS.attribute()
    monitoring: MonitoringRecord | None = parts.MONITORING.attribute()
    host: tuple[HostSample, ...] = parts.HOST.attribute()
    brokers: tuple[BrokerSample, ...] = parts.BROKERS.attribute()
    lag: tuple[LagSample, ...] = parts.LAG.attribute()
    isr: tuple[IsrSample, ...] = parts.ISR.attribute()
    groups: tuple[GroupSample, ...] = parts.GROUPS.attribute()
    leaders: tuple[LeaderSample, ...] = parts.LEADERS.attribute()
    topics: tuple[TopicConfiguration, ...] = parts.TOPIC_CONFIGURATIONS.attribute()
    drill_loads: tuple[LoadRecord, ...] = parts.DRILL_LOADS.attribute()
    passwords_taken: tuple[PasswordTaken, ...] = parts.PASSWORDS_TAKEN.attribute()
    password_changes: tuple[PasswordChange, ...] = parts.PASSWORD_CHANGES.attribute()
    certificate_swaps: tuple[CertificateSwap, ...] = parts.CERTIFICATE_SWAPS.attribute()
    core_stops: tuple[CoreStop, ...] = parts.CORE_STOPS.attribute()
    floods: tuple[FloodRecord, ...] = parts.FLOODS.attribute()
    breakers: tuple[BreakerSample, ...] = parts.BREAKERS.attribute()
    core_shutdown: ServiceShutdown | None = parts.CORE_SHUTDOWN.attribute()
    gateway_shutdown: ServiceShutdown | None = parts.GATEWAY_SHUTDOWN.attribute()
    gateway_record: GatewayRecord | None = parts.GATEWAY_RECORD.attribute()
    gateway: tuple[GatewaySample, ...] = parts.GATEWAY.attribute()
    players: tuple[PlayersRecord, ...] = parts.PLAYERS.attribute()
    players_latency: LatencyMap = parts.PLAYERS_LATENCY.attribute()
    players_timeline: tuple[PlayersRow, ...] = parts.PLAYERS_TIMELINE.attribute()
    collector_record: CollectorRecord | None = parts.COLLECTOR_RECORD.attribute()
    audit: AuditRecord | None = parts.AUDIT.attribute()
    fuzz: FuzzRecord | None = parts.FUZZ.attribute()

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that were loaded or scheduled, sorted."""
        names = {stream.domain for load in self.loads for stream in load.streams}
        names.update(domain for phase in self.phases for domain in phase.target_eps)
        return tuple(sorted(names))

    @property
    def own_topics(self) -> bool:
        """Whether topics of the user's own were loaded, in place of the game's."""
        return bool(self.run.plan.topics)

    def sees_ends(self, domains: Iterable[str]) -> bool:
        """Whether the end of processing can be seen: always in the game, else where the target answers."""
        return self._named(self.run.target.outputs, domains)

    def sees_backlog(self, domains: Iterable[str]) -> bool:
        """Whether the lag of all of them can be seen: always in the game, else where consumer groups are named."""
        return self._named(self.run.target.groups, domains)

    def _named(self, named: Container[str] | None, domains: Iterable[str]) -> bool:
        return not self.own_topics or (named is not None and all(domain in named for domain in domains))

    @property
    def domain_of_topic(self) -> dict[str, str]:
        """Which domain's events a topic holds, as its senders saw it."""
        return {stream.topic: stream.domain for sender in self.senders for stream in sender.streams}

    @property
    def senders(self) -> tuple[LoadRecord, ...]:
        """Everybody whose events are in the log: load workers, drills, players through the gateway, and services."""
        services = [one.as_load() for one in (self.gateway_record, self.collector_record) if one is not None]
        return (*self.planting, *(one.as_load() for one in self.players), *services)

    @property
    def planting(self) -> tuple[LoadRecord, ...]:
        """Those of them that send bad events on purpose; players and services mean no harm."""
        return (*self.loads, *self.drill_loads)

    def player_histogram(
        self, kind: str, *, phases: Iterable[str] | None = None, actions: Iterable[str] | None = None
    ) -> HdrHistogram:
        """Latencies of the players' actions, merged over some phases and kinds of action or all; empty if none."""
        merged = HdrHistogram()
        for (phase, action, of_kind), histogram in self.players_latency.items():
            fits = (phases is None or phase in phases) and (actions is None or action in actions)
            if of_kind == kind and fits:
                merged.merge(histogram)
        return merged

    def phases_of(self, *kinds: str) -> tuple[Phase, ...]:
        """The phases of these kinds, in order."""
        return tuple(phase for phase in self.phases if phase.kind in kinds)

    @property
    def experiments_by_name(self) -> dict[str, ExperimentOutcome]:
        """How experiments ended, by name and by title: a fault may name its experiment by either."""
        return {name: one for one in self.experiments for name in (one.title, one.experiment)}

    @property
    def known_loads(self) -> tuple[LoadRecord, ...]:
        """The load workers that counted themselves: of one that was lost, there is its schedule alone."""
        return tuple(load for load in self.loads if load.lost_us is None)

    def counts(self, phase: str, domains: Iterable[str] | None = None) -> PhaseCounts:
        """Events of a phase over all workers; of some domains, or of all."""
        wanted = None if domains is None else set(domains)
        total = NO_EVENTS
        for load in self.loads:
            for domain, counts in load.counts(phase).items():
                if wanted is None or domain in wanted:
                    total = total + counts
        return total

    def planted(self, kind: str, domain: str) -> int:
        """Deliberately bad events (``cheat`` or ``poison``) sent in a domain over all workers and drills."""
        return sum(load.planted.get(domain, {}).get(kind, 0) for load in self.planting)

    def histogram(self, phase: str, kind: str, domains: Iterable[str] | None = None) -> HdrHistogram:
        """Latencies of a phase, merged over some domains or all; empty if nothing was recorded."""
        wanted = None if domains is None else set(domains)
        merged = HdrHistogram()
        for (name, domain, of_kind), histogram in self.latency.items():
            if name == phase and of_kind == kind and (wanted is None or domain in wanted):
                merged.merge(histogram)
        return merged
