"""Partitions whose leader moves while it is asked where they end; real leaders are in the tests on brokers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from necp_validate.clients.watermarks import ask_leader, watermarks_of
from necp_validate.core import SuiteError, UsageError


class Moving:
    """Stands for a consumer whose brokers answer with these errors first: no real one moves a leader on demand."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.asked = 0

    def list_topics(self, timeout: float) -> Any:
        topic = SimpleNamespace(error=None, partitions={0: None, 1: None})
        gone = SimpleNamespace(error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), partitions={})
        return SimpleNamespace(topics={"orders": topic, "gone": gone})

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        self.asked += 1
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 3, 10 + int(place.partition)


@pytest.mark.parametrize(
    "passing", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT]
)
def test_a_leader_that_moves_is_asked_again(passing: int) -> None:
    moving = Moving(passing, passing)
    found = watermarks_of(cast(Consumer, moving), ["orders"], who="the principal")
    assert found == {("orders", 0): (3, 10), ("orders", 1): (3, 11)}
    assert moving.asked == 4


def test_what_does_not_pass_is_said_at_once() -> None:
    refusing = Moving(KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.NOT_LEADER_FOR_PARTITION)
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        watermarks_of(cast(Consumer, refusing), ["orders"], who="the principal")
    assert refusing.asked == 1


def test_a_leader_that_never_comes_is_said_when_the_time_is_over() -> None:
    moving = Moving(*[KafkaError.NOT_LEADER_FOR_PARTITION] * 1_000)
    with pytest.raises(KafkaException, match="NOT_LEADER"):
        ask_leader(lambda left_s: moving.get_watermark_offsets(SimpleNamespace(partition=0), left_s), within_s=0.25)
    assert moving.asked >= 1


@pytest.mark.parametrize("topic", ["gone", "never"])
@pytest.mark.parametrize("kind", [SuiteError, UsageError])
def test_a_topic_that_cannot_be_seen_is_named(topic: str, kind: type[SuiteError]) -> None:
    with pytest.raises(kind, match=rf"topic {topic} cannot be seen\nhint: .* may the principal describe it") as caught:
        watermarks_of(cast(Consumer, Moving()), [topic], who="the principal", unseen=kind)
    assert type(caught.value) is kind
