"""Configuration of the brokers: secure by default, sized for a small machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from necp_validate.stack.pki import ORGANIZATION
from necp_validate.stack.protocol import ADMIN

BROKERS = 3
CONTROLLER_LISTENER = "CONTROLLER"
SCRAM_MECHANISM = "SCRAM-SHA-512"
OFFSETS_PARTITIONS = 6
TRANSACTIONS_PARTITIONS = 6
INTERNAL_TOPICS: Mapping[str, int] = {
    "__consumer_offsets": OFFSETS_PARTITIONS,
    "__transaction_state": TRANSACTIONS_PARTITIONS,
}

SECURITY = {
    "internal": "SSL, client certificate required",
    "external": f"SASL_SSL, {SCRAM_MECHANISM}",
    "controller": "SSL, client certificate required",
}


class Listener(NamedTuple):
    """Where a broker listens, and the address that it tells others to use."""

    name: str
    port: int
    host: str
    advertised_port: int | None = None

    @property
    def advertised(self) -> str:
        """The address that others use."""
        return f"{self.name}://{self.host}:{self.advertised_port or self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """One broker (and controller) as it is to be configured.

    Args:
        id: node id, from 1.
        bind: address that its listeners bind to; empty for every one.
        internal_host: name by which other brokers reach it.
        external_host: name by which clients reach it.
        internal_port: mTLS listener.
        external_port: SASL_SSL listener, as it is bound.
        controller_port: mTLS listener of the controller quorum.
        log_dir: its data.
        store: PEM key store.
        ca: PEM trust store.
        advertised_external_port: port that clients use, where it is not ``external_port``.
        service_host: name by which services beside the brokers reach it, where that is not ``external_host``; it
            gets them a listener of their own, as strict as the external one.
        service_port: that listener's port.
        metrics_port: port of its JMX metrics, at ``internal_host``; 0 if it has none.
        controllers_ca: PEM trust store of the controllers' listener, where that is not ``ca``.
    """

    id: int
    bind: str
    internal_host: str
    external_host: str
    internal_port: int
    external_port: int
    controller_port: int
    log_dir: str
    store: str
    ca: str
    advertised_external_port: int | None = None
    service_host: str = ""
    service_port: int = 0
    metrics_port: int = 0
    controllers_ca: str = ""

    def listeners(self) -> list[Listener]:
        """Return every listener but the controller's."""
        external = Listener("EXTERNAL", self.external_port, self.external_host, self.advertised_external_port)
        found = [Listener("INTERNAL", self.internal_port, self.internal_host), external]
        if self.service_host:
            found.append(Listener("SERVICE", self.service_port, self.service_host))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JvmSettings:
    """Options of the brokers' Java runtime.

    Args:
        heap_min_mib: initial heap.
        heap_max_mib: largest heap.
        options: everything else.
    """

    heap_min_mib: int = 512
    heap_max_mib: int = 768
    options: tuple[str, ...] = ("-XX:+UseSerialGC",)

    @property
    def heap(self) -> str:
        """The heap settings as Java's options."""
        return f"-Xms{self.heap_min_mib}m -Xmx{self.heap_max_mib}m"

    def arguments(self) -> list[str]:
        """Return the options that every broker gets; the AOT cache is only valid for the same ones."""
        return [
            *self.heap.split(),
            *self.options,
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            # Kafka's use of both is known; Java's warnings about it would hide the broker's own last words.
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
        ]


# Java's optimising compiler takes about 12 s of CPU a broker, most of a small machine's first minute. Only cryptography
# needs it (the AES instructions are its own): limited to that, 26,500 events/s cost a quarter less CPU than without it,
# and the stack is at its pace seconds after the start. Measured on two cores; see docs/performance.md.
COMPILER_DIRECTIVES = """[
  {match: ["com/sun/crypto/provider/*.*"], c2: {Exclude: false}},
  {match: ["*.*"], c2: {Exclude: true}}
]
"""


def compiler_options(directives: str) -> tuple[str, ...]:
    """Return the options that make Java read its compilers' directives from a file."""
    return (
        "-XX:+UnlockDiagnosticVMOptions",
        f"-XX:CompilerDirectivesFile={directives}",
        "-XX:CompileCommand=quiet",
    )


