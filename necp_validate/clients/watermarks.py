"""Where partitions begin and end, asked of their leaders: again, where a leader moves while it is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from necp_validate.core import SuiteError

T = TypeVar("T")
Place = tuple[str, int]

#: So long is asked: longer than an election takes.
ANSWER_S: Final = 15.0
_AGAIN_S: Final = 0.1
#: What a broker answers, or a client finds, while a partition's leader moves or its topic is new. librdkafka fetches
#: the leaders anew and hands the error on. Source: Kafka's protocol guide, "Error codes", those that are retriable.
_MOVING: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError._TRANSPORT,
    }
)


def ask_leader(question: Callable[[float], T], within_s: float = ANSWER_S) -> T:
    """Ask a leader until it answers; an error that will not pass is raised at once.

    Args:
        question: asks once, within so many seconds.
        within_s: after so many seconds the last error is raised.

    Raises:
        KafkaException: what the broker or the client said last.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            return question(max(deadline - time.monotonic(), _AGAIN_S))
        except KafkaException as error:
            if error.args[0].code() not in _MOVING or time.monotonic() + _AGAIN_S >= deadline:
                raise
            time.sleep(_AGAIN_S)


def watermarks_of(
    consumer: Consumer, topics: Iterable[str], *, who: str, unseen: type[SuiteError] = SuiteError
) -> dict[Place, tuple[int, int]]:
    """Low and high watermark of every partition of these topics.

    Args:
        consumer: it is only asked with: neither subscribed nor assigned.
        topics: the topics.
        who: whose rights decide what may be seen, for the hint: "the verifier's principal".
        unseen: what a topic that cannot be seen is raised as: of topics that a user named, ``UsageError``.

    Raises:
        KafkaException: no broker answers, or a partition has no leader for ``ANSWER_S``.
        SuiteError: a topic does not exist, or may not be seen.
    """
    found: dict[Place, tuple[int, int]] = {}
    described = consumer.list_topics(timeout=ANSWER_S).topics
    for topic in topics:
        if topic not in described or described[topic].error is not None:
            raise unseen(f"topic {topic} cannot be seen", hint=f"does it exist, and may {who} describe it?")
        for partition in described[topic].partitions:
            found[topic, partition] = watermarks(consumer, TopicPartition(topic, partition))
    return found


def watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Low and high watermark of a partition.

    Raises:
        KafkaException: its leader did not answer within ``ANSWER_S``, or refused.
    """
    return ask_leader(lambda left: consumer.get_watermark_offsets(place, timeout=left))
