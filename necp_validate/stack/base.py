"""What the stacks that bring brokers up share: the order of the start, the end, and what can be done to a broker."""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, Unpack

from necp_validate.core import StackError, UsageError
from necp_validate.stack.aot import AotCache
from necp_validate.stack.bringup import Stages, bring_up, wait_listening
from necp_validate.stack.config import BROKERS, SECURITY, JvmSettings
from necp_validate.stack.death import broker_died
from necp_validate.stack.jmx import USER, JmxAgent
from necp_validate.stack.layout import ClusterLayout, external_address
from necp_validate.stack.namespaces import WorkerNetwork
from necp_validate.stack.options import StackOptions
from necp_validate.stack.protocol import (
    ADMIN,
    BrokerInfo,
    BrokerMetrics,
    ClientVariant,
    FaultUnavailable,
    ListenerInfo,
    PlayerTls,
    PlayerVariant,
    Progress,
    ServiceHandle,
    StackDescription,
)
from necp_validate.stack.running import Running
from necp_validate.stack.runtime import KAFKA_VERSION, KafkaRuntime

RECORDER = 1
"""The broker that records Java's AOT cache where there is none."""
_AOT_DUMP_TIMEOUT_S = 120.0

Broker = TypeVar("Broker", bound=Running)


class BrokerStack(ABC, Generic[Broker]):
    """A stack whose brokers this suite starts itself; its arguments are those of ``StackOptions``."""

    backend: ClassVar[str]
    security: ClassVar[Mapping[str, str]] = SECURITY

    def __init__(self, **options: Unpack[StackOptions]) -> None:
        self._parent = options.get("parent")
        log_dir = options.get("log_dir")
        self._log_dir = log_dir.resolve() if log_dir else None  # an engine takes a relative path for a volume's name
        self._base_port = options.get("base_port")
        self._jvm = options.get("jvm") or JvmSettings()
        self._overrides = dict(options.get("overrides") or {})
        self._kafka_version = options.get("kafka_version", KAFKA_VERSION)
        self._detached = options.get("detached", False)
        self._jmx_rules = options.get("jmx_rules")
        self._use_aot = options.get("use_aot", True) and self._jmx_rules is None  # see stack.jmx
        self._on_launched = options.get("on_launched")
        self._attached = False
        self._directory: Path | None = None
        self._layout: ClusterLayout | None = None
        self._runtime: KafkaRuntime | None = None
        self._java_version = ""
        self._jmx: JmxAgent | None = None
        self._aot: AotCache | None = None
        self._aot_usable = False
        self._recording: Path | None = None
        self._brokers: dict[int, Broker] = {}
        self._ended: set[int] = set()
        self._services: list[ServiceHandle] = []
        self._stages = Stages()
        self._progress: Progress = lambda _: None

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
            explained = self._explain(error)
            again = self._start_again()
            self.stop()
            if again:
                progress(again)
                self.start(progress)
                return
            if explained is not None:
                raise explained from error
            raise

    def _start(self, progress: Progress) -> None:
        self._jmx = JmxAgent.prepare(self._jmx_rules) if self._jmx_rules is not None else None
        runtime = self._prepare(progress)
        if self._jmx is not None:
            for broker in self.layout.settings:
                self._jmx.write(self.layout.home(broker))
        self._runtime, self._java_version = runtime, runtime.java_version
        self.logs.mkdir(parents=True, exist_ok=True)
        self._aot = self._aot_cache(runtime) if self._use_aot else None
        if self._aot is not None:
            output, self._aot_usable = self._aot.new_output(), self._aot.usable()
            if not self._aot_usable and not self._detached:
                self._recording = output
        self._stages.mark("prepared")
        progress(f"starting {BROKERS} brokers")
        self._launch_all(runtime)
        self._stages.mark("launched")
        if self._on_launched is not None:
            self._on_launched()
        bring_up(self.layout, self._stages, progress, self.check_alive)

    @abstractmethod
    def _prepare(self, progress: Progress) -> KafkaRuntime:
        """Make everything that brokers need: the runtime, the working directory, the cluster's files."""

    @abstractmethod
    def _aot_cache(self, runtime: KafkaRuntime) -> AotCache:
        """Return the AOT cache of brokers as this stack runs them."""

    def on_launch(self, tell: Callable[[], None]) -> None:
        """Call this whenever a broker of an attached stack has been started: it is another process now."""
        self._on_launched = tell

    @abstractmethod
    def _launch_all(self, runtime: KafkaRuntime) -> None:
        """Start every broker for the first time; fill ``_brokers``."""

    @abstractmethod
    def _launch_again(self, broker: int) -> None:
        """Start a broker that was started before and runs no more."""

    @abstractmethod
    def _launched_again(self) -> None:
        """Do what is to be done as soon as a broker has been started again, long before it is ready."""

    @abstractmethod
    def _end(self) -> None:
        """End everything that runs; nothing happens to what is gone."""

    @abstractmethod
    def _explain(self, error: BaseException) -> StackError | None:
        """Return a better error for a start that failed; None if it speaks for itself."""

    def _start_again(self) -> str:
        """Say why a start that failed is worth another try; nothing if it is not."""
        return ""

    def stop(self) -> None:
        """Undo every fault, end every broker and service, remove every file. May be called at any time, more than once.

        A stack that another command brought up stays, without faults; only what this one started on it is ended.
        """
        try:
            for service in self._services:
                service.kill()
            self.undo_faults()
        finally:
            if not self._attached:
                self._finish()

    def _finish(self) -> None:
        try:
            self._save_recording()
        finally:
            self.destroy()

    def destroy(self) -> None:
        """End every broker and remove every file, of an attached stack too."""
        self._end()
        self._ended.update(self._brokers)
        try:
            self.undo_faults()
        finally:
            if self._recording is not None:
                self._recording.unlink(missing_ok=True)
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)

    def _save_recording(self) -> None:
        """Let the recording broker write the cache for later starts, if the stack has done its work."""
        unfinished = "ready" not in self._stages.seconds() or sys.exc_info()[0] is not None
        if self._recording is None or self._aot is None or unfinished or not self.broker_alive(RECORDER):
            return
        self._progress("saving Java's start-up cache for the next runs (once)")
        self._ended.add(RECORDER)
        if self._brokers[RECORDER].terminate(_AOT_DUMP_TIMEOUT_S):
            self._aot.install(self._recording)

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker, running or not."""
        return tuple(self._info(broker) for broker in self.layout.settings)

    def _info(self, broker: int) -> BrokerInfo:
        settings, running = self.layout.settings[broker], self._brokers.get(broker)
        host, _, port = external_address(settings).rpartition(":")
        return BrokerInfo(
            id=broker,
            host=host,
            external_port=int(port),
            internal_port=settings.internal_port,
            pid=running.pid if running else None,
            container=running.container if running else None,
        )

    def kill_broker(self, broker: int) -> None:
        """End a broker without warning and wait until it is gone."""
        running = self._broker(broker)
        self._ended.add(broker)
        running.kill()

    def stop_broker(self, broker: int, timeout_s: float = 30.0) -> None:
        """Shut a broker down in an orderly way; kill it after the timeout."""
        running = self._broker(broker)
        self._ended.add(broker)
        running.terminate(timeout_s)

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Start a broker that was stopped or killed; come back when its listeners accept connections."""
        if self._broker(broker).alive():
            raise StackError(f"broker {broker} is running already")
        self._launch_again(broker)
        self._ended.discard(broker)
        self._launched_again()
        if self._attached and self._on_launched is not None:
            self._on_launched()
        wait_listening(self.layout, broker, timeout_s=timeout_s, check=self.check_alive)

    def pause_broker(self, broker: int) -> None:
        """Freeze a broker: its connections stay open, it does nothing."""
        self._broker(broker).pause()

    def resume_broker(self, broker: int) -> None:
        """Let a frozen broker go on."""
        self._broker(broker).resume()

    def renew_certificate(self, broker: int) -> int:
        """Issue a broker a new certificate, which it serves from its next start on; returns its serial number."""
        self._broker(broker)
        return self.layout.issue_certificate(broker)

    def broker_alive(self, broker: int) -> bool:
        """Tell whether a broker runs (a frozen one does)."""
        return self._broker(broker).alive()

    def _broker(self, broker: int) -> Broker:
        try:
            return self._brokers[broker]
        except KeyError:
            known = ", ".join(map(str, self._brokers)) or "none"
            raise UsageError(f"there is no broker {broker}; known: {known}") from None

    def _broker_log(self, broker: int) -> Path:
        return self.logs / f"broker-{broker}.log"

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: a broker died that nobody ended on purpose.
        """
        for broker, running in self._brokers.items():
            if broker not in self._ended and not running.alive():
                raise broker_died(broker, running.exit_code, self._broker_log(broker))

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties for the external listener."""
        return self.layout.client_config(principal)

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""
        return self.layout.internal_client_config(principal)

    def listeners(self) -> tuple[ListenerInfo, ...]:
        """Return every listener that can be reached from here."""
        return self.layout.listeners()

    def client_certificates(self) -> Mapping[ClientVariant, tuple[Path, Path]]:
        """Return certificate and key of the super user, by variant."""
        return self.layout.admin.files()

    def broker_logs(self) -> Mapping[int, Path]:
        """Return the brokers' logs by node id."""
        return {broker: self._broker_log(broker) for broker in self.layout.settings}

    def audit_keyring(self) -> Path:
        """Return the keys of the audit trail."""
        return self.layout.keyring

    def worker_network(self) -> WorkerNetwork:
        """Refuse: brokers that listen on the loopback interface are reached from no other namespace."""
        raise FaultUnavailable("needs the docker stack: these brokers are on this host's loopback interface")

    def services(self) -> tuple[ServiceHandle, ...]:
        """Return every service that this process has started, running or not."""
        return tuple(self._services)

    def broker_metrics(self) -> BrokerMetrics | None:
        """Return where the brokers' metrics are."""
        if self._jmx is None:
            return None
        addresses = {s.id: f"{s.internal_host}:{s.metrics_port}" for s in self.layout.settings.values()}
        return BrokerMetrics(addresses=addresses, user=USER, password=self._jmx.password)

    def player_tls(self, variant: PlayerVariant = "valid") -> PlayerTls:
        """Return the files with which a player connects to the gateway."""
        return self.layout.players.player(variant)

    @abstractmethod
    def undo_faults(self) -> None:
        """Undo every fault that is in force."""

    @property
    @abstractmethod
    def faults(self) -> frozenset[str]:
        """What this stack can inject on this machine."""

    @property
    @abstractmethod
    def io_source(self) -> str:
        """What the disk operations of a sample count."""

    def describe(self) -> StackDescription:
        """Say what was brought up."""
        return StackDescription(
            backend=self.backend,
            kafka_version=self._kafka_version,
            java_version=self._java_version,
            brokers=self.brokers(),
            security=self.security,
            heap=self._jvm.heap,
            io_source=self.io_source,
            faults=self.faults,
        )

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""
        return {
            "layout": self.layout.state(),
            "kafka_version": self._kafka_version,
            "java_version": self._java_version,
            "logs": str(self.logs),
            "heap_mib": [self._jvm.heap_min_mib, self._jvm.heap_max_mib],
        }

    @classmethod
    def _attach(cls, state: Mapping[str, Any]) -> Self:
        """Return a stack with all that ``state`` of this class says."""
        low, high = state["heap_mib"]
        stack = cls(
            log_dir=Path(state["logs"]),
            jvm=JvmSettings(heap_min_mib=low, heap_max_mib=high),
            kafka_version=state["kafka_version"],
            detached=True,
        )
        stack._attached = True
        stack._java_version = state.get("java_version", "")
        stack._layout = ClusterLayout.from_state(state["layout"])
        stack._directory = stack._layout.directory
        return stack
