"""Runs a scenario on topics of the user's own: look, load, read back. Leaves a run directory; judging comes after.

Nothing is started and nothing is broken; the cluster, its topics and its consumers are somebody else's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from necp_validate.claims.files import load_claims, places_in, store_claims
from necp_validate.core import SuiteError, UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.external.cluster import ClusterFacts, describe
from necp_validate.external.first_files import counted
from necp_validate.external.identity import stream_of
from necp_validate.external.permission import require_faults, require_topics
from necp_validate.external.plan import PlannedPhase, SendPlan, TopicPlan
from necp_validate.external.pool import Pool, make_pool
from necp_validate.external.reading import ReadTask
from necp_validate.external.watch import Watch
from necp_validate.ledger.drain import caught_up_us, drain_of
from necp_validate.record import Plan, parts, read_record
from necp_validate.scenario.due import due_of_topics
from necp_validate.scenario.early_stop import EarlyStop, require_claims
from necp_validate.scenario.events import DrainTick, OnEvent, ReadbackTick, StackReady, ignore
from necp_validate.scenario.model import PhaseKind, Scenario
from necp_validate.scenario.planning import busiest_phase, drain_timeout_s
from necp_validate.scenario.progress import LoadWatcher
from necp_validate.scenario.reading import require_done
from necp_validate.scenario.recording import RecordedRun, new_run_dir
from necp_validate.stack.external import ExternalStack
from necp_validate.stack.external_config import ExternalSettings, load_external
from necp_validate.stack.external_topics import TopicTarget
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.provision import admin_client
from necp_validate.stack.waiting import wait_until

PRINCIPAL: Final = "load"
"""Whose credentials are used where the target has ``[principals.load]``; else its common login."""

_TICK_S: Final = 0.2
_STOP_S: Final = 20.0
_ALLOWANCE_S: Final = 60.0
_CREATE_S: Final = 30.0


def run_external(
    scenario: Scenario,
    *,
    allow: Collection[str] = (),
    out: Path = Path("reports/runs"),
    on_event: OnEvent = ignore,
    stop_early: bool = False,
) -> Path:
    """Load topics of the user's own and leave the history; the caller judges it.

    Args:
        scenario: as resolved, with ``topics`` and ``target``.
        allow: what may be done to the target (`external.permission.WORDS`).
        out: where the run directory goes.
        on_event: told what happens.
        stop_early: stop when a claim cannot be met any more; nothing is read back then.

    Returns:
        The run directory.

    Raises:
        UsageError: target, schemas or claims have a mistake, or something is not allowed; nothing was written.
        SuiteError: the run could not be done; the run directory says how far it came.
        KeyboardInterrupt: likewise, on Ctrl-C or SIGTERM.
    """
    settings = load_external(Path(str(scenario.target)))
    topics = _topics(scenario, settings)
    _refuse_faults(scenario, allow)
    claims = Path(scenario.claims) if scenario.claims else None
    own = load_claims(claims, places_in(Plan.of(scenario.to_config()))) if claims else ()
    if stop_early:
        require_claims(own)
    config = ExternalStack(settings).client_config(PRINCIPAL)
    facts = describe(config, {*topics, *(topic.output for topic in topics.values() if topic.output is not None)})
    missing = require_topics(facts, topics, allow)
    pools = {name: make_pool(topic, settings.registry, seed=scenario.seed) for name, topic in topics.items()}
    run_dir = new_run_dir(out, scenario.name)
    if claims:
        store_claims(run_dir, claims)
    watched = EarlyStop(run_dir, own) if stop_early else None
    run = _ExternalRun(scenario, run_dir, on_event, config, topics, pools, watched)
    run.tell_started(scenario.phases)
    with run.recorded():
        run.do(facts, missing)
    return run_dir


def _topics(scenario: Scenario, settings: ExternalSettings) -> dict[str, TopicTarget]:
    found = {}
    for name in scenario.topics:
        if name not in settings.topics:
            guess = did_you_mean(name, settings.topics)
            hint = f"did you mean {guess}?" if guess else f"it has {', '.join(settings.topics) or 'none'}"
            raise UsageError(
                f"{settings.file}: no [[topics]] table is called {name!r}, which the scenario loads", hint=hint
            )
        found[name] = settings.topics[name]
    return found


def _refuse_faults(scenario: Scenario, allow: Collection[str]) -> None:
    """Nothing of somebody else's cluster can be broken from here, and nothing at all unless it is allowed."""
    if scenario.experiments:
        require_faults(allow)
    if scenario.experiments or any(phase.kind is PhaseKind.FAULT for phase in scenario.phases):
        raise UsageError(
            "faults on topics of your own cannot be made from here: the cluster is its owner's",
            hint="leave experiments and phases of the kind fault out; claims about recovery need them",
        )


