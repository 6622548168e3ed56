"""What counts as ready: preferred leaders, full ISR, every coordinator reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from necp_validate.events.topics import TOPICS
from necp_validate.stack.config import INTERNAL_TOPICS, TRANSACTIONS_PARTITIONS
from necp_validate.stack.readiness import (
    _covering_ids,
    expected_topics,
    require_leaders,
    transaction_partition,
    unled,
    visible_topics,
)


def _topic(*partitions: tuple[int, list[int], list[int]], error: object = None) -> Any:
    return SimpleNamespace(
        topic="t",
        error=error,
        partitions={
            number: SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)
            for number, (leader, replicas, isrs) in enumerate(partitions)
        },
    )


@pytest.mark.parametrize(
    ("topic", "lack"),
    [
        (_topic((1, [1, 2, 3], [3, 2, 1])), ""),
        (_topic((2, [1, 2, 3], [1, 2, 3])), "t-0 is led by 2, not by its preferred leader"),
        (_topic((-1, [1, 2, 3], [])), "t-0 is led by -1, not by its preferred leader"),
        (_topic((1, [1, 2, 3], [1, 2])), "t-0 has 2 of 3 replicas in sync"),
        (_topic(error="unknown"), "t: unknown"),
    ],
)
def test_what_a_topic_lacks(topic: Any, lack: str) -> None:
    assert unled(topic) == lack


def test_a_topic_with_too_few_partitions_is_not_ready() -> None:
    metadata: Any = SimpleNamespace(topics={"t": _topic((1, [1], [1]))})
    assert require_leaders(metadata, {"t": 1})
    with pytest.raises(LookupError, match="t is not known with its 2 partitions"):
        require_leaders(metadata, {"t": 2})


@pytest.mark.parametrize(
    ("text", "java_hash"),
    [("hello", 99162322), ("", 0), ("polygenelubricants", 0), ("Aa", 2112), ("BB", 2112)],
)
def test_the_hash_is_javas(text: str, java_hash: int) -> None:
    assert transaction_partition(text, 1 << 31) == java_hash


def test_the_probes_reach_every_partition_of_the_transaction_log() -> None:
    reached = {transaction_partition(identifier) for identifier in _covering_ids()}
    assert reached == set(range(TRANSACTIONS_PARTITIONS))


def test_a_service_sees_its_own_topic_only() -> None:
    assert visible_topics("combat-service") == {"game.combat.events"}
    assert visible_topics("necp-verifier") == set(TOPICS)
    assert visible_topics("admin") == {*TOPICS, *INTERNAL_TOPICS} == set(expected_topics())