# Without a binding a broker dies silently; with it, its warnings and errors are in its log file.
LOGGING_OPTIONS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    # Who was refused, and who was denied what: on these two loggers, as info.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.network.Selector=info",
    "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=info",
)


def broker_principal(broker: int) -> str:
    """Return the principal (and certificate's common name) of a broker."""
    return f"broker-{broker}"


def server_properties(
    broker: BrokerSettings, cluster: Sequence[BrokerSettings], overrides: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the configuration of one broker.

    Args:
        broker: the broker.
        cluster: every broker, itself included.
        overrides: properties that replace or extend the ones decided here.
    """
    replicas, in_sync = min(3, len(cluster)), min(2, len(cluster))
    listeners = broker.listeners()
    bound = [(listener.name, listener.port) for listener in listeners] + [(CONTROLLER_LISTENER, broker.controller_port)]
    properties = {
        "process.roles": "broker,controller",
        "node.id": str(broker.id),
        "controller.quorum.voters": ",".join(f"{b.id}@{b.internal_host}:{b.controller_port}" for b in cluster),
        "controller.listener.names": CONTROLLER_LISTENER,
        "inter.broker.listener.name": "INTERNAL",
        "listeners": ",".join(f"{name}://{broker.bind}:{port}" for name, port in bound),
        "advertised.listeners": ",".join(listener.advertised for listener in listeners),
        "log.dirs": broker.log_dir,
        **_security(broker, cluster),
        **_durability(replicas, in_sync),
        **_SIZING,
    }
    return properties | dict(overrides or {})


def _security(broker: BrokerSettings, cluster: Sequence[BrokerSettings]) -> dict[str, str]:
    supers = [*(broker_principal(b.id) for b in cluster), ADMIN]
    scram = [listener.name for listener in broker.listeners() if listener.name != "INTERNAL"]
    jaas = f"{SCRAM_MECHANISM.lower()}.sasl.jaas.config"
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    protocols = ["INTERNAL:SSL", *(f"{name}:SASL_SSL" for name in scram), f"{CONTROLLER_LISTENER}:SSL"]
    return {
        "listener.security.protocol.map": ",".join(protocols),
        "listener.name.internal.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        **{f"listener.name.{name.lower()}.ssl.client.auth": "none" for name in scram},
        **{f"listener.name.{name.lower()}.sasl.enabled.mechanisms": SCRAM_MECHANISM for name in scram},
        **{f"listener.name.{name.lower()}.{jaas}": login for name in scram},
        "sasl.enabled.mechanisms": SCRAM_MECHANISM,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": broker.store,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": broker.ca,
        "listener.name.controller.ssl.truststore.location": broker.controllers_ca or broker.ca,
        "ssl.enabled.protocols": "TLSv1.3,TLSv1.2",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.principal.mapping.rules": rf"RULE:^CN=([^,]+),O={ORGANIZATION}$/$1/,DEFAULT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": ";".join(f"User:{name}" for name in supers),
    }


def _durability(replicas: int, in_sync: int) -> dict[str, str]:
    return {
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "unclean.leader.election.enable": "false",
        # A follower that stands still holds up every acks=all until it leaves the ISR; 30 s is the default.
        "replica.lag.time.max.ms": "10000",
        # A coordinator that ends a transaction waits for as long for a leader that is cut off, before it looks for the
        # new one; nobody can begin the next until then. The defaults are 30 s, 10 s and 30 s.
        "request.timeout.ms": "10000",
        "socket.connection.setup.timeout.ms": "3000",
        "socket.connection.setup.timeout.max.ms": "5000",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": str(OFFSETS_PARTITIONS),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.num.partitions": str(TRANSACTIONS_PARTITIONS),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": "3",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
    }


_SIZING = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "num.recovery.threads.per.data.dir": "1",
    "background.threads": "2",
    "group.coordinator.threads": "1",
    "group.coordinator.append.linger.ms": "0",
    "group.coordinator.background.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "group.initial.rebalance.delay.ms": "0",
}


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file."""
    lines = [f"{key}={value}".replace("\\", "\\\\") for key, value in properties.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
