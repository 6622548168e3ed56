"""What no broker exports by itself: lag of groups, disks, listeners and their certificates, replicas in sync."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from cryptography import x509
from prometheus_client.core import GaugeMetricFamily

from necp_validate.clients.broker_state import disks, listener_protocols
from necp_validate.clients.cluster import ClusterReader
from necp_validate.clients.wire import WireClient
from necp_validate.events.topics import Domain
from necp_validate.stack.provision import admin_client

_HANDSHAKE_S = 2.0
T = TypeVar("T")


class ListenerTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A listener whose certificate is looked at.

    Args:
        name: as the broker calls it, e.g. ``EXTERNAL``.
        broker: node id.
        address: host and port.
    """

    name: str
    broker: int
    address: str


class ExporterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the exporter is told.

    Args:
        port: where it listens, on the loopback interface.
        user, password: who may ask.
        interval_s: between two samples of what changes quickly.
        client: librdkafka properties for a listener that everybody has.
        internal: librdkafka properties for the internal listener; None where there is none that we can reach.
        brokers: addresses at the internal listener by node id.
        listeners: whose certificates are looked at.
        certificate: a client's certificate and key, for listeners that want one.
    """

    port: int
    user: str
    password: str
    interval_s: float
    client: dict[str, str]
    internal: dict[str, str] | None
    brokers: dict[str, str]
    listeners: tuple[ListenerTarget, ...]
    certificate: tuple[str, str] | None = None


class Samplers:
    """Asks the brokers; each method gives the metrics of one subject.

    Args:
        plan: whom to ask, and how.
    """

    def __init__(self, plan: ExporterPlan) -> None:
        self._plan = plan
        self._wire = WireClient(plan.internal) if plan.internal else None
        self._reader = ClusterReader(lambda: admin_client(plan.client), self._wire)

    def lag(self) -> Iterator[GaugeMetricFamily]:
        """Records between a group's committed offset and the end of the partition.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        family = GaugeMetricFamily(
            "kafka_consumer_lag",
            "Records of a partition that a group has not committed yet, as the brokers say it.",
            labels=["group", "topic", "partition"],
        )
        ends = self._reader.ends([domain.topic for domain in Domain])
        for domain in Domain:
            own = {number: end.offset for (topic, number), end in ends.items() if topic == domain.topic}
            committed = self._reader.committed(domain, sorted(own))
            for number, end in sorted(own.items()):
                family.add_metric([domain.group, domain.topic, str(number)], max(end - committed.get(number, 0), 0))
        yield family

    def replicas(self) -> Iterator[GaugeMetricFamily]:
        """Replicas in sync and partitions without a leader, as the broker sees them that sees the most.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        views = self._reader.views()
        least: dict[str, int] = {}
        for view in views:
            for partition in view:
                seen = least.get(partition.topic, len(partition.replicas))
                least[partition.topic] = min(seen, len(partition.in_sync))
        family = GaugeMetricFamily(
            "kafka_topic_least_in_sync_replicas", "Replicas in sync of the partition that has fewest.", labels=["topic"]
        )
        for topic, count in sorted(least.items()):
            family.add_metric([topic], count)
        yield family
        lagging = max(sum(len(p.in_sync) < len(p.replicas) for p in view) for view in views)
        offline = max(sum(p.leader < 0 for p in view) for view in views)
        yield _gauge("kafka_cluster_under_replicated_partitions", "Partitions with a replica out of sync.", lagging)
        yield _gauge("kafka_cluster_offline_partitions", "Partitions without a leader.", offline)

    def disks(self) -> Iterator[GaugeMetricFamily]:
        """How full each broker's disk is; brokers that do not answer are left out."""
        names = {
            "kafka_broker_disk_usage_percent": "How full the volume under the log directory is.",
            "kafka_broker_disk_total_bytes": "Size of the volume under the log directory.",
            "kafka_broker_disk_usable_bytes": "What is left of the volume under the log directory.",
        }
        families = {name: GaugeMetricFamily(name, words, labels=["broker"]) for name, words in names.items()}
        for broker, found in self._of_brokers(disks).items():
            fullest = max(found, key=lambda disk: disk.used_percent, default=None)
            if fullest is None:
                continue
            values = (fullest.used_percent, fullest.total_bytes, fullest.usable_bytes)
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric([broker], value)
        yield from families.values()

    def listeners(self) -> Iterator[GaugeMetricFamily]:
        """Which listeners brokers have open, and which of them have TLS and logins, by their own settings."""
        labels = ["broker", "listener"]
        tls = GaugeMetricFamily("kafka_listener_tls", "Whether a listener's protocol has TLS.", labels=labels)
        sasl = GaugeMetricFamily("kafka_listener_sasl", "Whether a listener wants a login by SASL.", labels=labels)

        def protocols(client: WireClient, address: str) -> dict[str, str]:
            broker = next(int(one) for one, at in self._plan.brokers.items() if at == address)
            return listener_protocols(client, address, broker)

        for broker, found in self._of_brokers(protocols).items():
            for name, protocol in sorted(found.items()):
                tls.add_metric([broker, name], float(protocol.endswith("SSL")))
                sasl.add_metric([broker, name], float(protocol.startswith("SASL")))
        yield from (tls, sasl)

    def _of_brokers(self, ask: Callable[[WireClient, str], T]) -> dict[str, T]:
        """What each broker answers that does."""
        found: dict[str, T] = {}
        if self._wire is None:
            return found
        last: OSError | None = None
        for broker, address in self._plan.brokers.items():
            try:
                found[broker] = ask(self._wire, address)
            except OSError as error:
                last = error
        if not found:
            raise ConnectionError(f"no broker answered: {last}")
        return found

    def certificates(self) -> Iterator[GaugeMetricFamily]:
        """Time left of the certificate that each listener shows in a handshake."""
        labels = ["broker", "listener"]
        left = GaugeMetricFamily(
            "kafka_certificate_expiry_seconds", "Time until a listener's certificate ends.", labels=labels
        )
        done = GaugeMetricFamily(
            "kafka_listener_handshake_success", "Whether a TLS handshake with a listener succeeded.", labels=labels
        )
        context = self._context()
        for one in self._plan.listeners:
            try:
                ends = served_until(one.address, context)
            except OSError:
                done.add_metric([str(one.broker), one.name], 0.0)
                continue
            done.add_metric([str(one.broker), one.name], 1.0)
            left.add_metric([str(one.broker), one.name], (ends - datetime.now(UTC)).total_seconds())
        yield from (left, done)

    def _context(self) -> ssl.SSLContext:
        """Accept whatever is shown: one that has ended is to be told of, not to be refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self._plan.certificate is not None:
            context.load_cert_chain(*self._plan.certificate)
        return context


def served_until(address: str, context: ssl.SSLContext) -> datetime:
    """When the certificate ends that a listener shows.

    Raises:
        OSError: there is no connection, or the handshake failed.
    """
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=_HANDSHAKE_S) as plain,
        context.wrap_socket(plain) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise ConnectionError(f"{address} showed no certificate")
    return x509.load_der_x509_certificate(shown).not_valid_after_utc


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)
