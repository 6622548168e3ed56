"""What a cluster says of its partitions and of the event core's consumer groups, also while brokers are broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from necp_validate.clients.wire import (
    GroupInfo,
    LogEnd,
    PartitionView,
    WireClient,
    committed_offsets,
    describe_groups,
    log_ends,
    views,
)
from necp_validate.events.topics import Domain

_TIMEOUT_S = 5.0
Place = tuple[str, int]
"""Topic and number of a partition."""


class ClusterReader:
    """Asks brokers and coordinators.

    Args:
        make_admin: makes the client that asks where ``wire`` is missing. It must not be used while brokers are
            broken: see `necp_validate.clients.wire`.
        wire: asks on the internal listener; None where there is no such listener.
    """

    def __init__(self, make_admin: Callable[[], AdminClient], wire: WireClient | None) -> None:
        self._make_admin = make_admin
        self._made: AdminClient | None = None
        self.wire = wire

    @property
    def _admin(self) -> AdminClient:
        if self._made is None:
            self._made = self._make_admin()
        return self._made

    def views(self) -> list[list[PartitionView]]:
        """All partitions, as every broker that answers sees them: one that is cut off sees what used to be.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        if self.wire is not None:
            return views(self.wire)
        topics = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        return [
            [
                PartitionView(
                    topic=name, number=number, leader=p.leader, replicas=tuple(p.replicas), in_sync=tuple(p.isrs)
                )
                for name, topic in topics.items()
                for number, p in topic.partitions.items()
            ]
        ]

    def leaders(self, topics: Iterable[str]) -> dict[Place, int]:
        """Leader of every partition of some topics, as most brokers see it; negative where there is none.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        wanted = set(topics)
        said: dict[Place, Counter[int]] = {}
        for view in self.views():
            for p in view:
                if p.topic in wanted:
                    said.setdefault((p.topic, p.number), Counter())[p.leader] += 1
        return {place: leaders.most_common(1)[0][0] for place, leaders in said.items()}

    def ends(self, topics: Iterable[str], *, committed: bool = False) -> dict[Place, LogEnd]:
        """End of every partition of some topics; those whose leader does not answer are left out.

        Args:
            topics: the topics.
            committed: the last stable offset instead, above which transactions are open.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        places = list(self.leaders(topics))
        if self.wire is not None:
            numbers: dict[str, list[int]] = {}
            for topic, number in places:
                numbers.setdefault(topic, []).append(number)
            return log_ends(self.wire, numbers, committed=committed)
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # confluent_kafka leaves it untyped
        asked = dict.fromkeys((TopicPartition(*place) for place in places), latest)
        found = {}
        for p, future in self._admin.list_offsets(asked, isolation_level=level, request_timeout=_TIMEOUT_S).items():
            try:
                answer = future.result()
            except KafkaException:
                continue
            found[p.topic, p.partition] = LogEnd(offset=answer.offset, epoch=answer.leader_epoch)
        return found

    def describe(self, groups: Sequence[str]) -> Mapping[str, GroupInfo]:
        """Groups by name; those whose coordinator does not answer are left out."""
        if self.wire is not None:
            return describe_groups(self.wire, groups)
        found = {}
        for name, future in self._admin.describe_consumer_groups(list(groups), request_timeout=_TIMEOUT_S).items():
            try:
                group = future.result()
            except KafkaException:
                continue
            at = f"{group.coordinator.host}:{group.coordinator.port}"
            found[name] = GroupInfo(coordinator=at, state=group.state.name, members=len(group.members))
        return found

    def lag(self, domain: Domain) -> int:
        """Records of a domain's topic that the event core's group has not committed yet.

        Raises:
            KafkaException, OSError: a leader or the group's coordinator does not answer.
        """
        places = list(self.leaders([domain.topic]))
        ends = self.ends([domain.topic])
        if len(ends) < len(places):
            raise ConnectionError(f"{len(places) - len(ends)} leaders of {domain.topic} did not answer")
        committed = self.committed(domain, [number for _, number in places])
        return sum(max(end.offset - committed.get(number, 0), 0) for (_, number), end in ends.items())

    def committed(self, domain: Domain, numbers: Sequence[int]) -> Mapping[int, int]:
        """Offsets from which the event core's group goes on, by partition.

        Raises:
            KafkaException, OSError: the group's coordinator does not answer.
        """
        if self.wire is not None:
            return committed_offsets(self.wire, domain.group, domain.topic, numbers)
        partitions = [TopicPartition(domain.topic, number) for number in numbers]
        request = ConsumerGroupTopicPartitions(domain.group, partitions)
        (group,) = self._admin.list_consumer_group_offsets([request], request_timeout=_TIMEOUT_S).values()
        return {p.partition: max(p.offset, 0) for p in group.result().topic_partitions}
