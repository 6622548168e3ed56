"""The target's own answers: records in its output topics that carry the header of the event that they answer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType

from confluent_kafka import Consumer, KafkaException, TopicPartition

from necp_validate.clients.watermarks import watermarks_of
from necp_validate.core import SuiteError, UsageError
from necp_validate.external.identity import read_identity
from necp_validate.stack.provision import SILENT


class Answers:
    """Reads output topics from where they end now, in no group; a context manager.

    An answer counts when it arrives here, on the clock that the event was sent by: what reads it adds to the time.

    Args:
        config: librdkafka properties of a principal that may read the topics.
        topics: the output topics; with none there is never an answer.

    Raises:
        SuiteError: one of them cannot be read.
        UsageError: there is no such topic.
    """

    def __init__(self, config: Mapping[str, str], topics: Collection[str]) -> None:
        self._consumer: Consumer | None = None
        if not topics:
            return
        settings = {"group.id": "necp-reader", "enable.auto.commit": False, "isolation.level": "read_committed"}
        self._consumer = Consumer({**config, **settings, "fetch.wait.max.ms": 10, "log_level": 2}, logger=SILENT)
        try:
            marks = watermarks_of(self._consumer, topics, who="the target's principal", unseen=UsageError)
            self._consumer.assign([TopicPartition(*place, high) for place, (_, high) in marks.items()])
        except UsageError:
            self._consumer.close()
            raise
        except KafkaException as error:
            self._consumer.close()
            raise SuiteError(f"the output topics {', '.join(topics)} cannot be read: {error}") from error

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
