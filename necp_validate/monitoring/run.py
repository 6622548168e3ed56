"""The monitoring of one run: exporter, Prometheus, the watch over alerts; and what is kept of it."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from necp_validate.clients.reader import end_offsets
from necp_validate.core import StackError, SuiteError, UsageError, in_one_line
from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.monitoring import RULE_FILES, measure
from necp_validate.monitoring.binary import PrometheusMissing, ensure, version_of
from necp_validate.monitoring.prometheus import HOST, Job, Login, Prometheus
from necp_validate.monitoring.sampling import ExporterPlan, ListenerTarget
from necp_validate.monitoring.watch import AlertWatch
from necp_validate.record import Counted, MonitoringRecord, parts
from necp_validate.record.self_watch import noting
from necp_validate.stack import Stack
from necp_validate.stack.ports import free_ports
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import ServiceHandle
from necp_validate.stack.waiting import wait_until
from necp_validate.stack.workdir import new_directory

BROKERS_JOB, EXPORTER_JOB = "kafka", "exporter"
SERVICE_JOBS = ("eventcore", "gateway", "publisher")
_READY_S = 30.0
_STOP_S = 5.0
_SETTLES_IN = 10.0
"""Intervals within which every target is scraped again."""

Services = Callable[[], Iterable[tuple[str, ServiceHandle]]]
"""Yields the job (one of ``SERVICE_JOBS``) and the handle of every service that runs."""


class MonitoringRun:
    """What watches one run. Without a Prometheus it does nothing, and says so in the record.

    Args:
        stack: whose brokers are watched; it is up.
        run_dir: where the record goes.
        interval_s: between two scrapes.
        services: what else is scraped.
        rules: files of the rules.
    """

    def __init__(
        self,
        stack: Stack,
        run_dir: Path,
        *,
        interval_s: float,
        services: Services,
        rules: Sequence[Path] = RULE_FILES,
    ) -> None:
        self._stack = stack
        self._run_dir = run_dir
        self._interval_s = interval_s
        self._services = services
        self._rules = tuple(rules)
        self._undo = ExitStack()
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, dict[str, str]]] = {}
        self.prometheus: Prometheus | None = None
        self.watch: AlertWatch | None = None
        self._exporter: ManagedProcess | None = None
        self.needs = ""
        self._version = ""
        self._begun = 0.0
        self._begin_ends: dict[str, list[int]] = {}
        self._logs = measure.LogCount({})

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start everything; come back when the first alerts have been looked for.

        Raises:
            StackError: a part did not start, although it is there.
        """
        try:
            progress("preparing Prometheus")
            binary = ensure()
        except PrometheusMissing as missing:
            self.needs = missing.message
            self._save(MonitoringRecord(needs=self.needs))
            return
        self._version = version_of(binary)
        folder = new_directory()
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        progress(f"starting Prometheus {self._version}")
        exporter = self._start_exporter(folder)
        self.prometheus = Prometheus(
            binary,
            folder,
            self._run_dir / "logs" / "prometheus.log",
            jobs=[*self._broker_job(), exporter, *(Job(name=name, targets={}) for name in SERVICE_JOBS)],
            rules=self._rules,
            interval_s=self._interval_s,
        )
        self._undo.callback(self.prometheus.stop)
        self._logs = measure.LogCount(self._stack.broker_logs())
        self.prometheus.start()
        self._begun = time.time()
        self._follow_services()
        self.watch = AlertWatch(self._run_dir, self._alerts, self._follow_services)
        self._undo.callback(self.watch.stop)
        progress("waiting until every target is scraped")
        wait_until(self._scraped, timeout_s=_READY_S, backoff_s=0.2, message="not every target was scraped")
        self._begin_ends = self._ends()
        self.watch.start()

    def _start_exporter(self, folder: Path) -> Job:
        login, (port,) = Login.new(), free_ports(1, HOST)
        plan = folder / "exporter.json"
        write_private(plan, msgspec.json.encode(exporter_plan(self._stack, port, login, self._interval_s)))
        command = [sys.executable, "-m", "necp_validate.monitoring.exporter", str(plan)]
        self._exporter = process = ManagedProcess.spawn(command, log=self._run_dir / "logs" / "exporter.log")
        self._undo.callback(process.terminate, _STOP_S)

        def ready() -> bool:
            if not process.alive():
                raise StackError("the exporter ended while it was starting", detail=process.log_tail())
            return "ready" in process.log_tail(1000).splitlines()

        wait_until(ready, timeout_s=_READY_S, backoff_s=0.05, message="the exporter was not ready")
        return Job(name=EXPORTER_JOB, targets={f"{HOST}:{port}": {}}, login=login)

    def _broker_job(self) -> list[Job]:
        metrics = self._stack.broker_metrics()
        if metrics is None:
            return []
        targets = {address: {"broker": str(broker)} for broker, address in metrics.addresses.items()}
        return [Job(name=BROKERS_JOB, targets=targets, login=Login(user=metrics.user, password=metrics.password))]

    def _alerts(self) -> Sequence[Mapping[str, object]]:
        assert self.prometheus is not None
        found: Sequence[Mapping[str, object]] = self.prometheus.api("/alerts")["alerts"]
        return found

    def _follow_services(self) -> None:
        """Let Prometheus scrape the services that run now."""
        assert self.prometheus is not None
        now: dict[str, dict[str, dict[str, str]]] = {name: {} for name in SERVICE_JOBS}
        for job, service in self._services():
            now[job][urlsplit(service.metrics_url).netloc] = {"service": service.name}
        with self._lock:
            for job, targets in now.items():
                if self._known.get(job, {}) != targets:
                    self.prometheus.set_targets(job, targets)
                    self._known[job] = targets

    def _scraped(self) -> bool:
        """Whether everything that should be scraped has been, and the rules have been evaluated."""
        targets = self._targets()
        expected = 1 + sum(len(one) for one in (*self._known.values(), *(job.targets for job in self._broker_job())))
        assert self.prometheus is not None
        # Recorded from several jobs: where it is, brokers, exporter and rules work together.
        recorded = not self._broker_job() or bool(self.prometheus.query("kafka_server_plaintext_connections_active"))
        return len(targets) >= expected and all(targets.values()) and recorded

    def _targets(self) -> dict[str, bool]:
        assert self.prometheus is not None
        active = self.prometheus.api("/targets", state="active")["activeTargets"]
        return {f"{one['labels']['job']} {one['labels']['instance']}": one["health"] == "up" for one in active}

    def _ends(self) -> dict[str, list[int]]:
        return end_offsets(self._stack.client_config(VERIFIER_PRINCIPAL), [domain.topic for domain in Domain])

    def finish(self) -> None:
        """Take the last values, once nothing is under way any more, and write the record."""
        if self.prometheus is None or self.watch is None:
            return
        growth: list[Counted] = []
        with self._noted():
            # First, since asking opens connections, which are counted below.
            growth = [*measure.log_growth(self._begin_ends, self._ends())]
            self._settle()
        counted = [*self._logs.counted(), *measure.open_connections(self._stack), *measure.disk_use(), *growth]
        elapsed_s = time.time() - self._begun + 60.0
        self.watch.stop()
        record = MonitoringRecord(
            prometheus=self._version,
            begin_us=self.watch.begin_us,
            end_us=self.watch.end_us,
            looks=self.watch.looks,
            missed=self.watch.missed,
            transitions=self.watch.transitions,
            interval_s=self._interval_s,
        )
        # A Prometheus that has gone, or brokers that answer no more, leave what was told: alerts, no values.
        with self._noted():
            record = self._measured(record, self.watch.begin_us, elapsed_s, counted)
        self._note_early_ends(self.prometheus)
        self._save(record)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Write down what could not be measured, and go on."""
        try:
            yield
        except SuiteError as error:
            noting(self._run_dir, "measuring at the end", parts.MONITORING)(in_one_line(error))

    def _note_early_ends(self, prometheus: Prometheus) -> None:
        """Write down which of the processes has ended before it was asked to."""
        exporter_end = self._exporter.early_end() if self._exporter is not None else ""
        for name, problem in (("exporter", exporter_end), ("Prometheus", prometheus.early_end())):
            if problem:
                noting(self._run_dir, name, parts.MONITORING, parts.ALERTS)(problem)

    def _settle(self) -> None:
        """Wait until what happened last has been scraped, and rules evaluated on it: that is, an interval later.

        Raises:
            StackError: Prometheus does not answer, or did not scrape every target again in time.
        """
        since_s = time.time() + self._interval_s

        def scraped() -> bool:
            assert self.prometheus is not None
            return all(scraped_s >= since_s for _, scraped_s in self.prometheus.query("timestamp(up)"))

        wait_until(
            scraped,
            timeout_s=_SETTLES_IN * self._interval_s,
            backoff_s=self._interval_s / 10,
            message="not every target was scraped again",
        )

    def _measured(
        self, record: MonitoringRecord, begin_us: int, elapsed_s: float, counted: Sequence[Counted]
    ) -> MonitoringRecord:
        assert self.prometheus is not None
        values = [
            *measure.values_over_the_run(self.prometheus, elapsed_s, begin_us / 1e6),
            *measure.values_at_the_end(self.prometheus),
        ]
        scrapes = self.prometheus.query(f"avg by (job) (avg_over_time(scrape_duration_seconds[{round(elapsed_s)}s]))")
        return replace(
            record,
            rules=measure.rules_of(self.prometheus),
            targets=self._targets(),
            values=tuple(values),
            points=tuple(measure.lag_over_the_run(self.prometheus, elapsed_s)),
            counted=tuple(counted),
            scrape_s={labels["job"]: round(seconds, 4) for labels, seconds in scrapes},
        )

    def _save(self, record: MonitoringRecord) -> None:
        parts.MONITORING.write(self._run_dir, record)

    def stop(self) -> None:
        """End everything and remove its files; may be called at any time, more than once."""
        self._undo.close()


def exporter_plan(stack: Stack, port: int, login: Login, interval_s: float) -> ExporterPlan:
    """What the exporter is to be told of a stack."""
    try:
        internal = stack.internal_client_config()
    except UsageError:
        internal = None
    brokers = {str(one.broker): one.address for one in stack.listeners() if one.name == "internal"}
    certificate = stack.client_certificates().get("valid")
    return ExporterPlan(
        port=port,
        user=login.user,
        password=login.password,
        interval_s=interval_s,
        client=stack.client_config(VERIFIER_PRINCIPAL),
        internal=internal,
        brokers=brokers if internal is not None else {},
        listeners=tuple(
            ListenerTarget(name=one.name.upper(), broker=one.broker, address=one.address) for one in stack.listeners()
        ),
        certificate=None if certificate is None else (str(certificate[0]), str(certificate[1])),
    )
