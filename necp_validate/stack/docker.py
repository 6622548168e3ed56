"""Three real brokers, the event core and the gateway in containers on this host."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Unpack

import docker
import docker.errors
from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.stack import delays
from necp_validate.stack.aot import AotCache
from necp_validate.stack.authorities import TRUSTED, TRUSTED_BY_CONTROLLERS
from necp_validate.stack.base import RECORDER
from necp_validate.stack.config import (
    BROKERS,
    LOGGING_OPTIONS,
    SECURITY,
    BrokerSettings,
    broker_principal,
    compiler_options,
)
from necp_validate.stack.disks import Disk, can_mount
from necp_validate.stack.docker_engine import Guard, connect, create_network, why_not_docker
from necp_validate.stack.docker_guard import labels, remove_all, remove_orphans
from necp_validate.stack.docker_image import JAVA, class_path, ensure_image
from necp_validate.stack.docker_links import NEEDS, DockerLinks
from necp_validate.stack.docker_service import ContainerService, GatewayContainer, ManagedContainer
from necp_validate.stack.docker_usage import ContainerUsage
from necp_validate.stack.faulty import FaultyStack
from necp_validate.stack.gateway import GATEWAY, PlayersAddress, gateway_environment, require_alone
from necp_validate.stack.jmx import CONFIG_FILE
from necp_validate.stack.layout import ClusterLayout
from necp_validate.stack.namespaces import WorkerNetwork
from necp_validate.stack.options import StackOptions
from necp_validate.stack.packet_filter import find_program
from necp_validate.stack.player_links import DockerPlayerLinks
from necp_validate.stack.ports import free_ports, require_free
from necp_validate.stack.protocol import GATEWAY_NODE, BrokerSample, FaultUnavailable, Progress
from necp_validate.stack.runtime import KafkaRuntime, load_runtime
from necp_validate.stack.service import COLLECTOR, CORE, ServiceKind, publisher_of
from necp_validate.stack.workdir import disown, new_directory, sweep

HOST = "127.0.0.1"
_INTERNAL, _EXTERNAL, _SERVICE, _CONTROLLER = 9093, 9094, 9095, 9092
_HTTP, _METRICS, _JMX = 8080, 9090, 9404
_AGENT = "/opt/kafka/jmx.jar"
_GATEWAY_HTTP, _GATEWAY_METRICS, _UDP, _WEBSOCKET = 8081, 9091, 7777, 8080
_GATEWAY_ALIAS, _GATEWAY_NUMBER = "gateway", 21
_FOLDER = "/stack"
_AOT_FOLDER = "/aot"
_BROKER_MEMORY = "4g"
_SERVICE_MEMORY = "1g"
_NEEDS_BROKER = "needs a broker that runs"


class DockerStack(FaultyStack[ManagedContainer]):
    """Kafka in containers: the same brokers as the local stack's, each in a network namespace of its own.

    Clients on this host use ports published on the loopback interface (broker 1 at ``base_port`` + 4, broker 2 ten
    higher and so on); event core and gateway, in containers too, use a listener of their own with the same protocol and
    users. Players reach the gateway at its container's own address: the engine's proxy would be a part of what is
    measured, and the ports are those that the gateway itself tells them.
    """

    backend = "docker"
    security: ClassVar[Mapping[str, str]] = {**SECURITY, "service": SECURITY["external"]}

    def __init__(self, **options: Unpack[StackOptions]) -> None:
        super().__init__(**options)
        self._id = secrets.token_hex(4)
        self._client: docker.DockerClient | None = None
        self._guard: Guard | None = None
        self._network = ""
        self._image = ""
        self._program: str | None = None
        self._mountable: bool | None = None
        self._delayable: bool | None = None
        self._gateway: ManagedContainer | None = None
        # Its word on every container that it makes is of no use to the reader.
        logging.getLogger("testcontainers").setLevel(logging.WARNING)

    def _explain(self, error: BaseException) -> StackError | None:
        if not isinstance(error, (docker.errors.DockerException, OSError)):
            return None
        return StackError(f"the docker stack could not be started: {error}", hint="see the engine's own log")

    def _prepare(self, progress: Progress) -> KafkaRuntime:
        progress("preparing Java, Kafka and the image")
        sweep(self._parent)
        reason = why_not_docker()
        if reason is not None:
            raise StackError(f"the docker stack cannot be used: {reason}", hint="use the local stack")
        self._client = connect()
        remove_orphans(self._client)
        runtime = load_runtime(self._kafka_version)
        self._image = ensure_image(self._client, runtime, progress)
        self._stages.mark("image")
        self._directory = new_directory(self._parent)
        if self._detached:
            disown(self._directory)
        else:
            self._guard = Guard(self._id, self._directory)
        ports = self._ports()
        self._network = f"necp-{self._id}"
        _, prefix = create_network(self._client, self._network, self._labels())
        metrics_port = 0 if self._jmx is None else _JMX
        settings = [
            _settings(broker, f"{prefix}{10 + broker}", port, metrics_port)
            for broker, port in enumerate(ports, start=1)
        ]
        self._layout = ClusterLayout.create(
            self._directory,
            settings,
            runtime,
            overrides=self._overrides,
            gateway_hosts=[_GATEWAY_ALIAS, f"{prefix}{_GATEWAY_NUMBER}"],
        )
        return runtime

    def _labels(self) -> dict[str, str]:
        return labels(self._id, owned=not self._detached)

    def _aot_cache(self, runtime: KafkaRuntime) -> AotCache:
        assert self._client is not None
        image_id = str(self._client.images.get(self._image).id)
        return AotCache(f"docker-kafka-{runtime.kafka_version}", [image_id, *self._jvm.arguments()])

    def _launch_all(self, runtime: KafkaRuntime) -> None:
        with ThreadPoolExecutor(max_workers=BROKERS) as pool:
            commands = [self._command(broker, runtime) for broker in self.layout.settings]
            made = pool.map(self._create_broker, self.layout.settings, commands)
            self._brokers = dict(zip(self.layout.settings, made, strict=True))

    def _launch_again(self, broker: int) -> None:
        self._brokers[broker].start()

    def _ports(self) -> list[int]:
        if self._base_port is None:
            return free_ports(BROKERS, HOST)
        fixed = [self._base_port + 10 * number + 4 for number in range(BROKERS)]
        require_free(fixed, HOST)
        return fixed

    def _command(self, broker: int, runtime: KafkaRuntime) -> str:
        """Return the shell command that runs a broker; its output goes to a file that this host can read."""
        aot: list[str] = []
        if self._aot is not None and self._aot_usable:
            aot = self._aot.options_at(f"{_AOT_FOLDER}/{self._aot.path.name}")
        elif self._aot is not None and self._recording is not None and broker == RECORDER:
            aot = self._aot.record_options(Path(_AOT_FOLDER) / self._recording.name)
        home = f"{_FOLDER}/broker-{broker}"
        directives = compiler_options(f"{home}/{self.layout.directives_file(broker).name}")
        options = [*self._jvm.arguments(), *directives, *aot, *LOGGING_OPTIONS]
        if self._jmx is not None:
            settings = self.layout.settings[broker]
            address = f"{settings.internal_host}:{settings.metrics_port}"
            options.append(self._jmx.option(_AGENT, address, f"{home}/{CONFIG_FILE}"))
        options += ["-cp", class_path(runtime)]
        words = [JAVA, *options, "kafka.Kafka", f"{home}/server.properties"]
        return _logged(words, f"broker-{broker}")

    def _create_broker(self, broker: int, command: str) -> ManagedContainer:
        settings, name = self.layout.settings[broker], broker_principal(broker)
        binds = {
            str(self.layout.pki): (f"{_FOLDER}/pki", "ro"),
            str(self.layout.home(broker)): (f"{_FOLDER}/broker-{broker}", "rw"),
        }
        if self._jmx is not None:
            binds[str(self._jmx.jar.resolve())] = (_AGENT, "ro")
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
    ) -> ManagedContainer:
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
            labels=self._labels(),
            hostname=name,
            user=f"{os.getuid()}:{os.getgid()}",
            network=self._network,
            networking_config={self._network: EndpointConfig(version, **endpoint)},
            mem_limit=memory,
        )
        return ManagedContainer(container.start().get_wrapped_container())

    def _end(self) -> None:
        if self._client is not None:
            remove_all(self._client, self._id)

    def destroy(self) -> None:
        """End every container and remove every file, of an attached stack too."""
        super().destroy()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def start_core(self, instance: str, env: Mapping[str, str]) -> ContainerService:
        """Start one instance of the event core in a container."""
        keyring = self.layout.keyring
        given = {"AUDIT_KEYRING": f"{_FOLDER}/audit/{keyring.name}", **env}
        # The folder, not the file: beside it the store makes a journal.
        return self._start_plain(CORE, instance, given, {str(keyring.parent): (f"{_FOLDER}/audit", "rw")})

    def start_collector(self, instance: str, env: Mapping[str, str]) -> ContainerService:
        """Start the collector of security events in a container."""
        return self._start_plain(COLLECTOR, instance, {"COLLECTOR_LOG_DIR": f"{_FOLDER}/logs", **env}, {})

    def _start_plain(
        self, kind: ServiceKind, instance: str, env: Mapping[str, str], binds: Mapping[str, tuple[str, str]]
    ) -> ContainerService:
        """Start a service that others reach by its name alone."""
        endpoint = {"aliases": [instance]}
        made = self._start_service(kind, instance, env, binds, ports=(_HTTP, _METRICS), endpoint=endpoint)
        service = ContainerService(instance, *made, self.logs / f"{instance}.log")
        self._services.append(service)
        return service

    def start_publisher(self, domain: Domain, env: Mapping[str, str]) -> ContainerService:
        """Start the publisher of a domain in a container."""
        return self._start_plain(
            publisher_of(domain), f"publisher-{domain}", {"PUBLISHER_DOMAIN": str(domain), **env}, {}
        )

    def start_gateway(self, instance: str, env: Mapping[str, str]) -> GatewayContainer:
        """Start the real-time gateway in a container, at the same address as the one before."""
        require_alone(self._services)
        network, _, _ = self.layout.settings[1].internal_host.rpartition(".")
        address = PlayersAddress(host=f"{network}.{_GATEWAY_NUMBER}", udp_port=_UDP, websocket_port=_WEBSOCKET)
        files = (*self.layout.players.gateway(), self.player_tls().ca)
        inside = [f"{_FOLDER}/players/{file.name}" for file in files]
        made = self._start_service(
            GATEWAY,
            instance,
            {**gateway_environment(address, *inside), **env},
            {str(file): (target, "ro") for file, target in zip(files, inside, strict=True)},
            ports=(_GATEWAY_HTTP, _GATEWAY_METRICS),
            endpoint={"aliases": [instance, _GATEWAY_ALIAS], "ipv4_address": address.host},
        )
        service = GatewayContainer(instance, *made, self.logs / f"{instance}.log")
        service.address = address
        self._services.append(service)
        self._gateway = made[0]
        self._links_again()
        return service

    def _start_service(
        self,
        kind: ServiceKind,
        instance: str,
        env: Mapping[str, str],
        binds: Mapping[str, tuple[str, str]],
        *,
        ports: tuple[int, int],
        endpoint: Mapping[str, Any],
    ) -> tuple[ManagedContainer, int, int]:
        """Start a service in a container; return it and the published ports of its HTTP endpoint and metrics."""
        ca, secrets = f"{_FOLDER}/ca.pem", f"{_FOLDER}/secrets"
        password = self.layout.password_file(kind.principal)
        servers = [f"{settings.service_host}:{settings.service_port}" for settings in self.layout.settings.values()]
        client = {**self.layout.client_config(kind.principal, servers), "ssl.ca.location": ca}
        given = kind.environment(
            instance,
            client,
            http_port=ports[0],
            metrics_port=ports[1],
            password_file=f"{secrets}/{password.name}",
        )
        full = {**given, **env}
        http_port, metrics_port = free_ports(2, HOST)
        published = {f"{full['HTTP_PORT']}/tcp": (HOST, http_port), f"{full['METRICS_PORT']}/tcp": (HOST, metrics_port)}
        try:
            assert self._client is not None
            # One run after the other on one stack: each has its core-0.
            ManagedContainer.named(self._client, f"{self._network}-{instance}").remove()
            container = self._run(
                instance,
                _logged(["python3", "-m", kind.module], instance),
                # The folder: a file that is replaced would stay as it was in a container that has only the file.
                {**binds, str(self.layout.ca): (ca, "ro"), str(password.parent): (secrets, "ro")},
                ports=published,
                endpoint=endpoint,
                memory=_SERVICE_MEMORY,
                env=full,
            )
        except docker.errors.DockerException as error:
            raise StackError(f"{instance} cannot be started: {error}") from error
        return container, http_port, metrics_port

    def worker_network(self) -> WorkerNetwork:
        """Return the engine's own network, where brokers have a listener for services."""
        assert self._client is not None
        bridge = f"br-{self._client.networks.get(self._network).id[:12]}"
        if not Path(f"/sys/class/net/{bridge}").exists():
            raise FaultUnavailable(f"needs the engine's bridge {bridge} on this host")
        settings = self.layout.settings.values()
        prefix, _, _ = self.layout.settings[1].internal_host.rpartition(".")
        return WorkerNetwork(
            bridge=bridge,
            prefix=f"{prefix}.",
            gateway=f"{prefix}.1",
            hosts={one.service_host: one.internal_host for one in settings},
            bootstrap=",".join(f"{one.service_host}:{one.service_port}" for one in settings),
        )

    def shared_file(self, name: str) -> tuple[Path, str]:
        """Return a place for a file that services read: as it is here, and as they see it."""
        return self.logs / name, f"{_FOLDER}/logs/{name}"

    def _willing(self) -> ManagedContainer | None:
        """Return a broker's container that takes commands now."""
        return next((self._brokers[broker] for broker in self._brokers if self._reachable(broker)), None)

    def _reachable(self, broker: int) -> bool:
        return self._brokers[broker].has_shell()

    def _why_no_links(self) -> str:
        if self._program is None:
            container = self._willing()
            if container is None:
                return _NEEDS_BROKER
            self._program = find_program(container.shell)
        return "" if self._program else NEEDS

    def _why_no_delay(self) -> str:
        if self._delayable is None:
            container = self._willing()
            if container is None:
                return _NEEDS_BROKER
            self._delayable = delays.can_delay(container.shell, self._program or "")
        return "" if self._delayable else delays.NEEDS

    def _why_no_disks(self) -> str:
        if self._mountable is None:
            container = self._willing()
            if container is None:
                return _NEEDS_BROKER
            self._mountable = can_mount(container.shell)
        return "" if self._mountable else "needs containers that may mount (an engine that allows privileged commands)"

    def _make_links(self) -> DockerLinks:
        held = delays.Delays(self._id, self.layout.directory)
        return DockerLinks(self._id, self.layout.settings, self._brokers, self._program or "", held)

    def _make_player_links(self) -> DockerPlayerLinks:
        held = delays.Delays(self._id, self.layout.directory)
        return DockerPlayerLinks(self._id, held, self._program or "", lambda: self._gateway, _UDP)

    def _has_gateway(self) -> bool:
        return self._gateway is not None

    def slow(self, node: str, *, delay_ms: float, loss: float = 0.0) -> None:
        """Make every link of a node slow, lossy or both, each way; the last call for a node counts."""
        if node == GATEWAY_NODE and loss:
            self._require("slow")  # what the gateway sends is lost by way of a queue
        super().slow(node, delay_ms=delay_ms, loss=loss)

    def _make_disk(self, broker: int) -> Disk:
        return Disk(self._brokers[broker].shell, self.layout.settings[broker].log_dir, f"necp-{self._id}")

    def sample(self) -> list[BrokerSample]:
        """Read the counters of every broker that runs."""
        pids = {broker: container.pid for broker, container in self._brokers.items()}
        usage = ContainerUsage(self.layout.directory)
        samples = [usage.sample(broker, pid) for broker, pid in pids.items() if pid]
        return [sample for sample in samples if sample is not None]

    @property
    def io_source(self) -> str:
        """What the disk operations of a sample count."""
        return ContainerUsage(self.layout.directory).source

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""
        return {
            **super().state(),
            "id": self._id,
            "network": self._network,
            "image": self._image,
            "gateway": self._gateway.container if self._gateway else None,
            "containers": {broker: container.container for broker, container in self._brokers.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DockerStack:
        """Return the stack that ``state`` was taken from; its containers may be gone by now.

        Raises:
            StackError: the engine does not answer.
        """
        stack = cls._attach(state)
        stack._client = connect()
        stack._id, stack._network, stack._image = state["id"], state["network"], state["image"]
        for broker, name in state["containers"].items():
            stack._brokers[int(broker)] = ManagedContainer.named(stack._client, name)
        if state.get("gateway"):
            stack._gateway = ManagedContainer.named(stack._client, state["gateway"])
        return stack


def _settings(broker: int, address: str, port: int, metrics_port: int) -> BrokerSettings:
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
        ca=f"{_FOLDER}/pki/{TRUSTED}",
        controllers_ca=f"{_FOLDER}/pki/{TRUSTED_BY_CONTROLLERS}",
        advertised_external_port=port,
        service_host=name,
        service_port=_SERVICE,
        metrics_port=metrics_port,
    )


def _logged(words: Sequence[str], name: str) -> str:
    return f"exec {shlex.join(words)} >> {_FOLDER}/logs/{name}.log 2>&1"
