"""What the cluster says of itself: leaders, replicas in sync, coordinators, ends of logs. Asked anew every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions

from necp_validate.clients.cluster import ClusterReader
from necp_validate.clients.wire import GroupInfo, PartitionView, WireClient, active_controller
from necp_validate.core import StackError, UsageError
from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.stack import ADMIN, Stack
from necp_validate.stack.protocol import BrokerInfo, FaultUnavailable
from necp_validate.stack.provision import admin_client, elect_preferred_leaders

_PATIENCE_S = 20.0
T = TypeVar("T")


def cluster_reader(stack: Stack) -> ClusterReader:
    """Return what asks the brokers of a stack, on the internal listener where there is one."""
    try:
        wire = WireClient(stack.internal_client_config())
    except UsageError:
        wire = None
    return ClusterReader(lambda: admin_client(stack.client_config(VERIFIER_PRINCIPAL)), wire)


class Cluster:
    """Questions to the brokers of a stack. A broker that is down costs an attempt, not the answer.

    Args:
        stack: the stack.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._made: ClusterReader | None = None

    @property
    def _reader(self) -> ClusterReader:
        if self._made is None:
            self._made = cluster_reader(self._stack)
        return self._made

    def _ask(self, question: Callable[[], T], what: str, patience_s: float = _PATIENCE_S) -> T:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return question()
            except (KafkaException, OSError, LookupError) as error:
                if time.monotonic() > deadline:
                    raise StackError(f"{what}: no answer in {patience_s:g} s", detail=str(error)) from error
                time.sleep(0.2)

    def _views(self) -> list[list[PartitionView]]:
        return self._ask(self._reader.views, "the cluster's metadata")

    def under_replicated(self) -> int:
        """Partitions with fewer replicas in sync than replicas, as the broker that sees the most of them says."""
        return max(sum(len(p.in_sync) < len(p.replicas) for p in view) for view in self._views())

    def offline(self) -> int:
        """Partitions without a leader, as the broker that sees the most of them says."""
        return max(sum(p.leader < 0 for p in view) for view in self._views())

    def in_sync(self, broker: int) -> bool:
        """Whether a broker is in sync in every partition that it holds, as all brokers see it."""
        return all(broker in p.in_sync for view in self._views() for p in view if broker in p.replicas)

    def leader(self, topic: str, partition: int) -> int:
        """Broker that leads a partition.

        Raises:
            StackError: nobody leads it, for longer than an election takes; or there is no such partition.
        """

        def led() -> int:
            found = self._reader.leaders([topic])[topic, partition]
            if found < 0:
                raise LookupError("there is no leader")
            return found

        return self._ask(led, f"the leader of {topic}-{partition}")

    def replicas(self, topic: str, partition: int) -> list[int]:
        """Brokers that hold a partition."""
        return [b for p in self._views()[0] if (p.topic, p.number) == (topic, partition) for b in p.replicas]

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return sum(p.topic == topic for p in self._views()[0])

    def controller(self) -> int:
        """Broker that is the active controller.

        Raises:
            StackError: none is active.
            FaultUnavailable: the stack has no internal listener to ask on.
        """
        wire = self._reader.wire
        if wire is None:
            raise FaultUnavailable("needs the internal listener, to ask which broker is the controller")
        return self._ask(lambda: active_controller(wire), "the active controller")

    def group(self, name: str) -> GroupInfo:
        """A consumer group: its state, members and coordinator."""
        return self._ask(lambda: self._reader.describe([name])[name], f"the group {name}")

    def coordinator(self, group: str) -> int:
        """Broker that coordinates a consumer group."""
        at, wire = self.group(group).coordinator, self._reader.wire
        brokers = self._stack.brokers()
        if wire is not None:
            return brokers[wire.addresses.index(at)].id
        return next(broker.id for broker in brokers if f"{broker.host}:{broker.external_port}" == at)

    def lag(self) -> int:
        """Records of all domains that the event core has not committed yet."""
        return self._ask(lambda: sum(self._reader.lag(domain) for domain in Domain), "the consumer lag")

    def committed(self, domain: Domain) -> dict[int, int]:
        """Offset from which a domain's group goes on, by partition; those it has committed nothing of are left out."""
        numbers = range(self.partitions(domain.topic))
        return self._ask(lambda: dict(self._reader.committed(domain, numbers)), f"what {domain.group} has committed")

    def ends(self, topic: str, *, committed: bool = False) -> dict[int, int]:
        """End offset of every partition of a topic.

        Args:
            topic: the topic.
            committed: where transactions that are still open begin, instead of the end (the last stable offset).
        """

        def asked() -> dict[int, int]:
            found = self._reader.ends([topic], committed=committed)
            if missing := self._reader.leaders([topic]).keys() - found.keys():
                raise LookupError(f"{len(missing)} leaders do not answer")
            return {number: end.offset for (_, number), end in found.items()}

        return self._ask(asked, f"the ends of {topic}")

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions.

        Raises:
            StackError: the cluster refused.
        """
        admin = admin_client(self._stack.client_config(ADMIN))
        (future,) = admin.create_partitions([NewPartitions(topic, partitions)], request_timeout=10.0).values()
        try:
            future.result(12.0)
        except (KafkaException, TimeoutError) as error:
            raise StackError(f"{topic} did not get {partitions} partitions: {error}") from error

    def elect_preferred(self) -> None:
        """Give every partition back to its preferred leader; after restarts one broker would lead everything."""
        admin = admin_client({**self._stack.client_config(ADMIN), "socket.timeout.ms": "5000"})

        def elected() -> bool:
            elect_preferred_leaders(admin)
            return True

        self._ask(elected, "the election of preferred leaders")


def round_trip_s(config: Mapping[str, str], broker: BrokerInfo, timeout_s: float) -> float | None:
    """Seconds that one broker takes to answer a new client (TLS, login, one request); None if it does not in time.

    Args:
        config: librdkafka properties of any principal.
        broker: whom to ask.
        timeout_s: how long to wait.
    """
    client = admin_client({**config, "bootstrap.servers": f"{broker.host}:{broker.external_port}"})
    begun = time.monotonic()
    try:
        client.list_topics(timeout=timeout_s)
    except KafkaException:
        return None
    return time.monotonic() - begun
