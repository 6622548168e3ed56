"""The target's own answers: records in its output topics that carry the header of the event that they answer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from necp_validate.core import SuiteError
from necp_validate.external.identity import read_identity
from necp_validate.stack.provision import SILENT

_TIMEOUT_S: Final = 15.0


class Answers:
    """Reads output topics from where they end now, in no group; a context manager.

    An answer counts when it arrives here, on the clock that the event was sent by: what reads it adds to the time.

    Args:
        config: librdkafka properties of a principal that may read the topics.
        topics: the output topics; with none there is never an answer.

    Raises:
        SuiteError: one of them cannot be read.
    """

    def __init__(self, config: Mapping[str, str], topics: Collection[str]) -> None:
        self._consumer: Consumer | None = None
        if not topics:
            return
        settings = {"group.id": "necp-reader", "enable.auto.commit": False, "isolation.level": "read_committed"}
        self._consumer = Consumer({**config, **settings, "fetch.wait.max.ms": 10, "log_level": 2}, logger=SILENT)
        try:
            self._consumer.assign([place for topic in topics for place in self._ends(self._consumer, topic)])
        except (KafkaException, KeyError) as error:
            self._consumer.close()
            raise SuiteError(f"the output topics {', '.join(topics)} cannot be read: {error}") from error

    @staticmethod
    def _ends(consumer: Consumer, topic: str) -> Iterator[TopicPartition]:
        described = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        for partition in described.partitions:
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
            yield TopicPartition(topic, partition, high)

    def new(self) -> Iterator[tuple[str, int, int]]:
        """What has come since it was last asked: stream and number of the event, and when, in epoch microseconds."""
        if self._consumer is None:
            return
        for message in self._consumer.consume(500, 0):
            if message.error() is None and (identity := read_identity(message.headers())) is not None:
                yield identity.stream, identity.seq, time.time_ns() // 1000

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            self._consumer.close()
