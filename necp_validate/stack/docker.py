"""Three real brokers and the event core in containers on this host."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker.errors
from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

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
from necp_validate.stack.core import CORE_MODULE, core_environment
from necp_validate.stack.death import broker_died
from necp_validate.stack.docker_engine import Guard, connect, create_network, why_not_docker
from necp_validate.stack.docker_guard import LABEL, remove_all
from necp_validate.stack.docker_image import JAVA, class_path, ensure_image
from necp_validate.stack.docker_service import ContainerService, container_alive, container_pid, kill_container
from necp_validate.stack.docker_usage import ContainerUsage
from necp_validate.stack.layout import ClusterLayout, external_address
from necp_validate.stack.ports import free_ports, require_free
from necp_validate.stack.protocol import ADMIN, BrokerInfo, BrokerSample, Progress, StackDescription
from necp_validate.stack.runtime import KAFKA_VERSION, KafkaRuntime, load_runtime
from necp_validate.stack.workdir import disown, new_directory, sweep

HOST = "127.0.0.1"
_INTERNAL, _EXTERNAL, _SERVICE, _CONTROLLER = 9093, 9094, 9095, 9092
_HTTP, _METRICS = 8080, 9090
_FOLDER = "/stack"
_AOT_FOLDER = "/aot"
_AOT_DUMP_TIMEOUT_S = 120
_RECORDER = 1
_BROKER_MEMORY = "4g"
_CORE_MEMORY = "1g"


class DockerStack:
    """Kafka in containers: the same brokers as the local stack's, each in a network namespace of its own.

    Clients on this host use ports published on the loopback interface; the event core, in a container too, uses a
    listener of its own with the same protocol and users.

    Args:
        log_dir: folder for logs that are to stay; inside the working directory if None.
        base_port: broker 1 is published at ``base_port`` + 4, broker 2 ten higher and so on; free ports if None.
        jvm: heap and options of the brokers.
        overrides: broker properties that replace the ones decided here.
        kafka_version: version of Kafka.
        detached: let the containers outlive this process.
        use_aot: start faster with Java's AOT cache; where there is none, record one while the stack runs.
        on_launched: called when the containers are there, long before they are ready.
    """

    def __init__(
        self,
        *,
        log_dir: Path | None = None,
        base_port: int | None = None,
        jvm: JvmSettings | None = None,
        overrides: Mapping[str, str] | None = None,
        kafka_version: str = KAFKA_VERSION,
        detached: bool = False,
        use_aot: bool = True,
        on_launched: Callable[[], None] | None = None,
    ) -> None:
        self._log_dir = log_dir
        self._base_port = base_port
        self._jvm = jvm or JvmSettings()
        self._overrides = dict(overrides or {})
        self._kafka_version = kafka_version
        self._detached = detached
        self._use_aot = use_aot
        self._on_launched = on_launched
        self._attached = False
        self._id = secrets.token_hex(4)
        self._client: docker.DockerClient | None = None
        self._guard: Guard | None = None
        self._network = ""
        self._image = ""
        self._java_version = ""
        self._directory: Path | None = None
        self._layout: ClusterLayout | None = None
        self._aot: AotCache | None = None
        self._recording: Path | None = None
        self._containers: dict[int, Any] = {}
        self._ended: set[int] = set()
        self._services: list[ContainerService] = []
        self._stages = Stages()
        self._progress: Progress = lambda _: None
        # Its word on every container that it makes is of no use to the reader.
        logging.getLogger("testcontainers").setLevel(logging.WARNING)

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
            self.stop()
            if isinstance(error, (docker.errors.DockerException, OSError)):
                raise StackError(
                    f"the docker stack could not be started: {error}", hint="see the engine's own log"
                ) from error
            raise

    def _start(self, progress: Progress) -> None:
        progress("preparing Java, Kafka and the image")
        sweep()
        reason = why_not_docker()
        if reason is not None:
            raise StackError(f"the docker stack cannot be used: {reason}", hint="use the local stack")
        self._client = connect()
        runtime = load_runtime(self._kafka_version)
        self._java_version = runtime.java_version
        self._image = ensure_image(self._client, runtime, progress)
        self._stages.mark("image")
        self._directory = new_directory()
        if self._detached:
            disown(self._directory)
        else:
            self._guard = Guard(self._id, self._directory)
        ports = self._ports()
        self._network = f"necp-{self._id}"
        _, prefix = create_network(self._client, self._network, self._id)
        settings = [_settings(broker, f"{prefix}{10 + broker}", port) for broker, port in enumerate(ports, start=1)]
        self._layout = ClusterLayout.create(self._directory, settings, runtime, overrides=self._overrides)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._prepare_aot(runtime)
        self._stages.mark("prepared")
        progress(f"starting {BROKERS} brokers in containers")
        with ThreadPoolExecutor(max_workers=BROKERS) as pool:
            commands = [self._command(broker, runtime) for broker in self._layout.settings]
            made = pool.map(self._create_broker, self._layout.settings, commands)
            self._containers = dict(zip(self._layout.settings, made, strict=True))
        self._stages.mark("launched")
        if self._on_launched is not None:
            self._on_launched()
        bring_up(self._layout, self._stages, progress, self.check_alive)

    def _ports(self) -> list[int]:
        if self._base_port is None:
            return free_ports(BROKERS, HOST)
        fixed = [self._base_port + 10 * number + 4 for number in range(BROKERS)]
        require_free(fixed, HOST)
        return fixed

    def _prepare_aot(self, runtime: KafkaRuntime) -> None:
        if not self._use_aot or self._client is None:
            return
        image_id = str(self._client.images.get(self._image).id)
        parts = [image_id, *self._jvm.arguments()]
        self._aot = AotCache(f"docker-kafka-{runtime.kafka_version}", parts)
        output = self._aot.new_output()
        if not self._aot.usable() and not self._detached:
            self._recording = output

    def _command(self, broker: int, runtime: KafkaRuntime) -> str:
        """Return the shell command that runs a broker; its output goes to a file that this host can read."""
        aot: list[str] = []
        if self._aot is not None and self._recording is None and self._aot.usable():
            aot = self._aot.options_at(f"{_AOT_FOLDER}/{self._aot.path.name}")
        elif self._aot is not None and self._recording is not None and broker == _RECORDER:
            aot = self._aot.record_options(Path(_AOT_FOLDER) / self._recording.name)
        home = f"{_FOLDER}/broker-{broker}"
        directives = compiler_options(f"{home}/{self.layout.directives_file(broker).name}")
        options = [*self._jvm.arguments(), *directives, *aot, *LOGGING_OPTIONS, "-cp", class_path(runtime)]
        words = [JAVA, *options, "kafka.Kafka", f"{home}/server.properties"]
        return _logged(words, f"broker-{broker}")

    def _create_broker(self, broker: int, command: str) -> Any:
        settings, name = self.layout.settings[broker], broker_principal(broker)
        binds = {
            str(self.layout.pki): (f"{_FOLDER}/pki", "ro"),
            str(self.layout.home(broker)): (f"{_FOLDER}/broker-{broker}", "rw"),
        }
        if self._aot is not None:
            binds[str(self._aot.path.parent)] = (_AOT_FOLDER, "rw" if self._recording else "ro")
        return self._run(
            name,
            command,
            binds,
            ports={f"{_EXTERNAL}/tcp": (HOST, settings.advertised_external_port)},
            endpoint={"aliases": [name], "ipv4_address": settings.internal_host},
            memory=_BROKER_MEMORY,
        )

    def _run(
        self,
        name: str,
        command: str,
        binds: Mapping[str, tuple[str, str]],
        *,
        ports: Mapping[str, tuple[str, int | None]],
        endpoint: Mapping[str, Any],
        memory: str,
        env: Mapping[str, str] | None = None,
    ) -> Any:
        """Start a container on the stack's network, with the stack's label, as this user."""
        assert self._client is not None
        testcontainers_config.ryuk_disabled = True  # the guard does its work, and needs no image of its own
        container = DockerContainer(self._image, env=dict(env or {}), name=f"{self._network}-{name}")
        for source, (target, mode) in {**binds, str(self.logs): (f"{_FOLDER}/logs", "rw")}.items():
            container.with_volume_mapping(source, target, mode)
        container.with_command(["sh", "-c", command])
        published: Any = dict(ports)  # its own method for this takes no address to publish at
        container.ports = published
        version = self._client.api._version
        container.with_kwargs(
            labels={LABEL: self._id},
            hostname=name,
            user=f"{os.getuid()}:{os.getgid()}",
            network=self._network,
            networking_config={self._network: EndpointConfig(version, **endpoint)},
            mem_limit=memory,
        )
        return container.start().get_wrapped_container()

    def stop(self) -> None:
        """End every container, remove every file. May be called at any time, more than once.

        A stack that another command brought up stays; only what this one started on it is ended.
        """
        if self._attached:
            for service in self._services:
                service.kill()
            return
        try:
            self._save_recording()
        finally:
            self.destroy()

    def destroy(self) -> None:
        """End every container and remove every file, of an attached stack too."""
        if self._client is not None:
            remove_all(self._client, self._id)
        self._ended.update(self._containers)
        if self._recording is not None:
            self._recording.unlink(missing_ok=True)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def _save_recording(self) -> None:
        """Let the recording broker write the cache for later starts, if the stack has done its work."""
        unfinished = "ready" not in self._stages.seconds() or sys.exc_info()[0] is not None
        if self._recording is None or self._aot is None or unfinished or not self.broker_alive(_RECORDER):
            return
        self._progress("saving Java's start-up cache for the next runs (once)")
        self.stop_broker(_RECORDER, _AOT_DUMP_TIMEOUT_S)
        self._aot.install(self._recording)

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker, running or not."""
        return tuple(
            BrokerInfo(
                id=broker,
                host=HOST,
                external_port=int(external_address(settings).rpartition(":")[2]),
                internal_port=settings.internal_port,
                pid=container_pid(self._containers[broker]) if broker in self._containers else None,
                container=self._containers[broker].name if broker in self._containers else None,
            )
            for broker, settings in self.layout.settings.items()
        )

    def kill_broker(self, broker: int) -> None:
        """End a broker without warning and wait until it is gone."""
        container = self._container(broker)
        self._ended.add(broker)
        kill_container(container)

    def stop_broker(self, broker: int, timeout_s: float = 30.0) -> None:
        """Shut a broker down in an orderly way; kill it after the timeout."""
        container = self._container(broker)
        self._ended.add(broker)
        container.stop(timeout=round(timeout_s))

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Start a broker that was stopped or killed; come back when its listeners accept connections."""
        if self.broker_alive(broker):
            raise StackError(f"broker {broker} is running already")
        self._container(broker).start()
        self._ended.discard(broker)
        wait_listening(self.layout, broker, timeout_s=timeout_s, check=self.check_alive)

    def pause_broker(self, broker: int) -> None:
        """Freeze a broker: its connections stay open, it does nothing."""
        self._container(broker).pause()

    def resume_broker(self, broker: int) -> None:
        """Let a frozen broker go on."""
        self._container(broker).unpause()

    def broker_alive(self, broker: int) -> bool:
        """Tell whether a broker's container runs (a frozen one does)."""
        return container_alive(self._container(broker))

    def _container(self, broker: int) -> Any:
        try:
            return self._containers[broker]
        except KeyError:
            known = ", ".join(map(str, self._containers)) or "none"
            raise UsageError(f"there is no broker {broker}; known: {known}") from None

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties for the external listener."""
        return self.layout.client_config(principal)

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""
        return self.layout.internal_client_config(principal)

    def start_core(self, instance: str, env: Mapping[str, str]) -> ContainerService:
        """Start one instance of the event core in a container."""
        ca = f"{_FOLDER}/ca.pem"
        servers = [f"{settings.service_host}:{settings.service_port}" for settings in self.layout.settings.values()]
        client = {**self.layout.client_config(CORE_PRINCIPAL, servers), "ssl.ca.location": ca}
        settings = core_environment(instance, client, http_port=_HTTP, metrics_port=_METRICS)
        full = {**settings, **env}
        http_port, metrics_port = free_ports(2, HOST)
        ports = {f"{full['HTTP_PORT']}/tcp": (HOST, http_port), f"{full['METRICS_PORT']}/tcp": (HOST, metrics_port)}
        try:
            container = self._run(
                instance,
                _logged(["python3", "-m", CORE_MODULE], instance),
                {str(self.layout.ca): (ca, "ro")},
                ports=ports,
                endpoint={"aliases": [instance]},
                memory=_CORE_MEMORY,
                env=full,
            )
        except docker.errors.DockerException as error:
            raise StackError(f"{instance} cannot be started: {error}") from error
        service = ContainerService(instance, container, http_port, metrics_port, self.logs / f"{instance}.log")
        self._services.append(service)
        return service

    def sample(self) -> list[BrokerSample]:
        """Read the counters of every broker that runs."""
        pids = {broker: container_pid(container) for broker, container in self._containers.items()}
        usage = ContainerUsage(self.layout.directory)
        samples = [usage.sample(broker, pid) for broker, pid in pids.items() if pid]
        return [sample for sample in samples if sample is not None]

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: a broker died that nobody ended on purpose.
        """
        for broker, container in self._containers.items():
            if broker not in self._ended and not container_alive(container):
                code = container.attrs["State"]["ExitCode"]
                # The engine adds 128 to the number of the signal that ended a process.
                raise broker_died(broker, 128 - code if code > 128 else code, self.logs / f"broker-{broker}.log")

    def describe(self) -> StackDescription:
        """Say what was brought up."""
        return StackDescription(
            backend="docker",
            kafka_version=self._kafka_version,
            java_version=self._java_version,
            brokers=self.brokers(),
            security={**SECURITY, "service": SECURITY["external"]},
            heap=self._jvm.heap,
            io_source=ContainerUsage(self.layout.directory).source,
            faults=frozenset({"kill", "stop", "pause"}),
        )

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""
        return {
            "id": self._id,
            "network": self._network,
            "image": self._image,
            "layout": self.layout.state(),
            "kafka_version": self._kafka_version,
            "java_version": self._java_version,
            "logs": str(self.logs),
            "heap_mib": [self._jvm.heap_min_mib, self._jvm.heap_max_mib],
            "containers": {broker: container.name for broker, container in self._containers.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DockerStack:
        """Return the stack that ``state`` was taken from.

        Raises:
            StackError: the engine does not answer, or a container is gone.
        """
        low, high = state["heap_mib"]
        stack = cls(
            log_dir=Path(state["logs"]),
            jvm=JvmSettings(heap_min_mib=low, heap_max_mib=high),
            kafka_version=state["kafka_version"],
            detached=True,
        )
        stack._attached = True
        stack._client = connect()
        stack._id, stack._network, stack._image = state["id"], state["network"], state["image"]
        stack._java_version = state["java_version"]
        stack._layout = ClusterLayout.from_state(state["layout"])
        stack._directory = stack._layout.directory
        for broker, name in state["containers"].items():
            stack._containers[int(broker)] = _Gone.or_container(stack._client, name)
        return stack


class _Gone:
    """Stands for a container that is not there any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attrs = {"State": {"ExitCode": 0}}

    @staticmethod
    def or_container(client: docker.DockerClient, name: str) -> Any:
        try:
            return client.containers.get(name)
        except docker.errors.NotFound:
            return _Gone(name)

    def reload(self) -> None:
        raise docker.errors.NotFound(f"{self.name} is gone")


def _settings(broker: int, address: str, port: int) -> BrokerSettings:
    name = broker_principal(broker)
    return BrokerSettings(
        id=broker,
        bind="0.0.0.0",
        internal_host=address,
        external_host=HOST,
        internal_port=_INTERNAL,
        external_port=_EXTERNAL,
        controller_port=_CONTROLLER,
        log_dir=f"{_FOLDER}/{name}/data",
        store=f"{_FOLDER}/pki/{name}.store.pem",
        ca=f"{_FOLDER}/pki/ca.pem",
        advertised_external_port=port,
        service_host=name,
        service_port=_SERVICE,
    )


def _logged(words: Sequence[str], name: str) -> str:
    return f"exec {shlex.join(words)} >> {_FOLDER}/logs/{name}.log 2>&1"
