"""Intake of one domain: the group's consumer, its assignment, and records in batches by partition."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from threading import Event as Flag
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from necp_validate.events.topics import Domain
from necp_validate.reference.clients import Clients
from necp_validate.reference.eventcore.breaker import Breaker
from necp_validate.reference.eventcore.metrics import CoreMetrics
from necp_validate.reference.eventcore.tuning import TUNING

log: Final = logging.getLogger(__name__)

Batches = list[tuple[int, list[Message]]]
"""Records by partition, in the order of their offsets."""

COMMIT_TIMEOUT_S: Final = 5.0
_FIRST_WAIT_S: Final = 0.1


class _BrokerStatistics(msgspec.Struct):
    nodeid: int
    state: str


class _PartitionStatistics(msgspec.Struct):
    consumer_lag: int = -1


class _TopicStatistics(msgspec.Struct):
    partitions: dict[str, _PartitionStatistics]


class _Statistics(msgspec.Struct):
    brokers: dict[str, _BrokerStatistics]
    topics: dict[str, _TopicStatistics]


_DECODE_STATISTICS: Final = msgspec.json.Decoder(_Statistics).decode


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop does about changes of the assignment; all are called from within :meth:`Intake.gather`.

    Args:
        assigned: partitions are ours now; gives the offsets to start from where they are not the
            committed ones.
        revoked: partitions are ours for the last time: finish and commit.
        lost: partitions are somebody else's already: forget them.
    """

    assigned: Callable[[list[int]], Mapping[int, int]]
    revoked: Callable[[list[int]], None]
    lost: Callable[[list[int]], None]


