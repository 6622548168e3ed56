"""Three real brokers as processes on this host: no container engine, no Java to install, no root."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from necp_validate.events.topics import CORE_PRINCIPAL, PRINCIPALS
from necp_validate.results import StackError, UsageError
from necp_validate.stack.aot import AotCache
from necp_validate.stack.config import (
    BROKERS,
    LOGGING_OPTIONS,
    SCRAM_MECHANISM,
    SECURITY,
    BrokerSettings,
    JvmSettings,
    broker_principal,
    server_properties,
    write_properties,
)
from necp_validate.stack.core import ProcessService, start_core_process
from necp_validate.stack.pki import Authority
from necp_validate.stack.ports import free_ports, listening, require_free
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import ADMIN, BrokerInfo, BrokerSample, Progress, StackDescription
from necp_validate.stack.provision import admin_client, provision
from necp_validate.stack.readiness import wait_brokers, wait_ready
from necp_validate.stack.runtime import KAFKA_VERSION, KafkaRuntime, load_runtime
from necp_validate.stack.sampling import DiskCounter, sample_process
from necp_validate.stack.storage import bootstrap_snapshot, format_directory, new_cluster_id
from necp_validate.stack.waiting import wait_until
from necp_validate.stack.workdir import disown, new_directory, sweep

HOST = "127.0.0.1"
_START_TIMEOUT_S = 120.0


class LocalStack:
    """Kafka on this host, from Python packages alone.

    Args:
        parent: folder for its working directory; the system's temporary folder if None.
        log_dir: folder for logs that are to stay; inside the working directory if None.
        base_port: broker 1 listens at ``base_port`` + 3 (internal) and + 4 (external), broker 2 ten higher and so
            on; free ports are taken if None.
        jvm: heap and options of the brokers.
        overrides: broker properties that replace the ones decided here.
        kafka_version: version of Kafka.
        detached: let the brokers outlive this process.
        use_aot: start faster with Java's AOT cache, where there is one.
    """

    def __init__(
        self,
        *,
        parent: Path | None = None,
        log_dir: Path | None = None,
        base_port: int | None = None,
        jvm: JvmSettings | None = None,
        overrides: Mapping[str, str] | None = None,
        kafka_version: str = KAFKA_VERSION,
        detached: bool = False,
        use_aot: bool = True,
    ) -> None:
        self._parent = parent
        self._log_dir = log_dir
        self._base_port = base_port
        self._jvm = jvm or JvmSettings()
        self._overrides = dict(overrides or {})
        self._kafka_version = kafka_version
        self._detached = detached
        self._use_aot = use_aot
        self._directory: Path | None = None
        self._runtime: KafkaRuntime | None = None
        self._java_options: list[str] = []
        self._settings: dict[int, BrokerSettings] = {}
        self._passwords: dict[str, str] = {}
        self._processes: dict[int, ManagedProcess] = {}
        self._ended: set[int] = set()
        self._services: list[ProcessService] = []
        self._stages: dict[str, float] = {}
        self._started = 0.0

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds since the start at which each stage was complete."""
        return dict(self._stages)

    @property
    def directory(self) -> Path:
        """The working directory."""
        if self._directory is None:
            raise StackError("the stack has not been started")
        return self._directory

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self._log_dir or self.directory / "logs"

    def start(self, progress: Progress) -> None:
        """Bring it up; come back only when every part of it is ready.

        Raises:
            StackError: a part could not be brought up; whatever had been started is ended.
        """
        self._started = time.monotonic()
        try:
            progress("preparing Java and Kafka")
            self._prepare()
            progress(f"starting {BROKERS} brokers")
            for broker in self._settings:
                self._launch(broker)
            self._mark("launched")
            self._wait_cluster(progress)
        except OSError as error:
            last = self._logs_of_all()
            self.stop()
            raise StackError(
                f"the stack could not be started: {error}",
                hint="see that there is space left and that the folder can be written",
                detail=last,
            ) from error
        except BaseException:
            self.stop()
            raise

    def _prepare(self) -> None:
        sweep(self._parent)
        self._runtime = load_runtime(self._kafka_version)
        self._directory = new_directory(self._parent)
        self.logs.mkdir(parents=True, exist_ok=True)
        if self._detached:
            disown(self._directory)
        self._settings = self._plan(self._ports())
        self._passwords = {name: secrets.token_urlsafe(18) for name in (*PRINCIPALS, ADMIN)}
        authority = Authority(self.directory / "pki")
        authority.issue_client(ADMIN)
        for broker in self._settings:
            authority.issue_server(broker_principal(broker), ["localhost", HOST, "::1", broker_principal(broker)])
        snapshot, cluster_id = bootstrap_snapshot(self._runtime), new_cluster_id()
        for broker, settings in self._settings.items():
            format_directory(Path(settings.log_dir), node_id=broker, cluster_id=cluster_id, snapshot=snapshot)
            properties = server_properties(settings, list(self._settings.values()), self._overrides)
            write_properties(self._home(broker) / "server.properties", properties)
        self._java_options = self._jvm.arguments()
        if self._use_aot:
            self._java_options += AotCache(self._runtime, self._jvm.arguments()).use_options()
        self._mark("prepared")

    def _ports(self) -> list[int]:
        if self._base_port is None:
            return free_ports(3 * BROKERS, HOST)
        fixed = [self._base_port + 10 * number + offset for number in range(BROKERS) for offset in (2, 3, 4)]
        require_free(fixed, HOST)
        return fixed

    def _plan(self, ports: Sequence[int]) -> dict[int, BrokerSettings]:
        pki = self.directory / "pki"
        plan = {}
        for broker in range(1, BROKERS + 1):
            controller, internal, external = ports[3 * (broker - 1) : 3 * broker]
            plan[broker] = BrokerSettings(
                id=broker,
                bind=HOST,
                internal_host=HOST,
                external_host=HOST,
                internal_port=internal,
                external_port=external,
                controller_port=controller,
                log_dir=str(self._home(broker) / "data"),
                store=str(pki / f"{broker_principal(broker)}.store.pem"),
                ca=str(pki / "ca.pem"),
            )
        return plan

    def _home(self, broker: int) -> Path:
        return self.directory / f"broker-{broker}"

    def _launch(self, broker: int) -> None:
        assert self._runtime is not None
        command = self._runtime.command(
            "kafka.Kafka",
            options=[*self._java_options, *LOGGING_OPTIONS],
            arguments=[str(self._home(broker) / "server.properties")],
        )
        log = self.logs / f"broker-{broker}.log"
        self._processes[broker] = ManagedProcess.spawn(command, log=log, detached=self._detached)
        self._ended.discard(broker)

    def _wait_cluster(self, progress: Progress) -> None:
        for broker, settings in self._settings.items():
            self._wait_listening(broker, settings, _START_TIMEOUT_S)
        self._mark("listening")
        admin = admin_client(self.internal_client_config())
        wait_brokers(admin, BROKERS, timeout_s=_START_TIMEOUT_S, check=self.check_alive)
        self._mark("joined")
        progress("creating topics, users and ACLs")
        provision(admin, self._passwords)
        self._mark("provisioned")
        progress("waiting for leaders, coordinators and ACLs")
        wait_ready(admin, self._config_at, list(self._settings), timeout_s=60.0, check=self.check_alive)
        self._mark("ready")

    def _wait_listening(self, broker: int, settings: BrokerSettings, timeout_s: float) -> None:
        def both() -> bool:
            self.check_alive()
            return listening(HOST, settings.internal_port) and listening(HOST, settings.external_port)

        wait_until(both, timeout_s=timeout_s, backoff_s=0.05, message=f"broker {broker} did not listen")

    def _mark(self, stage: str) -> None:
        self._stages[stage] = round(time.monotonic() - self._started, 3)

    def stop(self) -> None:
        """End every process, remove every file. May be called at any time, more than once."""
        for service in self._services:
            service.kill()
        for process in self._processes.values():
            process.signal(signal.SIGKILL)
        for process in self._processes.values():
            process.wait(30.0)
        self._ended.update(self._processes)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker, running or not."""
        return tuple(
            BrokerInfo(
                id=broker,
                host=HOST,
                external_port=settings.external_port,
                internal_port=settings.internal_port,
                pid=self._processes[broker].pid if broker in self._processes else None,
            )
            for broker, settings in self._settings.items()
        )

    def kill_broker(self, broker: int) -> None:
        """End a broker without warning and wait until it is gone."""
        process = self._process(broker)
        self._ended.add(broker)
        process.kill()

    def stop_broker(self, broker: int, timeout_s: float = 30.0) -> None:
        """Shut a broker down in an orderly way; kill it after the timeout."""
        process = self._process(broker)
        self._ended.add(broker)
        process.terminate(timeout_s)

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Start a broker that was stopped or killed; come back when its listeners accept connections."""
        if self._process(broker).alive():
            raise StackError(f"broker {broker} is running already")
        self._launch(broker)
        self._wait_listening(broker, self._settings[broker], timeout_s)

    def pause_broker(self, broker: int) -> None:
        """Freeze a broker: its connections stay open, it does nothing."""
        self._process(broker).signal(signal.SIGSTOP)

    def resume_broker(self, broker: int) -> None:
        """Let a frozen broker go on."""
        self._process(broker).signal(signal.SIGCONT)

    def broker_alive(self, broker: int) -> bool:
        """Tell whether a broker's process runs (a frozen one does)."""
        return self._process(broker).alive()

    def _process(self, broker: int) -> ManagedProcess:
        try:
            return self._processes[broker]
        except KeyError:
            known = ", ".join(map(str, self._processes)) or "none"
            raise UsageError(f"there is no broker {broker}; known: {known}") from None

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties for the external listener."""
        servers = ",".join(f"{HOST}:{settings.external_port}" for settings in self._settings.values())
        try:
            password = self._passwords[principal]
        except KeyError:
            known = ", ".join(self._passwords) or "none, the stack has not been started"
            raise UsageError(f"there is no principal {principal!r}; known: {known}") from None
        return {
            "bootstrap.servers": servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": SCRAM_MECHANISM,
            "sasl.username": principal,
            "sasl.password": password,
            "ssl.ca.location": str(self.directory / "pki" / "ca.pem"),
        }

    def _config_at(self, principal: str, broker: int) -> dict[str, str]:
        return {
            **self.client_config(principal),
            "bootstrap.servers": f"{HOST}:{self._settings[broker].external_port}",
        }

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""
        pki = self.directory / "pki"
        return {
            "bootstrap.servers": ",".join(f"{HOST}:{s.internal_port}" for s in self._settings.values()),
            "security.protocol": "SSL",
            "ssl.ca.location": str(pki / "ca.pem"),
            "ssl.certificate.location": str(pki / f"{principal}.cert.pem"),
            "ssl.key.location": str(pki / f"{principal}.key.pem"),
        }

    def start_core(self, instance: str, env: Mapping[str, str]) -> ProcessService:
        """Start one instance of the event core."""
        service = start_core_process(
            instance,
            self.client_config(CORE_PRINCIPAL),
            env,
            log=self.logs / f"{instance}.log",
            detached=self._detached,
        )
        self._services.append(service)
        return service

    def sample(self) -> list[BrokerSample]:
        """Read the counters of every broker that runs."""
        disk = DiskCounter(self.directory)
        samples = (
            sample_process(broker, process.process, disk)
            for broker, process in self._processes.items()
            if process.alive()
        )
        return [sample for sample in samples if sample is not None]

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: a broker died that nobody ended on purpose.
        """
        for broker, process in self._processes.items():
            if broker not in self._ended and not process.alive():
                raise StackError(
                    f"broker {broker} died (exit code {process.exit_code})",
                    detail=f"last log lines of {process.log}:\n{process.log_tail()}",
                    hint="the reason is in its log: often no space left, no memory left or a port in use",
                )

    def _logs_of_all(self) -> str:
        return "\n".join(f"broker {b}: {p.log_tail(5)}" for b, p in self._processes.items())

    def describe(self) -> StackDescription:
        """Say what was brought up."""
        return StackDescription(
            backend="local",
            kafka_version=self._kafka_version,
            java_version=self._runtime.java_version if self._runtime else "",
            brokers=self.brokers(),
            security=SECURITY,
            heap=self._jvm.heap,
            io_source=DiskCounter(self.directory).source,
            faults=frozenset({"kill", "stop", "pause"}),
        )