_CLAIMS = ("DUR-ACKED",)


class _ExternalRun(RecordedRun):
    """One run; what has to be undone is held in an ExitStack, so that every way out undoes it."""

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        on_event: OnEvent,
        config: Mapping[str, str],
        topics: Mapping[str, TopicTarget],
        pools: Mapping[str, Pool],
        watched: EarlyStop | None,
    ) -> None:
        super().__init__(
            run_dir,
            scenario=scenario.name,
            scale=scenario.scale,
            seed=scenario.seed,
            # Whatever else is claimed of topics of the user's own is in a claims file.
            config={**scenario.to_config(), "judge": list(_CLAIMS)},
            on_event=on_event,
        )
        self.scenario, self.config, self.topics, self.pools = scenario, dict(config), topics, pools
        self.watched = watched
        self.streams = {name: stream_of(run_dir.name, name) for name in topics}

    def do(self, facts: ClusterFacts, missing: Collection[TopicTarget]) -> None:
        """Go through the stages."""
        with ExitStack() as undo:
            with self.stage("stack"):
                if missing:
                    facts = self._create(missing)
                self._tell_target(facts)
            begin = {name: list(facts.topics[name].end) for name in self.topics}
            parts.DUE.write(self.run_dir, due_of_topics({name: len(ends) for name, ends in begin.items()}))
            groups = {name: topic.group for name, topic in self.topics.items() if topic.group is not None}
            watch = Watch(self.run_dir, self.config, groups, list(self.topics))
            undo.callback(watch.stop)
            watch.start()
            with self.stage("load"):
                self._load(watch)
            if groups:
                with self.stage("drain"):
                    self._drain(watch)
            watch.stop()
            with self.reading():
                self._read_back(begin)

    def _create(self, missing: Collection[TopicTarget]) -> ClusterFacts:
        admin = admin_client(self.config)
        wanted = [NewTopic(one.name, one.partitions, one.replication_factor) for one in missing]
        for name, future in admin.create_topics(wanted, request_timeout=_CREATE_S).items():
            try:
                future.result(_CREATE_S + 5)
            except (KafkaException, TimeoutError) as error:
                why = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
                raise SuiteError(
                    f"topic {name} could not be created: {why}",
                    hint="create it with the cluster's own tools, then run again without --allow create-topics",
                ) from error
        found: list[ClusterFacts] = []

        def there() -> bool:
            found[:] = [describe(self.config, self.topics)]
            return found[0].topics.keys() >= self.topics.keys()

        wait_until(there, timeout_s=_CREATE_S, retry_on=(SuiteError,), message="the new topics did not show")
        return found[0]

    def _tell_target(self, facts: ClusterFacts) -> None:
        protocol = self.config["security.protocol"]
        described = [facts.topics[name] for name in self.topics]
        self.stack_info = {
            "backend": "external",
            "kafka_version": facts.version,
            "cluster_id": facts.id,
            "brokers": [f"{number} at {address}" for number, address in facts.brokers.items()],
            "security": {"external": f"{protocol}, {self.config.get('sasl.mechanism', 'no SASL')}"},
            "outputs": {name: one.output for name, one in self.topics.items() if one.output is not None},
            "groups": {name: one.group for name, one in self.topics.items() if one.group is not None},
            "replication_factor": min(one.replication_factor for one in described),
            "topics": {
                one.name: ", ".join(
                    [
                        f"{counted(len(one.end), 'partition')}, replication {one.replication_factor}",
                        *(f"{name}={value}" for name, value in one.settings.items()),
                        self.pools[one.name].source,
                        f"keys: {self.topics[one.name].key}",
                    ]
                )
                for one in described
            },
        }
        seconds = time.time() - self.started_us / 1e6
        detail = f"Kafka {facts.version or 'of a version that it does not tell'}, topics {', '.join(self.topics)}"
        self.on_event(StackReady(kind="external", brokers=len(facts.brokers), seconds=seconds, detail=detail))
        self.save()

    def _load(self, watch: Watch) -> None:
        load = self.scenario.load
        producer = {
            "acks": load.acks,
            "enable.idempotence": str(load.idempotence).lower(),
            "compression.type": load.compression,
            "linger.ms": f"{load.linger_ms:g}",
            "delivery.timeout.ms": "120000",
            "queue.buffering.max.messages": "1000000",
            "log_level": "2",
        }
        plan = SendPlan(
            run_dir=str(self.run_dir),
            seed=self.scenario.seed,
            phases=[
                PlannedPhase(name=p.name, kind=p.kind.value, duration_s=p.duration_s, load=p.load, ramp_s=p.ramp_s)
                for p in self.scenario.phases
            ],
            topics=[
                TopicPlan(
                    topic=name,
                    stream=self.streams[name],
                    rate_eps=rate_eps,
                    values=self.pools[name].values,
                    keys=self.pools[name].keys,
                    key=self.topics[name].key,
                    output=self.topics[name].output or "",
                )
                for name, rate_eps in self.scenario.topics.items()
            ],
            client={**self.config, **producer},
            reader=self.config,
            answers_s=drain_timeout_s(self.scenario),
        )
        watcher = LoadWatcher(self.run_dir, self.scenario, self.on_event, None)
        deadline = time.monotonic() + self.scenario.duration_s + plan.flush_s + plan.answers_s + _ALLOWANCE_S

        def look(process: ManagedProcess) -> None:
            watch.load_pid = process.pid
            watcher.tell(watch.lag, watch.host_busy_pct)
            if self.watched is not None:
                self.watched.look()
            if time.monotonic() > deadline:
                raise SuiteError("the load did not end in time", detail=process.log_tail())

        self._in_process("send", plan, "load.log", look)

    def _drain(self, watch: Watch) -> None:
        """Wait until the consumer groups have committed everything, as long as a backlog may take."""
        history = read_record(self.run_dir)
        end_us = busiest_phase(self.scenario, history).end_us
        drained_us = caught_up_us(history.lag, history.timeline, end_us)
        begun, limit_s = time.monotonic(), drain_timeout_s(self.scenario)
        watch.lag.clear()  # what is known is from before the end
        while drained_us is None and time.monotonic() - begun < limit_s:
            known = dict(watch.lag)
            if known and not sum(known.values()):
                drained_us = time.time_ns() // 1000
            self.on_event(DrainTick(elapsed_s=time.monotonic() - begun, lag=sum(known.values())))
            time.sleep(_TICK_S)
        parts.DRAIN.write(self.run_dir, drain_of(history.lag, end_us, drained_us))

    def _read_back(self, begin: Mapping[str, list[int]]) -> None:
        task = ReadTask(
            client=self.config,
            begin=dict(begin),
            streams=self.streams,
            timeout_s=self.scenario.readback_timeout_s,
            out=str(parts.READBACK.file(self.run_dir)),
        )
        told = ""

        def look(process: ManagedProcess) -> None:
            nonlocal told
            last = process.log_tail(1)
            if last != told and last.startswith('{"read"') and last.endswith("}"):
                self.on_event(ReadbackTick(**json.loads(last)))
                told = last

        self._in_process("read", task, "readback.log", look)

    def _in_process(self, what: str, task: msgspec.Struct, log: str, look: Any) -> None:
        """Do something in a process of its own; its file, which holds passwords, is gone afterwards."""
        file, process = self.run_dir / f"{what}-task.json", None
        write_private(file, msgspec.json.encode(task))
        try:
            command = [sys.executable, "-m", "necp_validate.external", what, str(file)]
            process = ManagedProcess.spawn(command, log=self.logs / log)
            while process.alive():
                look(process)
                time.sleep(_TICK_S)
            require_done(process, f"the process that was to {what}")
        finally:
            if process is not None:
                process.terminate(_STOP_S)
            file.unlink(missing_ok=True)
