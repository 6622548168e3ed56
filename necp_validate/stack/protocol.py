"""What a stack is, whichever backend brings it up: the one protocol that everything above speaks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

Progress = Callable[[str], None]
"""Receives one short sentence whenever a stage of a long operation begins."""

ADMIN = "admin"
"""The super user: owner of topics, users and ACLs; on the internal listener by certificate, outside by SCRAM."""


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
        faults: kinds of fault this stack can inject, e.g. ``kill``.
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

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""

    def cpu_s(self) -> float:
        """Return the CPU time it has used, in seconds; the last known figure once it is gone."""


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
        """End every process and container, remove every file. May be called at any time, more than once."""

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

    def broker_alive(self, broker: int) -> bool:
        """Tell whether a broker's process runs (a frozen one does)."""

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties for the external listener.

        Args:
            principal: user to log in as, e.g. ``combat-service``.

        Raises:
            UsageError: the stack has no such principal.
        """

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS)."""

    def start_core(self, instance: str, env: Mapping[str, str]) -> ServiceHandle:
        """Start one instance of the event core; see ``ServiceHandle.wait_ready``.

        Args:
            instance: its name, e.g. ``core-0``.
            env: configuration that goes on top of the connection settings given by the stack.
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
