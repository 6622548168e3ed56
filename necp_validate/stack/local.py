"""Three real brokers as processes on this host: no container engine, no Java to install, no root."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from necp_validate.events.topics import CORE_PRINCIPAL
from necp_validate.results import StackError, UsageError
from necp_validate.stack.aot import AotCache
from necp_validate.stack.bringup import Stages, bring_up, wait_listening
from necp_validate.stack.config import (
    BROKERS,
    LOGGING_OPTIONS,
    SECURITY,
    BrokerSettings,
    JvmSettings,
    broker_principal,
    compiler_options,
)
from necp_validate.stack.core import ProcessService, start_core_process
from necp_validate.stack.death import broker_died, last_words
from necp_validate.stack.layout import ClusterLayout
from necp_validate.stack.ports import free_ports, require_free
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import ADMIN, BrokerInfo, BrokerSample, Progress, StackDescription
from necp_validate.stack.runtime import KAFKA_VERSION, KafkaRuntime, load_runtime
from necp_validate.stack.sampling import DiskCounter, sample_process
from necp_validate.stack.workdir import disown, new_directory, sweep

HOST = "127.0.0.1"
_AOT_DUMP_TIMEOUT_S = 120.0
_RECORDER = 1
# What a Java runtime ends with that trips over a damaged cache: SIGABRT, SIGBUS, SIGSEGV.
_CRASHES = frozenset({-signal.SIGABRT, -signal.SIGBUS, -signal.SIGSEGV})


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
        use_aot: start faster with Java's AOT cache; where there is none, record one while the stack runs.
        on_launched: called when the brokers' processes are there, long before they are ready.
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
        on_launched: Callable[[], None] | None = None,
    ) -> None:
        self._parent = parent
        self._log_dir = log_dir
        self._base_port = base_port
        self._jvm = jvm or JvmSettings()
        self._overrides = dict(overrides or {})
        self._kafka_version = kafka_version
        self._detached = detached
        self._use_aot = use_aot
        self._on_launched = on_launched
        self._attached = False
        self._directory: Path | None = None
        self._layout: ClusterLayout | None = None
        self._runtime: KafkaRuntime | None = None
        self._aot: AotCache | None = None
        self._recording: Path | None = None
        self._processes: dict[int, ManagedProcess] = {}
        self._ended: set[int] = set()
        self._services: list[ProcessService] = []
        self._stages = Stages()
        self._progress: Progress = _silent

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds since the start at which each stage was complete."""
        return self._stages.seconds()

    @property
    def layout(self) -> ClusterLayout:
        """Files, ports and passwords of the cluster."""
        if self._layout is None:
            raise StackError("the stack has not been started")
        return self._layout

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self._log_dir or self.layout.directory / "logs"

    def start(self, progress: Progress) -> None:
        """Bring it up; come back only when every part of it is ready.

        Raises:
            StackError: a part could not be brought up; whatever had been started is ended.
        """
        if self._attached:
            self.check_alive()
            return
        self._progress = progress
        self._stages = Stages()
        try:
            self._start(progress)
        except BaseException as error:
            crashed = self._crashed()
            last = self._logs_of_all() if isinstance(error, OSError) else ""
            self.stop()
            if crashed and self._aot is not None:
                progress("Java cannot use its start-up cache; starting without it")
                self._aot.discard()
                self._use_aot = False
                self.start(progress)
                return
            if isinstance(error, OSError):
                hint = "see that there is space left and that the folder can be written"
                raise StackError(f"the stack could not be started: {error}", hint=hint, detail=last) from error
            raise

    def _start(self, progress: Progress) -> None:
        progress("preparing Java and Kafka")
        sweep(self._parent)
        self._runtime = load_runtime(self._kafka_version)
        self._aot = AotCache.for_runtime(self._runtime, self._jvm.arguments()) if self._use_aot else None
        self._directory = new_directory(self._parent)
        if self._detached:
            disown(self._directory)
        settings = self._plan(self._directory, self._ports())
        self._layout = ClusterLayout.create(self._directory, settings, self._runtime, overrides=self._overrides)
        self.logs.mkdir(parents=True, exist_ok=True)
        aot_options = self._aot.use_options() if self._aot else []
        if self._aot is not None and not aot_options and not self._detached:
            self._recording = self._aot.new_output()
        self._stages.mark("prepared")
        progress(f"starting {BROKERS} brokers")
        for broker in self._layout.settings:
            recorded = self._aot.record_options(self._recording) if self._aot and self._recording else []
            self._launch(broker, recorded if broker == _RECORDER else aot_options)
        self._stages.mark("launched")
        if self._on_launched is not None:
            self._on_launched()
        bring_up(self._layout, self._stages, progress, self.check_alive)

    def _ports(self) -> list[int]:
        if self._base_port is None:
            return free_ports(3 * BROKERS, HOST)
        fixed = [self._base_port + 10 * number + offset for number in range(BROKERS) for offset in (2, 3, 4)]
        require_free(fixed, HOST)
        return fixed

    @staticmethod
    def _plan(directory: Path, ports: Sequence[int]) -> list[BrokerSettings]:
        plan = []
        for broker in range(1, BROKERS + 1):
            controller, internal, external = ports[3 * (broker - 1) : 3 * broker]
            plan.append(
                BrokerSettings(
                    id=broker,
                    bind=HOST,
                    internal_host=HOST,
                    external_host=HOST,
                    internal_port=internal,
                    external_port=external,
                    controller_port=controller,
                    log_dir=str(directory / f"broker-{broker}" / "data"),
                    store=str(directory / "pki" / f"{broker_principal(broker)}.store.pem"),
                    ca=str(directory / "pki" / "ca.pem"),
                )
            )
        return plan

    def _launch(self, broker: int, aot_options: Sequence[str]) -> None:
        runtime = self._runtime or load_runtime(self._kafka_version)
        command = runtime.command(
            "kafka.Kafka",
            options=[
                *self._jvm.arguments(),
                *compiler_options(str(self.layout.directives_file(broker))),
                *aot_options,
                *LOGGING_OPTIONS,
            ],
            arguments=[str(self.layout.properties_file(broker))],
        )
        log = self.logs / f"broker-{broker}.log"
        self._processes[broker] = ManagedProcess.spawn(command, log=log, detached=self._detached)
        self._ended.discard(broker)

    def stop(self) -> None:
        """End every process, remove every file. May be called at any time, more than once.

        A stack that another command brought up stays; only what this one started on it is ended.
        """
        for service in self._services:
            service.kill()
        if self._attached:
            return
        try:
            self._save_recording()
        finally:
            self.destroy()

    def destroy(self) -> None:
        """End every process and remove every file, of an attached stack too."""
        for process in self._processes.values():
            process.signal(signal.SIGKILL)
        for process in self._processes.values():
            process.wait(30.0)
        self._ended.update(self._processes)
        if self._recording is not None:
            self._recording.unlink(missing_ok=True)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _save_recording(self) -> None:
        """Let the recording broker write the cache for later starts, if the stack has done its work."""
        unfinished = "ready" not in self._stages.seconds() or sys.exc_info()[0] is not None
        if self._recording is None or self._aot is None or unfinished or not self.broker_alive(_RECORDER):
            return
        self._progress("saving Java's start-up cache for the next runs (once)")
        self._ended.add(_RECORDER)
        if self._processes[_RECORDER].terminate(_AOT_DUMP_TIMEOUT_S):
            self._aot.install(self._recording)

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker, running or not."""
        return tuple(
            BrokerInfo(
                id=broker,
                host=settings.external_host,
                external_port=settings.external_port,
                internal_port=settings.internal_port,
                pid=self._processes[broker].pid if broker in self._processes else None,
            )
            for broker, settings in self.layout.settings.items()
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
        self._launch(broker, self._aot.use_options() if self._aot else [])
        wait_listening(self.layout, broker, timeout_s=timeout_s, check=self.check_alive)

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
        return self.layout.client_config(principal)

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""
        return self.layout.internal_client_config(principal)

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
        disk = DiskCounter(self.layout.directory)
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
                raise broker_died(broker, process.exit_code, process.log)

    def _crashed(self) -> bool:
        return any(process.exit_code in _CRASHES for process in self._processes.values() if not process.alive())

    def _logs_of_all(self) -> str:
        return "\n".join(f"broker {b}: {last_words(p.log, 5)}" for b, p in self._processes.items())

    def describe(self) -> StackDescription:
        """Say what was brought up."""
        return StackDescription(
            backend="local",
            kafka_version=self._kafka_version,
            java_version=self._runtime.java_version if self._runtime else "",
            brokers=self.brokers(),
            security=SECURITY,
            heap=self._jvm.heap,
            io_source=DiskCounter(self.layout.directory).source,
            faults=frozenset({"kill", "stop", "pause"}),
        )

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""
        processes = self._processes.items()
        return {
            "layout": self.layout.state(),
            "kafka_version": self._kafka_version,
            "logs": str(self.logs),
            "heap_mib": [self._jvm.heap_min_mib, self._jvm.heap_max_mib],
            "processes": [{"broker": b, "pid": p.pid, "birth": p.birth, "log": str(p.log)} for b, p in processes],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LocalStack:
        """Return the stack that ``state`` was taken from; its brokers may be gone by now."""
        low, high = state["heap_mib"]
        stack = cls(
            log_dir=Path(state["logs"]),
            jvm=JvmSettings(heap_min_mib=low, heap_max_mib=high),
            kafka_version=state["kafka_version"],
            detached=True,
        )
        stack._attached = True
        stack._layout = ClusterLayout.from_state(state["layout"])
        stack._directory = stack._layout.directory
        for entry in state["processes"]:
            process = ManagedProcess(entry["pid"], entry["birth"], Path(entry["log"]))
            stack._processes[entry["broker"]] = process
        return stack


def _silent(message: str) -> None:
    """Take a message and do nothing with it."""
