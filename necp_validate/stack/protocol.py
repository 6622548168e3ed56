"""What a stack is, whichever backend brings it up: the one protocol that everything above speaks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from necp_validate.core import StackError
from necp_validate.events.topics import Domain, Operation
from necp_validate.stack.namespaces import WorkerNetwork

Progress = Callable[[str], None]
"""Receives one short sentence whenever a stage of a long operation begins."""

ADMIN = "admin"
"""The super user: owner of topics, users and ACLs; on the internal listener by certificate, outside by SCRAM."""

NodeName = str
"""``broker-1`` and so on, or ``clients``."""

CLIENTS = "clients"
"""As a node: everything that is not a broker (load, event core, this suite)."""

GATEWAY_NODE = "gateway"
"""As a node: the gateway's UDP socket, whose only links are those to players."""

PlayerVariant = Literal["valid", "expired", "stranger"]
"""A player's certificate: one that is accepted, one whose time is over, one of another authority."""

ClientVariant = Literal["valid", "expired", "not-yet-valid", "wrong-ca"]
"""A certificate of the super user: the one that brokers accept, and those that they must refuse."""

FAULT_KINDS = ("kill", "stop", "pause", "cut", "slow", "loss", "disk-full", "read-only")
"""Every kind of fault that a stack may be able to inject."""


class FaultUnavailable(StackError):
    """This stack cannot do this fault on this machine; the message begins with "needs" and says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerInfo:
    """One broker as clients and faults address it.

    Args:
        id: node id, from 1.
        host: name or address that clients connect to.
        external_port: SASL_SSL (SCRAM-SHA-512) listener.
        internal_port: mTLS listener.
        pid: its process on this host, if there is one.
        container: its container's name, if it has one.
    """

    id: int
    host: str
    external_port: int
    internal_port: int
    pid: int | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerInfo:
    """One listener of one broker.

    Args:
        name: ``internal``, ``controller``, ``external``, or ``service``.
        broker: node id.
        address: host and port, as it is reached from here.
        mutual: whether it wants a client's certificate; if not, it wants a login by SCRAM.
    """

    name: str
    broker: int
    address: str
    mutual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSample:
    """Counters of one broker since its start; a rate is the difference of two samples.

    Args:
        broker: node id.
        cpu_s: CPU time used, user and system.
        rss_bytes: resident memory now.
        read_ios: disk read operations; what they count is said by ``StackDescription.io_source``.
        write_ios: disk write operations, likewise.
        read_bytes: bytes read from storage.
        write_bytes: bytes written to storage.
    """

    broker: int
    cpu_s: float
    rss_bytes: int
    read_ios: int
    write_ios: int
    read_bytes: int
    write_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDescription:
    """What was brought up, for the record of a run.

    Args:
        backend: ``local``, ``docker`` or ``external``.
        kafka_version: version of the brokers; empty if it cannot be told.
        java_version: version of their Java runtime; empty if it cannot be told.
        brokers: every broker.
        security: listener name to protocol and authentication.
        replication_factor: of every topic the stack created; 0 if it created none.
        min_insync_replicas: likewise.
        heap: the brokers' heap settings.
        io_source: what ``read_ios`` and ``write_ios`` of a sample count.
        faults: those of ``FAULT_KINDS`` that this stack can inject on this machine.
    """

    backend: str
    kafka_version: str
    java_version: str
    brokers: tuple[BrokerInfo, ...]
    security: Mapping[str, str]
    replication_factor: int = 3
    min_insync_replicas: int = 2
    heap: str = ""
    io_source: str = ""
    faults: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerTls:
    """Files with which a player connects to the gateway.

    Args:
        ca: authority that has signed the gateway's certificate.
        certificate: the player's certificate.
        key: its private key; only its owner can read it.
    """

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerMetrics:
    """Where the brokers export their JMX beans for Prometheus, over HTTP with a login.

    Args:
        addresses: host and port by node id.
        user: who logs in.
        password: with what.
    """

    addresses: Mapping[int, str]
    user: str
    password: str = field(repr=False)


@runtime_checkable
class ServiceHandle(Protocol):
    """One running instance of a service under test, e.g. of the event core."""

    @property
    def name(self) -> str:
        """Its instance name."""

    @property
    def pid(self) -> int | None:
        """Its process on this host, if it can be seen from here."""

    @property
    def http_url(self) -> str:
        """Base address of its HTTP endpoint (``/health``), without a trailing slash."""

    @property
    def metrics_url(self) -> str:
        """Full address of its Prometheus metrics."""

    def alive(self) -> bool:
        """Tell whether it is running."""

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Come back when ``/health`` answers 200.

        Raises:
            StackError: it died or did not answer in time; with its last log lines.
        """

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Ask it to end (SIGTERM); kill it after the timeout.

        Returns:
            True if it ended by itself in time with exit code 0.
        """

    def kill(self) -> None:
        """End it without warning (SIGKILL) and wait until it is gone."""

    def pause(self) -> None:
        """Freeze it: its connections stay open, it does nothing.

        Raises:
            FaultUnavailable: it is not ours to freeze.
        """

    def resume(self) -> None:
        """Let it go on; nothing happens if it is not frozen."""

    def paused(self) -> bool:
        """Tell whether it is frozen."""

    def hold(self) -> None:
        """Let it read no more events (SIGUSR1); it stays in its consumer groups.

        Raises:
            FaultUnavailable: it is not ours to hold.
        """

    def release(self) -> None:
        """Let it read on (SIGUSR2); nothing happens if it does."""

    def health(self) -> Mapping[str, Any]:
        """Return what ``/health`` says, whatever its status; nothing if it does not answer."""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""

    def cpu_s(self) -> float:
        """Return the CPU time it has used, in seconds; the last known figure once it is gone."""


@runtime_checkable
class GatewayHandle(ServiceHandle, Protocol):
    """One running instance of the real-time gateway."""

    @property
    def udp_address(self) -> tuple[str, int]:
        """Host and port of its UDP socket."""

    @property
    def websocket_url(self) -> str:
        """Where a WebSocket is opened, e.g. ``wss://127.0.0.1:8080``."""


