"""Runs a scenario: stack up, load, drain, read back, stack down. Leaves a run directory; judging comes after."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

from necp_validate.chaos.experiment import Experiment
from necp_validate.chaos.session import Session, wait_healthy
from necp_validate.claims.files import load_claims, places_in, store_claims
from necp_validate.clients.readback import ReadTask
from necp_validate.clients.reader import end_offsets, has_topic
from necp_validate.core import UsageError
from necp_validate.events.topics import LEDGER_TOPIC, RECEIPTS_TOPIC, VERIFIER_PRINCIPAL, Domain
from necp_validate.external.permission import require_faults, require_write
from necp_validate.ledger.drain import drain_of
from necp_validate.monitoring import JMX_RULES
from necp_validate.monitoring.run import MonitoringRun
from necp_validate.record import Plan, parts
from necp_validate.record.codec import to_plain
from necp_validate.record.model import ServiceShutdown, last_end_us
from necp_validate.record.reader import read_record
from necp_validate.record.topics import BEGIN, END
from necp_validate.scenario.auditing import AuditRun
from necp_validate.scenario.crew import HERE, Crew, Placement
from necp_validate.scenario.due import due_of_game
from necp_validate.scenario.early_stop import EarlyStop, require_claims
from necp_validate.scenario.events import (
    DrainTick,
    ExperimentTold,
    OnEvent,
    StackReady,
    StageStarted,
    ignore,
)
from necp_validate.scenario.faults import During, FaultPhases
from necp_validate.scenario.loading import load_plan, run_load
from necp_validate.scenario.model import PhaseKind, Scenario
from necp_validate.scenario.monitor import Monitor
from necp_validate.scenario.planning import busiest_phase, experiments_of, with_experiments
from necp_validate.scenario.playing import PlayersRun, players_plan
from necp_validate.scenario.provenance import plain_description
from necp_validate.scenario.reading import read_back
from necp_validate.scenario.recording import RecordedRun, new_run_dir
from necp_validate.scenario.topic_watch import TopicWatch
from necp_validate.security.policy import Policy, load_policy
from necp_validate.security.probing import try_everything
from necp_validate.stack import ServiceHandle, Stack
from necp_validate.stack.config import JvmSettings
from necp_validate.stack.fleet import CoreFleet, GatewayFleet, ServiceFleet
from necp_validate.stack.namespaces import require_namespaces
from necp_validate.stack.select import open_stack

_SERVICE_STOP_S = 30.0


def run_scenario(
    scenario: Scenario,
    *,
    stack: Stack | None = None,
    out: Path = Path("reports/runs"),
    web_port: int | None = None,
    on_event: OnEvent = ignore,
    experiments: Sequence[Experiment] | None = None,
    during: During | None = None,
    stop_early: bool = False,
    allow: Collection[str] = (),
    placement: Placement = HERE,
) -> Path:
    """Run a scenario and leave its history; the caller judges it.

    Args:
        scenario: as resolved, scale and overrides applied.
        stack: a stack that is up, and stays up; by default the one that the scenario names is brought up and down.
        out: where run directories go.
        web_port: serve Locust's web page here while the load runs.
        on_event: told what happens.
        experiments: what is played in the fault phase; by default those that the scenario names.
        during: called in a thread when the fault phase begins, in place of playing the experiment.
        stop_early: stop when a claim of the user's own cannot be met any more; nothing is read back then.
        allow: what may be done to an external target (`external.permission.WORDS`).
        placement: where the load workers are.

    Returns:
        The run directory.

    Raises:
        UsageError: an experiment, or the policy, has a mistake; nothing was started.
        SuiteError: the run could not be done; everything is stopped, and the run directory says how far it came.
        KeyboardInterrupt: likewise, on Ctrl-C or SIGTERM.
    """
    if scenario.topics:
        raise UsageError("topics of your own are loaded by `necp-validate run` only")
    played = list(experiments_of(scenario) if experiments is None else experiments)
    scenario = with_experiments(scenario, played)
    if placement.where == "namespaces":
        require_namespaces()
    policy = policy_of(scenario)
    claims = Path(scenario.claims) if scenario.claims else None
    own = load_claims(claims, places_in(Plan.of(scenario.to_config()))) if claims else ()
    if stop_early:
        require_claims(own)
    if played and scenario.stack == "external":
        require_faults(allow)
    label = f"{scenario.name}-{played[0].slug}" if len(played) == 1 else scenario.name
    run_dir = new_run_dir(out, label)
    if claims:
        store_claims(run_dir, claims)
    run = _Run(
        scenario,
        run_dir,
        web_port,
        on_event,
        {one.name: one for one in played},
        during,
        policy,
        placement,
        allow,
        EarlyStop(run_dir, own) if stop_early else None,
    )
    run.tell_started(scenario.phases)
    with run.recorded():
        run.do(stack)
    return run_dir


class _Run(RecordedRun):
    """One run; holds what has to be undone in an ExitStack, so that every way out undoes it."""

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        web_port: int | None,
        on_event: OnEvent,
        experiments: Mapping[str, Experiment],
        during: During | None,
        policy: Policy | None,
        placement: Placement,
        allow: Collection[str],
        watched: EarlyStop | None,
    ) -> None:
        super().__init__(
            run_dir,
            scenario=scenario.name,
            scale=scenario.scale,
            seed=scenario.seed,
            config=scenario.to_config(),
            on_event=on_event,
        )
        self.scenario = scenario
        self.web_port = web_port
        self.experiments = experiments
        self.during = during
        # Players act in every domain, whatever the load does.
        self.domains = list(Domain) if scenario.players else [Domain(name) for name in scenario.traffic]
        if self._audited and Domain.SYSTEM not in self.domains:
            self.domains.append(Domain.SYSTEM)  # that is where the collector's events go
        self.begin: dict[str, list[int]] = {}
        self.ledger_topic: str | None = None
        self.policy = policy
        self.placement = placement
        self.allow = allow
        self.watched = watched

    @property
    def _audited(self) -> bool:
        return self.scenario.security is not None and self.scenario.security.audit

    def do(self, given: Stack | None) -> None:
        """Go through the stages."""
        with ExitStack() as undo:
            with self.stage("stack"):
                begun = time.monotonic()
                stack = given or self._start_stack(undo)
                described = stack.describe()
                self.stack_info = to_plain(plain_description(described))
                self.stages["stack_ready_s"] = round(time.monotonic() - begun, 3)
                crew = Crew(self.placement, stack)
                if given is not None and self.experiments:
                    wait_healthy(stack)  # whatever it was used for before
                at_once = self.scenario.receipted_at_once
                fleet = CoreFleet(
                    stack, {f"{domain.value.upper()}_RECEIPTS_AT_ONCE": str(n) for domain, n in at_once.items()}
                )
                undo.callback(fleet.close)
                cores = fleet.start(self.scenario.core.instances)
                gateways = self._start_gateway(stack, undo)
                services = f"{len(cores)} event core(s){', a gateway' if gateways else ''}"
                self.on_event(
                    StackReady(
                        kind=described.backend,
                        brokers=len(described.brokers),
                        seconds=self.stages["stack_ready_s"],
                        detail=f"Kafka {described.kafka_version}, {services}",
                    )
                )
                self.save()
            session = Session(stack, fleet, self.run_dir, gateways=gateways, seed=self.scenario.seed, tell=self._tell)
            session.monitoring = monitoring = self._start_monitoring(stack, fleet, gateways, undo)
            undo.callback(session.close)
            topics = TopicWatch(self.run_dir, partial(stack.client_config, VERIFIER_PRINCIPAL), self._topics_read)
            faults = FaultPhases(
                self.scenario.phases, self.experiments, session, self.on_event, self.during, ended=topics.look
            )
            undo.callback(faults.abort)
            broken = any(phase.kind is PhaseKind.FAULT for phase in self.scenario.phases)
            monitor = Monitor(
                self.run_dir, stack, self.domains, fleet, session.check_alive, close_up=broken, gateways=gateways
            )
            undo.callback(monitor.stop)
            monitor.start()
            if Domain.ECONOMY in self.domains and has_topic(stack.client_config(VERIFIER_PRINCIPAL), LEDGER_TOPIC):
                self.ledger_topic = LEDGER_TOPIC
            self.begin = end_offsets(stack.client_config(VERIFIER_PRINCIPAL), self._topics_read())
            self._save_due(stack)
            topics.look(BEGIN)
            if described.backend == "external":
                loaded = {domain.topic for domain in self.domains}
                require_write({name: sum(ends) for name, ends in self.begin.items() if name in loaded}, self.allow)

            audit = AuditRun(stack, self.run_dir, undo) if self._audited else None

            def check() -> None:
                session.check_alive()
                if players is not None:
                    players.poll()
                faults.poll()
                if self.watched is not None:
                    self.watched.look()

            self._attempts(stack, "start")
            with self.stage("load"):
                players = self._start_players(stack, gateways, monitor, undo)
                plan = load_plan(self.scenario, stack, self.run_dir, web_port=self.web_port, crew=crew)
                run_load(plan, self.scenario, crew=crew, monitor=monitor, check=check, on_event=self.on_event)
                faults.finish()
                if players is not None:
                    players.finish()
            if self.experiments:
                with self.stage("recover"):
                    session.recover()
            if audit is not None:
                audit.rotate()  # so that what follows is sealed with another key than what was before
            self._attempts(stack, "end")
            if audit is not None:
                audit.finish()
            if monitoring is not None:
                with self.stage("monitoring_end"):
                    monitoring.finish()
            self._save_drain()
            topics.look(END)
            monitor.stop()
            if monitor.gateway_watch is not None:
                monitor.gateway_watch.sample()  # nobody plays any more: this is its last word
                parts.GATEWAY_RECORD.write(self.run_dir, monitor.gateway_watch.own_streams())
            with self.stage("drain"):
                if described.backend != "external":  # a service that is not ours is not ours to stop
                    self.on_event(DrainTick(elapsed_s=0.0, lag=0))
                    if gateways is not None:
                        parts.GATEWAY_SHUTDOWN.write(self.run_dir, _stopped(gateways))
                    parts.CORE_SHUTDOWN.write(self.run_dir, _stopped(fleet))
            with self.reading():
                self._read_back(stack)
                if audit is not None:
                    audit.read(self.begin)
            with self.stage("teardown"):
                undo.close()

    def _save_due(self, stack: Stack) -> None:
        partitions = {name: len(ends) for name, ends in self.begin.items()}
        monitored, at_once = self.scenario.monitoring is not None, self.scenario.receipted_at_once
        due = due_of_game(stack, self.domains, partitions, policy=self.policy, monitored=monitored, at_once=at_once)
        parts.DUE.write(self.run_dir, due)

    def _attempts(self, stack: Stack, when: Literal["start", "end"]) -> None:
        """Try what must be refused, if the scenario wants it at this time."""
        if self.policy is None or self.scenario.security is None or when not in self.scenario.security.at:
            return
        with self.stage(f"security_{when}"):
            told = partial(self._stage_detail, f"security_{when}")
            parts.SECURITY.append(self.run_dir, try_everything(stack, self.policy, when, progress=told))

    def _stage_detail(self, stage: str, text: str) -> None:
        self.on_event(StageStarted(stage=stage, detail=text))

    def _tell(self, text: str) -> None:
        self.on_event(ExperimentTold(text=text))

    def _start_stack(self, undo: ExitStack) -> Stack:
        heap_mib = self.scenario.broker.heap_mb
        jvm = JvmSettings(heap_min_mib=min(JvmSettings().heap_min_mib, heap_mib), heap_max_mib=heap_mib)
        target = Path(self.scenario.target) if self.scenario.target else None
        rules = JMX_RULES.read_text(encoding="utf-8") if self.scenario.monitoring is not None else None
        properties = self.scenario.broker.properties()
        stack = open_stack(
            self.scenario.stack, log_dir=self.logs, config=target, jvm=jvm, jmx_rules=rules, overrides=properties
        )
        undo.callback(stack.stop)
        stack.start(lambda text: self.on_event(StageStarted(stage="stack", detail=text)))
        return stack

    def _start_gateway(self, stack: Stack, undo: ExitStack) -> GatewayFleet | None:
        """Start the gateway if somebody is going to play."""
        if self.scenario.players is None:
            return None
        gateways = GatewayFleet(stack)
        undo.callback(gateways.close)
        gateways.start(1, self.scenario.gateway.environment())
        return gateways

    def _start_monitoring(
        self, stack: Stack, fleet: CoreFleet, gateways: GatewayFleet | None, undo: ExitStack
    ) -> MonitoringRun | None:
        """Let Prometheus watch the run, if the scenario wants it."""
        if self.scenario.monitoring is None:
            return None

        def services() -> Iterator[tuple[str, ServiceHandle]]:
            yield from (("eventcore", core) for core in fleet.running())
            yield from (("gateway", gateway) for gateway in (gateways.running() if gateways is not None else ()))
            publishers = [one for one in stack.services() if one.name.startswith("publisher")]
            yield from (("publisher", one) for one in publishers if one.alive())

        interval_s = self.scenario.monitoring.interval_s
        monitoring = MonitoringRun(stack, self.run_dir, interval_s=interval_s, services=services)
        undo.callback(monitoring.stop)
        with self.stage("monitoring"):
            monitoring.start(partial(self._stage_detail, "monitoring"))
        return monitoring

    def _start_players(
        self, stack: Stack, gateways: GatewayFleet | None, monitor: Monitor, undo: ExitStack
    ) -> PlayersRun | None:
        """Start the players, if there are to be any; they begin with the load."""
        if gateways is None:
            return None
        (gateway,) = gateways.running()
        players = PlayersRun(players_plan(self.scenario, stack, gateway, self.run_dir))
        undo.callback(players.stop)
        players.start()
        monitor.player_pids = players.pids
        return players

    def _topics_read(self) -> list[str]:
        """Topics that the final reader reads."""
        of_domains = [name for domain in self.domains for name in (domain.topic, domain.dead_letter_topic)]
        return [*of_domains, RECEIPTS_TOPIC, *([self.ledger_topic] if self.ledger_topic else [])]

    def _save_drain(self) -> None:
        """When the last event of the busiest phase had ended, against the end of that phase."""
        history = read_record(self.run_dir)
        phase = busiest_phase(self.scenario, history)
        # When the events of a lost worker had ended was not recorded.
        missing = any(record.unmatched_receipts != 0 for record in history.loads)
        drained_us = None if missing else last_end_us(history.loads, phase.name)
        parts.DRAIN.write(self.run_dir, drain_of(history.lag, phase.end_us, drained_us))

    def _read_back(self, stack: Stack) -> None:
        history = read_record(self.run_dir)
        task = ReadTask(
            client=stack.client_config(VERIFIER_PRINCIPAL),
            begin=self.begin,
            known={s.stream: (s.topic, s.key) for record in history.senders for s in record.streams},
            cheats={
                s.stream: s.planted["cheat"].to_list()
                for record in history.senders
                for s in record.streams
                if s.planted and "cheat" in s.planted
            },
            dead_letter_topics=[domain.dead_letter_topic for domain in self.domains],
            ledger_topic=self.ledger_topic,
            timeout_s=self.scenario.readback_timeout_s,
            out=str(parts.READBACK.file(self.run_dir)),
            readers=min(self.scenario.load.processes, os.cpu_count() or 1),
        )
        read_back(task, self.run_dir, self.on_event)


def policy_of(scenario: Scenario) -> Policy | None:
    """Read who may do what, if the scenario tries it.

    Raises:
        UsageError: the file has a mistake.
    """
    if scenario.security is None:
        return None
    return load_policy(Path(scenario.security.policy) if scenario.security.policy else None)


def _stopped(fleet: ServiceFleet[Any]) -> ServiceShutdown:
    """Ask every instance that runs to end; say how it did."""
    healthy = all(one.alive() for one in fleet.running())
    begun = time.monotonic()
    clean = fleet.stop(_SERVICE_STOP_S)
    return ServiceShutdown(
        exit_code=0 if clean else 1, seconds=round(time.monotonic() - begun, 3), healthy_before=healthy
    )
