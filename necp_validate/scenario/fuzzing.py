"""Runs a campaign of fuzzed events: stack up, send, observe, judge, shrink, stack down. Leaves a run directory.

What is judged here is the comparison of hundreds of thousands of records, which no run directory could hold; what it
holds is every event, counted by what it was, was to become and became, and each flaw with its event.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import KafkaException

from necp_validate.chaos.cluster import cluster_reader
from necp_validate.clients.reader import end_offsets
from necp_validate.clients.topic_settings import topic_settings
from necp_validate.core import UsageError
from necp_validate.events.topics import TOPIC_GUARANTEES, TOPICS, VERIFIER_PRINCIPAL, Domain
from necp_validate.external.permission import require_write
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.judging import Sent, judge
from necp_validate.fuzz.kafka import CaseSender, OutputReader
from necp_validate.fuzz.making import Workshop, tasks_of
from necp_validate.fuzz.observed import Observed
from necp_validate.record import Appender, FuzzConsumer, FuzzRecord, Phase, TimelineRow, TopicSettings, parts
from necp_validate.record.codec import to_plain
from necp_validate.record.model import ServiceShutdown
from necp_validate.scenario.events import (
    DrainTick,
    LoadTick,
    OnEvent,
    StackReady,
    StageStarted,
    ignore,
)
from necp_validate.scenario.fuzz_examples import Examples
from necp_validate.scenario.monitor import Monitor
from necp_validate.scenario.provenance import plain_description
from necp_validate.scenario.recording import RecordedRun, new_run_dir
from necp_validate.security.keys import KeyFile
from necp_validate.security.trail import read_trail
from necp_validate.stack import ADMIN, Stack
from necp_validate.stack.fleet import CoreFleet
from necp_validate.stack.provision import admin_client
from necp_validate.stack.select import open_stack

CLAIMS: Final = ("EVT-REGISTRY", "EVT-COMBAT", "EVT-ECONOMY", "EVT-SOCIAL", "EVT-SYSTEM")
STALLED_S: Final = 60.0
"""A consumer that gives no outcome for so long, while events wait, stands still."""

CORE_ENVIRONMENT: Final = {"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "1.0"}
"""Half of the events are poison on purpose: the breaker, which opens at that, is another claim's (SEC-BREAKER)."""

_STOP_S: Final = 30.0


class FuzzPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign.

    Args:
        events: how many are sent.
        seed: the same seed makes the same events, except for the tag in their keys.
        repeats: how often each distinct event is sent, under identities of its own.
        stack: what brings the target up: auto, local, docker or external.
        target: the TOML file of an external target.
        max_time_s: nothing more is sent after so long; 0 for no limit.
        replay: an example that is played instead.
    """

    events: int = 200_000
    seed: int = 1
    repeats: int = 2
    stack: str = "auto"
    target: str | None = None
    max_time_s: float = 0.0
    replay: str = ""


def run_fuzz(
    plan: FuzzPlan,
    *,
    stack: Stack | None = None,
    cases: Mapping[Domain, Sequence[Case]] | None = None,
    core_env: Mapping[str, str] | None = None,
    out: Path = Path("reports/runs"),
    on_event: OnEvent = ignore,
    allow: Collection[str] = (),
) -> Path:
    """Run a campaign and leave its history; the caller judges it.

    Args:
        plan: the campaign.
        stack: a stack that is up, and stays up; by default the one that the plan names is brought up and down.
        cases: events to be sent in place of made ones.
        core_env: configuration of the event core on top of the stack's.
        out: where run directories go.
        on_event: told what happens.
        allow: what may be done to an external target (`external.permission.WORDS`).

    Returns:
        The run directory.

    Raises:
        SuiteError: the campaign could not be done; everything is stopped, and the run directory says how far it came.
        KeyboardInterrupt: likewise, on Ctrl-C or SIGTERM.
    """
    run_dir = new_run_dir(out, "fuzz")
    campaign = _Campaign(plan, run_dir, cases, {**CORE_ENVIRONMENT, **(core_env or {})}, on_event)
    campaign.tell_started()
    with campaign.recorded():
        campaign.do(stack, allow)
    return run_dir


class _Campaign(RecordedRun):
    """One campaign; holds what has to be undone in an ExitStack, so that every way out undoes it."""

    def __init__(
        self,
        plan: FuzzPlan,
        run_dir: Path,
        cases: Mapping[Domain, Sequence[Case]] | None,
        core_env: Mapping[str, str],
        on_event: OnEvent,
    ) -> None:
        super().__init__(
            run_dir,
            scenario="fuzz",
            scale=1.0,
            seed=plan.seed,
            config={"fuzz": msgspec.to_builtins(plan), "judge": list(CLAIMS), "core": dict(core_env)},
            on_event=on_event,
        )
        self.plan = plan
        self.tag = secrets.token_hex(3)
        self.crashes: list[str] = []
        self._given = cases
        self._core_env = core_env
        self._acked_before: Counter[str] = Counter()
        self._not_acked_before: Counter[tuple[str, str]] = Counter()
        self._ended_before: Counter[str] = Counter()

    def do(self, given: Stack | None, allow: Collection[str]) -> None:
        """Go through the stages."""
        with ExitStack() as undo:
            tasks = (
                []
                if self._given is not None
                else tasks_of(self.plan.events, self.plan.seed, self.tag, self.plan.repeats)
            )
            workshop = undo.enter_context(Workshop(tasks)) if tasks else ()
            with self.stage("stack"):
                stack = given or self._start_stack(undo)
                if stack.describe().backend == "external":
                    ends = end_offsets(stack.client_config(VERIFIER_PRINCIPAL), [domain.topic for domain in Domain])
                    require_write({topic: sum(marks) for topic, marks in ends.items()}, allow)
                fleet = self._start_core(stack, undo)
            monitor = Monitor(self.run_dir, stack, list(Domain), fleet, stack.check_alive)
            undo.callback(monitor.stop)
            monitor.start()
            reader = OutputReader(stack)
            undo.callback(reader.close)
            sender = CaseSender(stack)
            undo.callback(sender.close)
            begun, begun_us = time.monotonic(), time.time_ns() // 1000
            with self.stage("load"):
                asked = self._send(workshop, sender, reader, fleet, monitor)
            with self.stage("drain"):
                self._settle(sender, reader, fleet)
            seconds = time.monotonic() - begun
            ended_us = time.time_ns() // 1000
            phase = Phase(name="fuzz", kind="steady", start_us=begun_us, end_us=ended_us, target_eps={})
            parts.PHASES.write(self.run_dir, [phase])
            with self.stage("readback"):
                if not reader.read_to_end(60.0):
                    self.crashes.append("the outputs could not be read to their end: too slow")
                observed = reader.fresh()
                consumers = self._consumers(stack)
                settings = _settings(stack)
            with self.stage("judging"):
                self._open_audit(stack, observed)
                judged = judge(sender.sent, observed, sender.refused)
                examples = Examples(self.run_dir, self.tag, stack, reader, fleet)
                flaws = examples.write(judged.flaws, sender.sent)
            monitor.stop()
            if stack.describe().backend != "external":
                with self.stage("stopping"):
                    parts.CORE_SHUTDOWN.write(self.run_dir, self._stop_core(fleet))
            self.crashes += [f"{case.type_name} was not acknowledged: {why}" for case, why in sender.lost[:5]]
            parts.FUZZ.write(
                self.run_dir,
                FuzzRecord(
                    seed=self.plan.seed,
                    asked=asked,
                    sent=len(sender.sent),
                    distinct=_distinct(sender.sent),
                    seconds=round(seconds, 3),
                    groups=judged.groups,
                    flaws=tuple(flaws),
                    flaw_counts=dict(judged.flaw_counts),
                    effects=judged.effects,
                    ledger=observed.ledger.records(),
                    consumers=consumers,
                    crashes=tuple(self.crashes),
                    settings=settings,
                ),
            )
            with self.stage("teardown"):
                undo.close()

    def _start_stack(self, undo: ExitStack) -> Stack:
        target = Path(self.plan.target) if self.plan.target else None
        stack = open_stack(self.plan.stack, log_dir=self.logs, config=target)
        undo.callback(stack.stop)
        stack.start(lambda text: self.on_event(StageStarted(stage="stack", detail=text)))
        return stack

    def _start_core(self, stack: Stack, undo: ExitStack) -> CoreFleet:
        described = stack.describe()
        self.stack_info = to_plain(plain_description(described))
        fleet = CoreFleet(stack)
        undo.callback(fleet.close)
        fleet.start(1, self._core_env)
        detail = f"Kafka {described.kafka_version}, an event core"
        seconds = time.time() - self.started_us / 1e6
        self.on_event(
            StackReady(kind=described.backend, brokers=len(described.brokers), seconds=seconds, detail=detail)
        )
        self.save()
        return fleet

    def _send(
        self,
        made: Workshop | tuple[()],
        sender: CaseSender,
        reader: OutputReader,
        fleet: CoreFleet,
        monitor: Monitor,
    ) -> int:
        """Send everything; returns how many events that were."""
        asked, begun = 0, time.monotonic()
        source = made if self._given is None else self._given.items()
        with parts.TIMELINE.open(self.run_dir, "fuzz") as rows:
            next_row = begun + 1.0
            for domain, cases in source:
                sender.send(domain, cases)
                asked += len(cases)
                if time.monotonic() >= next_row:
                    next_row = time.monotonic() + 1.0
                    self._tick(sender, reader, rows, begun, monitor.host_busy_pct)
                    if not self._all_well(fleet, reader):
                        break
                if self.plan.max_time_s and time.monotonic() - begun > self.plan.max_time_s:
                    break
            sender.flush()
            self._tick(sender, reader, rows, begun, monitor.host_busy_pct)
        return asked

    def _all_well(self, fleet: CoreFleet, reader: OutputReader) -> bool:
        """Look whether the event core lives and is healthy, and the outputs are being read."""
        reader.check()
        for core in fleet.running():
            if not core.alive():
                self._crashed(f"{core.name} died: {core.log_tail(3)}")
                return False
            health = core.health()
            if health.get("status") == "failed" or health.get("failure"):
                self._crashed(f"{core.name} failed: {health.get('failure')}")
                return False
        return True

    def _crashed(self, what: str) -> None:
        if what not in self.crashes:
            self.crashes.append(what)

    def _settle(self, sender: CaseSender, reader: OutputReader, fleet: CoreFleet) -> None:
        """Wait until every event has an outcome, as long as more of them get one."""
        begun = moved = time.monotonic()
        settled = -1
        while (now := reader.observed.settled) < len(sender.sent):
            if now != settled:
                settled, moved = now, time.monotonic()
            elif time.monotonic() - moved > STALLED_S:
                missing = len(sender.sent) - now
                self._crashed(f"{missing:,} events got no outcome, and none came for {STALLED_S:g} s")
                return
            if not self._all_well(fleet, reader):
                return
            self.on_event(DrainTick(elapsed_s=time.monotonic() - begun, lag=len(sender.sent) - now))
            time.sleep(0.25)

    def _consumers(self, stack: Stack) -> tuple[FuzzConsumer, ...]:
        """How far the event core has committed, given a little time for the last commit."""
        cluster = cluster_reader(stack)
        deadline = time.monotonic() + 15.0
        found: list[FuzzConsumer] = []
        for domain in Domain:
            while True:
                try:
                    lag = cluster.lag(domain)
                    end = sum(one.offset for one in cluster.ends([domain.topic]).values())
                except (KafkaException, OSError) as error:
                    if time.monotonic() > deadline:
                        self._crashed(f"the offsets of {domain.value} could not be learned: {error}")
                        break
                else:
                    if not lag or time.monotonic() > deadline:
                        found.append(FuzzConsumer(domain=domain.value, end=end, committed=end - lag))
                        break
                time.sleep(0.25)
        return tuple(found)

    def _open_audit(self, stack: Stack, observed: Observed) -> None:
        try:
            keys = KeyFile(stack.audit_keyring())
        except UsageError:  # somebody else's
            observed.audit_read = False
            return
        found = read_trail(observed.sealed, keys)
        observed.audit.update(entry.id for entry, _, _ in found.entries)
        faults = {fault: count for fault, count in found.faults.items() if fault != "chain"}
        self.crashes += [f"the audit trail: {count} x {fault}" for fault, count in faults.items()]

    def _stop_core(self, fleet: CoreFleet) -> ServiceShutdown:
        healthy = all(core.alive() for core in fleet.running())
        begun = time.monotonic()
        clean = fleet.stop(_STOP_S)
        seconds = round(time.monotonic() - begun, 3)
        return ServiceShutdown(exit_code=0 if clean else 1, seconds=seconds, healthy_before=healthy)

    def _tick(
        self,
        sender: CaseSender,
        reader: OutputReader,
        rows: Appender[TimelineRow],
        begun: float,
        busy_pct: float | None,
    ) -> None:
        """Tell how far it is, and leave a row of it."""
        now = time.time()
        acked = self._acked_before + Counter(one.topic for one in sender.sent[self._acked_before.total() :])
        with reader.locked() as observed:
            ended = observed.ended.copy()
        rates: dict[str, tuple[int, int]] = {}
        for domain in Domain:
            topic = domain.topic
            failed, unknown, refused = (
                sender.not_acked[topic, fate] - self._not_acked_before[topic, fate]
                for fate in ("failed", "unknown", "refused")
            )
            rates[domain.value] = (acked[topic] - self._acked_before[topic], ended[topic] - self._ended_before[topic])
            new, done = rates[domain.value]
            rows.write(
                TimelineRow(
                    t=round(now, 3),
                    phase="fuzz",
                    domain=domain.value,
                    scheduled=new + failed + unknown,
                    sent=new + failed + unknown,
                    acked=new,
                    failed=failed,
                    unknown=unknown,
                    refused=refused,
                    processed=done,
                )
            )
        self._acked_before, self._ended_before = acked, ended
        self._not_acked_before = sender.not_acked.copy()
        self.on_event(
            LoadTick(
                t_s=time.monotonic() - begun,
                phase=f"{len(sender.sent):,} sent, {ended.total():,} ended, {len(sender.refused):,} refused",
                phase_elapsed_s=time.monotonic() - begun,
                scheduled_eps={name: float(new) for name, (new, _) in rates.items()},
                acked_eps={name: float(new) for name, (new, _) in rates.items()},
                processed_eps={name: float(done) for name, (_, done) in rates.items()},
                lag=max(len(sender.sent) - ended.total(), 0),
                failed=len(sender.lost),
                host_busy_pct=busy_pct,
            )
        )


def _distinct(sent: Sequence[Sent]) -> int:
    """How many events differ in more than their identity."""
    return len({(one.case.type_name, one.case.operator, one.case.key, (one.case.value or b"")[:-69]) for one in sent})


def _settings(stack: Stack) -> tuple[TopicSettings, ...]:
    """Settings of all topics, as the brokers tell them; none if they cannot be asked."""
    try:
        admin = admin_client(stack.client_config(ADMIN))
        found = topic_settings(admin, TOPICS, TOPIC_GUARANTEES)
    except (KafkaException, TimeoutError, UsageError):
        return ()
    if found.keys() != TOPICS.keys():
        return ()
    return tuple(
        TopicSettings(topic=name, found=settings, claimed=TOPICS[name].config) for name, settings in found.items()
    )