@runtime_checkable
class Stack(Protocol):
    """A Kafka cluster with topics, users and ACLs as claimed, and the means to run services against it."""

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds since the start at which each stage of ``start`` was complete."""

    def start(self, progress: Progress) -> None:
        """Bring it up; come back only when every part of it is ready.

        Raises:
            StackError: a part could not be brought up; whatever had been started is ended.
        """

    def stop(self) -> None:
        """Undo every fault, end every process and container, remove every file; at any time, more than once."""

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker, running or not."""

    def kill_broker(self, broker: int) -> None:
        """End a broker without warning and wait until it is gone."""

    def stop_broker(self, broker: int, timeout_s: float = 30.0) -> None:
        """Shut a broker down in an orderly way; kill it after the timeout."""

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Start a broker that was stopped or killed; come back when its listeners accept connections."""

    def pause_broker(self, broker: int) -> None:
        """Freeze a broker: its connections stay open, it does nothing."""

    def resume_broker(self, broker: int) -> None:
        """Let a frozen broker go on."""

    def renew_certificate(self, broker: int) -> int:
        """Issue a broker a new certificate in the place of its old one; it serves it from its next start on.

        Returns:
            Its serial number.

        Raises:
            FaultUnavailable: this process cannot issue certificates.
        """

    def rotate_password(self, principal: str) -> None:
        """Give a principal a new SCRAM password; its services and this process know it from now on.

        Kafka keeps one password for each user and mechanism: until those who watch `password_file` have looked, what
        connects anew is refused. Connections that are open go on.

        Args:
            principal: e.g. ``combat-service``.

        Raises:
            FaultUnavailable: users there are not ours.
            UsageError: there is no such principal.
            StackError: the cluster did not take it; the old one is as it was.
        """

    def password_file(self, principal: str) -> Path | None:
        """Return the file in which a principal finds its password as it is now; None if there is none.

        Raises:
            UsageError: the stack has no such principal.
        """

    def reload_certificate(self, broker: int, *, validity_days: float | None = None) -> int:
        """Issue a running broker a new certificate and have it serve that at every listener, without a restart.

        Kafka reloads the key stores of its listeners, and of the connections that brokers make to each other. The one
        thing that it does not reload are the connections that a controller makes to the other controllers: they show
        the old certificate until the broker's next start. It is accepted there as long as it is valid and its authority
        is trusted, so a broker has to be started again some time before the certificate ends that it began with.

        Args:
            broker: node id.
            validity_days: until when it is valid; as long as usual by default.

        Returns:
            Its serial number.

        Raises:
            FaultUnavailable: this process cannot issue certificates.
            StackError: the broker did not take it.
        """

    def renew_client_certificate(self, name: str = ADMIN) -> int:
        """Issue a client of the internal listener a new certificate in the place of its old one.

        Kafka's clients read their certificate when they are made: who is made from now on shows the new one.

        Returns:
            Its serial number.

        Raises:
            FaultUnavailable: this process cannot issue certificates.
        """

    def roll_authority(self) -> Mapping[int, int]:
        """Let the next authority take the place of the one that issues, under way and without a restart.

        In order: both are trusted, every broker and the super user get certificates of the new one, the old one is
        trusted no more. Only the controllers' listener trusts it until the brokers' next start: what controllers show
        each other cannot be changed earlier, see `reload_certificate`.

        Returns:
            Serial number of each broker's new certificate.

        Raises:
            FaultUnavailable: this process cannot issue certificates.
            StackError: a broker did not take a step; the old authority is still trusted then.
        """

    def revoke_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Take away what one principal may do on one topic; it takes a moment to reach every broker.

        Raises:
            FaultUnavailable: ACLs there are not ours.
            UsageError: the principal may not do that anyway.
            StackError: the cluster did not do it.
        """

    def grant_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Give back what `revoke_access` has taken; nothing happens if it is allowed.

        Raises:
            FaultUnavailable: ACLs there are not ours.
            StackError: the cluster did not do it.
        """

    def broker_alive(self, broker: int) -> bool:
        """Tell whether a broker's process runs (a frozen one does)."""

    def cut(self, source: NodeName, target: NodeName) -> None:
        """Drop every packet from a node to another, one way, of open connections too; nothing happens if that is so.

        Raises:
            FaultUnavailable: it cannot be done here.
            UsageError: there is no such link.
        """

    def slow(self, node: NodeName, *, delay_ms: float, loss: float = 0.0) -> None:
        """Make every link of a node slow, lossy or both, each way; the last call for a node counts.

        Args:
            node: a broker, or the gateway: then it is the players' UDP that suffers, and nothing else.
            delay_ms: by how much every packet is later; 0 for loss alone.
            loss: share of the packets that are lost, from 0 to 1.

        Raises:
            FaultUnavailable: it cannot be done here.
            UsageError: there is no such node, or an argument is out of range.
        """

    def touched_packets(self, node: NodeName) -> int:
        """Return how many packets ``slow`` has lost or held back for a node so far, as the kernel has counted them.

        Raises:
            FaultUnavailable: it cannot be told here.
        """

    def heal(self) -> None:
        """Undo every cut and everything slow; nothing happens if there is nothing to undo."""

    def link_open(self, source: NodeName, target: NodeName) -> bool:
        """Tell by a real connection, made from the source's side, whether packets get from a node to another.

        A connection needs both ways; when it fails, counters of the packets dropped tell which way failed. A broker
        that does not run makes a link that is not open, or refuses the connection, over an open one.

        Raises:
            StackError: the source is a broker that does not run.
            UsageError: there is no such link.
        """

    def fill_disk(self, broker: int) -> None:
        """Leave no space for whatever a broker creates from now on; it ends when it notices, within seconds.

        A broker in a container that has ended finds its disk sound when it is started again.

        Raises:
            FaultUnavailable: it cannot be done here.
        """

    def crowd_disk(self, broker: int, percent: float) -> None:
        """Let a broker's disk be used to a percentage, with space enough to go on for some minutes.

        Raises:
            FaultUnavailable: it cannot be done here.
        """

    def free_disk(self, broker: int) -> None:
        """Undo ``fill_disk`` and ``crowd_disk``; the data is as it was.

        A broker that has ended is started by ``start_broker``.
        """

    def read_only_disk(self, broker: int) -> None:
        """Let a broker create nothing on its disk from now on; it ends when it notices, within seconds.

        Raises:
            FaultUnavailable: it cannot be done here.
        """

    def writable_disk(self, broker: int) -> None:
        """Undo ``read_only_disk``."""

    def remaining_faults(self) -> list[str]:
        """Return what is still in force, as the system itself has it: frozen brokers and services, rules, mounts.

        A broker that was killed or stopped is none of it: see ``broker_alive``.
        """

    def undo_faults(self) -> None:
        """Undo all of ``remaining_faults``, whichever command has injected it.

        Raises:
            StackError: something could not be undone, and what; the rest has been.
        """

    def describe_unavailable(self) -> Mapping[str, str]:
        """Return what this stack cannot inject on this machine: kind of fault to "needs …"."""

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties for the external listener.

        Args:
            principal: user to log in as, e.g. ``combat-service``.

        Raises:
            UsageError: the stack has no such principal.
        """

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""

    def listeners(self) -> tuple[ListenerInfo, ...]:
        """Return every listener that can be reached from here."""

    def client_certificates(self) -> Mapping[ClientVariant, tuple[Path, Path]]:
        """Return certificate and key of the super user, by variant; what there is none of cannot be tried."""

    def broker_logs(self) -> Mapping[int, Path]:
        """Return the brokers' logs by node id, as far as they can be read here."""

    def services(self) -> tuple[ServiceHandle, ...]:
        """Return every service that was started on it through this object, running or not."""

    def broker_metrics(self) -> BrokerMetrics | None:
        """Return where the brokers' metrics are; None if they export none that we know of."""

    def start_core(self, instance: str, env: Mapping[str, str]) -> ServiceHandle:
        """Start one instance of the event core; see ``ServiceHandle.wait_ready``.

        Args:
            instance: its name, e.g. ``core-0``.
            env: configuration that goes on top of the connection settings given by the stack.
        """

    def start_collector(self, instance: str, env: Mapping[str, str]) -> ServiceHandle:
        """Start what makes audit events of the brokers' logs; see ``ServiceHandle.wait_ready``.

        Args:
            instance: its name, e.g. ``collector-0``.
            env: configuration that goes on top of connection settings and logs given by the stack.

        Raises:
            FaultUnavailable: the brokers' logs cannot be read here.
        """

    def audit_keyring(self) -> Path:
        """Return the keys of the audit trail.

        Raises:
            FaultUnavailable: they are not ours.
        """

    def shared_file(self, name: str) -> tuple[Path, str]:
        """Return a place for a file that this process writes and services read: as it is here, and as they see it.

        Raises:
            FaultUnavailable: services of this stack see no file of ours.
        """

    def start_publisher(self, domain: Domain, env: Mapping[str, str]) -> ServiceHandle:
        """Start the publisher of a domain: producers publish at its ``http_url``; see ``ServiceHandle.wait_ready``.

        Args:
            domain: whose events it takes.
            env: configuration on top of connection settings and domain; ``PUBLISHER_TOKEN`` at least.

        Raises:
            StackError: it cannot be started.
            UsageError: the target has none.
        """

    def worker_network(self) -> WorkerNetwork:
        """Return a network on which load workers in network namespaces of their own reach the brokers.

        Raises:
            FaultUnavailable: this stack has none.
        """

    def start_gateway(self, instance: str, env: Mapping[str, str]) -> GatewayHandle:
        """Start the real-time gateway; see ``ServiceHandle.wait_ready``.

        A stack has one address for players: a gateway that takes the place of one that has ended is reached there.

        Args:
            instance: its name, e.g. ``gateway-0``.
            env: configuration that goes on top of connection settings, addresses and certificates given by the stack.

        Raises:
            StackError: it cannot be started, or one runs already.
            UsageError: the target has none.
        """

    def player_tls(self, variant: PlayerVariant = "valid") -> PlayerTls:
        """Return the files with which a player connects to the gateway.

        Players have an authority of their own: with these nobody logs in to a broker.

        Args:
            variant: which of the certificates; all but ``valid`` are to be refused.

        Raises:
            UsageError: the target has none.
        """

    def sample(self) -> list[BrokerSample]:
        """Read the counters of every broker that runs."""

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: a broker died that nobody ended on purpose; with its last log lines.
        """

    def describe(self) -> StackDescription:
        """Say what was brought up."""