class Intake:
    """Reads one domain's topic as a member of its group.

    Args:
        domain: the domain.
        clients: makes the consumer.
        config: its librdkafka configuration.
        hooks: what to do when partitions come and go.
        metrics: lag, rebalances and commit errors are counted here.
        held: while it is set nothing is read, but the member stays in its group and keeps its partitions.
        breaker: says how much may be read; nothing, while it is open, to the same effect.
    """

    def __init__(
        self,
        domain: Domain,
        clients: Clients,
        config: Mapping[str, Any],
        hooks: Hooks,
        metrics: CoreMetrics,
        held: Flag,
        breaker: Breaker,
    ) -> None:
        self._domain = domain
        self._tuning = TUNING[domain]
        self._hooks = hooks
        self._metrics = metrics
        self._held = held
        self._breaker = breaker
        self._paused: set[int] = set()
        self._closing = False
        self.partitions: set[int] = set()
        self.joined = False
        self.brokers_up = False
        self.consumer = clients.consumer(
            {
                **config,
                "on_commit": self._on_commit,
                "stats_cb": self._on_statistics,
                "error_cb": self._on_error,
                "logger": log,
            }
        )
        self.consumer.subscribe(
            [domain.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def gather(self, wait_s: float = _FIRST_WAIT_S, *, not_before_s: float = 0.0) -> tuple[Batches, int]:
        """Wait for a record, gather what comes with it, and sort it by partition.

        Args:
            wait_s: how long to wait for the first record.
            not_before_s: records are gathered at least until then (monotonic clock).

        Returns:
            The batches, and the number of records in them.
        """
        limit = self._obey()
        first = self.consumer.poll(wait_s)
        if first is None:
            return [], 0
        gather_s = max(self._tuning.gather_ms / 1_000, not_before_s - time.monotonic())
        more = min(self._tuning.batch_max, limit) - 1
        messages = [first, *(self.consumer.consume(more, gather_s) if more > 0 else ())]
        good = [message for message in messages if message.error() is None]
        if len(good) < len(messages):
            self._report([message for message in messages if message.error() is not None])
        batches: dict[int, list[Message]] = {}
        for partition, run in groupby(good, Message.partition):
            if partition in self.partitions:
                batches.setdefault(partition, []).extend(run)
        return list(batches.items()), len(good)

    @property
    def paused(self) -> bool:
        """Whether nothing is read of any partition, on demand."""
        return self._held.is_set() and self._paused >= self.partitions

    def _obey(self) -> int:
        """Pause what has been assigned since, or let all go on; returns how many records may be read."""
        allowance = self._breaker.allowance()
        limit = 0 if self._held.is_set() else self._tuning.batch_max if allowance is None else allowance
        self._pause(self.partitions if limit == 0 else set())
        return limit

    def _pause(self, wanted: set[int]) -> None:
        if wanted == self._paused:
            return
        topic = self._domain.topic
        self.consumer.pause([TopicPartition(topic, partition) for partition in wanted - self._paused])
        self.consumer.resume([TopicPartition(topic, p) for p in (self._paused - wanted) & self.partitions])
        self._paused = set(wanted)

    def commit(self, offsets: Mapping[int, int], *, wait: bool = False) -> None:
        """Commit next offsets by partition; failures are counted, and the records come again."""
        positions = self.positions(offsets)
        if not positions:
            return
        try:
            if wait:
                self.consumer.commit(offsets=positions, asynchronous=False)
            else:
                self.consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], positions)

    def positions(self, offsets: Mapping[int, int]) -> list[TopicPartition]:
        """Express next offsets by partition in Kafka's terms; partitions we do not have are left out."""
        topic = self._domain.topic
        return [TopicPartition(topic, p, offset) for p, offset in offsets.items() if p in self.partitions]

    def committed(self, partitions: Sequence[int], timeout_s: float) -> dict[int, int]:
        """Ask for the committed offsets; waits for transactions that are about to commit some.

        Raises:
            KafkaException: they could not be learned in time.
        """
        wanted = [TopicPartition(self._domain.topic, partition) for partition in partitions]
        answers = self.consumer.committed(wanted, timeout=timeout_s)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}

    def close(self) -> None:
        """Leave the group; what another member that leaves lets go of meanwhile is not taken over."""
        self._closing = True
        self.consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            consumer.incremental_assign(partitions)
            return
        numbers = [partition.partition for partition in partitions]
        log.info("%s: assigned %s", self._domain, numbers)
        starts = self._hooks.assigned(numbers) if numbers else {}
        for partition in partitions:
            if partition.partition in starts:
                partition.offset = starts[partition.partition]
        consumer.incremental_assign(partitions)
        self._changed("assigned", self.partitions | set(numbers))
        self._obey()  # now, or the very poll that brings them reads on
        self.joined = self.brokers_up = True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        log.info("%s: revoked %s", self._domain, numbers)
        self._hooks.revoked(numbers)
        consumer.incremental_unassign(partitions)
        self._changed("revoked", self.partitions - set(numbers))

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        log.warning("%s: lost %s", self._domain, numbers)
        self._hooks.lost(numbers)
        consumer.incremental_unassign(partitions)
        self._changed("lost", self.partitions - set(numbers))

    def _changed(self, change: str, partitions: set[int]) -> None:
        for gone in self.partitions - partitions:
            self._metrics.lag.remove(self._domain.group, self._domain.topic, str(gone))
        self._paused &= partitions
        for new in partitions - self.partitions:
            self._metrics.lag.labels(self._domain.group, self._domain.topic, str(new)).set(0)
        self.partitions = partitions
        self._metrics.rebalances.labels(self._domain.value, change).inc()
        self._metrics.assigned.labels(self._domain.value).set(len(partitions))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        failed = error or next((p.error for p in partitions if p.error is not None), None)
        if failed is not None:
            log.warning("%s: offsets were not committed: %s", self._domain, failed.str())
            self._metrics.commit_errors.labels(self._domain.value).inc()

    def _on_statistics(self, text: str) -> None:
        statistics = _DECODE_STATISTICS(text)
        self.brokers_up = any(b.state == "UP" and b.nodeid >= 0 for b in statistics.brokers.values())
        topic = statistics.topics.get(self._domain.topic)
        for number, partition in topic.partitions.items() if topic else ():
            if partition.consumer_lag >= 0 and int(number) in self.partitions:
                labels = (self._domain.group, self._domain.topic, number)
                self._metrics.lag.labels(*labels).set(partition.consumer_lag)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("%s: %s", self._domain, error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.brokers_up = False

    def _report(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            log.warning("%s: %s", self._domain, error.str() if error else "")
