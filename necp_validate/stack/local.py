"""Three real brokers as processes on this host: no container engine, no Java to install, no root."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.stack import delays
from necp_validate.stack.aot import AotCache
from necp_validate.stack.authorities import TRUSTED, TRUSTED_BY_CONTROLLERS
from necp_validate.stack.base import RECORDER
from necp_validate.stack.config import BROKERS, LOGGING_OPTIONS, BrokerSettings, broker_principal, compiler_options
from necp_validate.stack.death import last_words
from necp_validate.stack.disks import Disk, can_mount
from necp_validate.stack.faulty import FaultyStack
from necp_validate.stack.gateway import (
    GATEWAY,
    GatewayProcess,
    PlayersAddress,
    gateway_environment,
    require_alone,
    start_gateway_process,
)
from necp_validate.stack.jmx import CONFIG_FILE, JmxAgent
from necp_validate.stack.layout import ClusterLayout
from necp_validate.stack.local_links import NEEDS, LocalLinks, group_of, host_program
from necp_validate.stack.player_links import LocalPlayerLinks
from necp_validate.stack.ports import free_ports, require_free
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import BrokerSample, Progress
from necp_validate.stack.root import root_shell
from necp_validate.stack.runtime import KafkaRuntime, load_jmx_agent, load_runtime
from necp_validate.stack.sampling import DiskCounter, sample_process
from necp_validate.stack.service import COLLECTOR, CORE, ProcessService, ServiceKind, publisher_of, start_process
from necp_validate.stack.workdir import disown, new_directory, stack_id, sweep

HOST = "127.0.0.1"
# What a Java runtime ends with that trips over a damaged cache: SIGABRT, SIGBUS, SIGSEGV.
_CRASHES = frozenset({-signal.SIGABRT, -signal.SIGBUS, -signal.SIGSEGV})


class LocalStack(FaultyStack[ManagedProcess]):
    """Kafka on this host, from Python packages alone.

    Broker 1 listens at ``base_port`` + 3 (internal) and + 4 (external), broker 2 ten higher and so on.
    """

    backend = "local"
    _grouped = False
    _players_address: PlayersAddress | None = None

    def _explain(self, error: BaseException) -> StackError | None:
        if not isinstance(error, OSError):
            return None
        last = "\n".join(f"broker {b}: {last_words(p.log, 5)}" for b, p in self._brokers.items())
        hint = "see that there is space left and that the folder can be written"
        return StackError(f"the stack could not be started: {error}", hint=hint, detail=last)

    def _start_again(self) -> str:
        crashed = any(process.exit_code in _CRASHES for process in self._brokers.values() if not process.alive())
        if not crashed or self._aot is None:
            return ""
        self._aot.discard()
        self._use_aot = False
        return "Java cannot use its start-up cache; starting without it"

    def _prepare(self, progress: Progress) -> KafkaRuntime:
        progress("preparing Java and Kafka")
        sweep(self._parent)
        runtime = load_runtime(self._kafka_version)
        self._directory = new_directory(self._parent)
        if self._detached:
            disown(self._directory)
        settings = self._plan(self._directory, self._ports())
        self._layout = ClusterLayout.create(self._directory, settings, runtime, overrides=self._overrides)
        return runtime

    def _aot_cache(self, runtime: KafkaRuntime) -> AotCache:
        return AotCache.for_runtime(runtime, self._jvm.arguments())

    def _ports(self) -> list[int]:
        if self._base_port is None:
            return free_ports(self._ports_each * BROKERS, HOST)
        offsets = (2, 3, 4, 5)[: self._ports_each]
        fixed = [self._base_port + 10 * number + offset for number in range(BROKERS) for offset in offsets]
        require_free(fixed, HOST)
        return fixed

    @property
    def _ports_each(self) -> int:
        return 3 if self._jmx is None else 4

    def _plan(self, directory: Path, ports: Sequence[int]) -> list[BrokerSettings]:
        plan = []
        each, pki = self._ports_each, self._pki_seen(directory)
        for broker in range(1, BROKERS + 1):
            controller, internal, external, *metrics = ports[each * (broker - 1) : each * broker]
            plan.append(
                BrokerSettings(
                    id=broker,
                    bind=HOST,
                    internal_host=HOST,
                    external_host=HOST,
                    internal_port=internal,
                    external_port=external,
                    controller_port=controller,
                    metrics_port=metrics[0] if metrics else 0,
                    log_dir=f"{self._home_seen(directory, broker)}/data",
                    store=f"{pki}/{broker_principal(broker)}.store.pem",
                    ca=f"{pki}/{TRUSTED}",
                    controllers_ca=f"{pki}/{TRUSTED_BY_CONTROLLERS}",
                )
            )
        return plan

    def _home_seen(self, directory: Path, broker: int) -> str:
        """A broker's folder, as the broker itself sees it."""
        return str(directory / f"broker-{broker}")

    def _pki_seen(self, directory: Path) -> str:
        """The folder of certificates, as brokers see it."""
        return str(directory / "pki")

    def _launch_all(self, runtime: KafkaRuntime) -> None:
        for broker in self.layout.settings:
            options: list[str] = []
            if self._aot is not None and self._aot_usable:
                options = self._aot.options_at(str(self._aot.path))
            elif self._aot is not None and self._recording is not None and broker == RECORDER:
                options = self._aot.record_options(self._recording)
            self._launch(broker, runtime, options)

    def _launch_again(self, broker: int) -> None:
        runtime = self._runtime or load_runtime(self._kafka_version)
        self._launch(broker, runtime, self._aot.use_options() if self._aot else [])

    def _launch(self, broker: int, runtime: KafkaRuntime, aot_options: Sequence[str]) -> None:
        directives = compiler_options(str(self.layout.directives_file(broker)))
        command = runtime.command(
            "kafka.Kafka",
            options=[*self._jvm.arguments(), *directives, *aot_options, *LOGGING_OPTIONS, *self._agent(broker)],
            arguments=[str(self.layout.properties_file(broker))],
        )
        group = group_of(broker)
        self._grouped = group is not None
        log = self._broker_log(broker)
        self._brokers[broker] = ManagedProcess.spawn(command, log=log, detached=self._detached, group=group)

    def _agent(self, broker: int) -> list[str]:
        """Return the Java option for a broker's metrics, if there are to be any."""
        settings, config = self.layout.settings[broker], self.layout.home(broker) / CONFIG_FILE
        if not settings.metrics_port:
            return []
        jar = self._jmx.jar if self._jmx is not None else load_jmx_agent()
        return [JmxAgent.option(str(jar), f"{HOST}:{settings.metrics_port}", str(config))]

    def _end(self) -> None:
        for process in self._brokers.values():
            process.signal(signal.SIGKILL)
        for process in self._brokers.values():
            process.wait(30.0)

    def start_core(self, instance: str, env: Mapping[str, str]) -> ProcessService:
        """Start one instance of the event core."""
        return self._start_service(CORE, instance, {"AUDIT_KEYRING": str(self.layout.keyring), **env})

    def start_collector(self, instance: str, env: Mapping[str, str]) -> ProcessService:
        """Start the collector of security events."""
        return self._start_service(COLLECTOR, instance, {"COLLECTOR_LOG_DIR": str(self.logs), **env})

    def _start_service(self, kind: ServiceKind, instance: str, env: Mapping[str, str]) -> ProcessService:
        service = start_process(
            kind,
            instance,
            self.client_config(kind.principal),
            env,
            make=ProcessService,
            log=self.logs / f"{instance}.log",
            password_file=self.layout.password_file(kind.principal),
            detached=self._detached,
        )
        self._services.append(service)
        return service

    def start_publisher(self, domain: Domain, env: Mapping[str, str]) -> ProcessService:
        """Start the publisher of a domain."""
        return self._start_service(
            publisher_of(domain), f"publisher-{domain}", {"PUBLISHER_DOMAIN": str(domain), **env}
        )

    def shared_file(self, name: str) -> tuple[Path, str]:
        """Return a place for a file that services read: as it is here, and as they see it."""
        return self.logs / name, str(self.logs / name)

    def start_gateway(self, instance: str, env: Mapping[str, str]) -> GatewayProcess:
        """Start the real-time gateway, at the same address as the one before."""
        require_alone(self._services)
        self._players_address = address = self._players_address or PlayersAddress.free(HOST)
        certificate, key = self.layout.players.gateway()
        given = gateway_environment(address, str(certificate), str(key), str(self.player_tls().ca))
        client, log = self.client_config(GATEWAY.principal), self.logs / f"{instance}.log"
        service = start_gateway_process(
            instance,
            client,
            {**given, **env},
            address,
            log=log,
            password_file=self.layout.password_file(GATEWAY.principal),
            detached=self._detached,
        )
        self._services.append(service)
        self._links_again()
        return service

    def _reachable(self, broker: int) -> bool:
        return broker in self._brokers

    def _why_no_links(self) -> str:
        return "" if self._grouped and host_program() else NEEDS

    def _why_no_delay(self) -> str:
        return "" if _host_can_delay() else delays.NEEDS

    def _why_no_disks(self) -> str:
        return "" if _host_can_mount() else "needs root, and the right to mount an overlay over a directory"

    def _make_links(self) -> LocalLinks:
        name = stack_id(self.layout.directory)
        return LocalLinks(name, self.layout.settings, delays.Delays(name, self.layout.directory))

    def _make_player_links(self) -> LocalPlayerLinks:
        name = stack_id(self.layout.directory)
        held = delays.Delays(name, self.layout.directory)
        return LocalPlayerLinks(name, held, lambda: self._players_address.udp_port if self._players_address else 0)

    def _has_gateway(self) -> bool:
        return self._players_address is not None

    def _make_disk(self, broker: int) -> Disk:
        name = f"necp-{stack_id(self.layout.directory)}"
        return Disk(root_shell, self.layout.settings[broker].log_dir, name)

    def sample(self) -> list[BrokerSample]:
        """Read the counters of every broker that runs."""
        disk = DiskCounter(self.layout.directory)
        running = [(broker, process) for broker, process in self._brokers.items() if process.alive()]
        samples = [sample_process(broker, process.process, disk) for broker, process in running]
        return [sample for sample in samples if sample is not None]

    @property
    def io_source(self) -> str:
        """What the disk operations of a sample count."""
        return DiskCounter(self.layout.directory).source

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""
        processes = self._brokers.items()
        noted = [{"broker": b, "pid": p.pid, "birth": p.birth, "log": str(p.log)} for b, p in processes]
        return {**super().state(), "grouped": self._grouped, "processes": noted}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LocalStack:
        """Return the stack that ``state`` was taken from; its brokers may be gone by now."""
        stack = cls._attach(state)
        stack._grouped = state.get("grouped", False)
        for entry in state["processes"]:
            process = ManagedProcess(entry["pid"], entry["birth"], Path(entry["log"]))
            stack._brokers[entry["broker"]] = process
        return stack


@cache
def _host_can_delay() -> bool:
    return delays.can_delay(root_shell, host_program())


@cache
def _host_can_mount() -> bool:
    return os.geteuid() == 0 and can_mount(root_shell)
