"""Nothing that leaves a mark without a clear word, and each refusal names that word."""

from __future__ import annotations

import pytest

from necp_validate.core import UsageError
from necp_validate.external.cluster import ClusterFacts, TopicFacts
from necp_validate.external.permission import CREATE, WRITE, allowed, require_topics, require_write
from necp_validate.stack.external_topics import TopicTarget


def _cluster(*topics: TopicFacts) -> ClusterFacts:
    return ClusterFacts(id="c", brokers={1: "kafka:9092"}, version="3.9", topics={one.name: one for one in topics})


def _topic(name: str, end: int = 0, begin: int = 0, **settings: str) -> TopicFacts:
    return TopicFacts(name=name, begin=(begin, 0), end=(end, 0), replication_factor=1, settings=settings)


def _targets(*names: str, key: str = "random") -> dict[str, TopicTarget]:
    return {name: TopicTarget(name=name, key=key) for name in names}


def test_a_topic_that_was_never_written_to_needs_no_word() -> None:
    assert require_topics(_cluster(_topic("orders")), _targets("orders"), ()) == ()


def test_a_topic_in_use_needs_the_word_write() -> None:
    cluster = _cluster(_topic("orders", end=1_200))
    with pytest.raises(UsageError, match=r"in use already: orders \(1,200 records\); nothing was written") as caught:
        require_topics(cluster, _targets("orders"), [CREATE])
    assert "--allow write" in str(caught.value.hint)
    assert caught.value.exit_code == 2
    assert require_topics(cluster, _targets("orders"), [WRITE]) == ()


def test_a_topic_whose_records_have_expired_is_in_use_all_the_same() -> None:
    cluster = _cluster(_topic("orders", end=10, begin=10))
    assert cluster.topics["orders"].records == 0
    with pytest.raises(UsageError, match="in use already"):
        require_topics(cluster, _targets("orders"), ())


def test_other_topics_of_the_cluster_do_not_matter() -> None:
    cluster = _cluster(_topic("orders"), _topic("payments", end=5))
    assert require_topics(cluster, _targets("orders"), ()) == ()


def test_a_topic_is_made_only_if_that_is_allowed() -> None:
    with pytest.raises(UsageError, match="no topic orders, refunds; nothing was created") as caught:
        require_topics(_cluster(), _targets("orders", "refunds"), [WRITE])
    assert "--allow create-topics" in str(caught.value.hint)
    missing = require_topics(_cluster(_topic("orders")), _targets("orders", "refunds"), [CREATE])
    assert [topic.name for topic in missing] == ["refunds"]


def test_what_was_compacted_away_would_look_lost() -> None:
    cluster = _cluster(_topic("orders", **{"cleanup.policy": "compact,delete"}))
    with pytest.raises(UsageError, match="is compacted") as caught:
        require_topics(cluster, _targets("orders"), ())
    assert 'key = "unique"' in str(caught.value.hint)
    assert require_topics(cluster, _targets("orders", key="unique"), ()) == ()
    with pytest.raises(UsageError, match="is compacted"):  # and takes no record without a key
        require_topics(cluster, _targets("orders", key="none"), ())


def test_where_the_target_answers_must_be_there() -> None:
    orders = {"orders": TopicTarget(name="orders", output="orders.done")}
    with pytest.raises(UsageError, match=r"no topic orders\.done, in which it should answer to orders"):
        require_topics(_cluster(_topic("orders")), orders, ())
    assert require_topics(_cluster(_topic("orders"), _topic("orders.done", end=9)), orders, ()) == ()


def test_an_unknown_word_is_wrong_usage_with_a_guess() -> None:
    with pytest.raises(UsageError, match="--allow create-topic: not known") as caught:
        allowed(["create-topic"])
    assert caught.value.hint == "did you mean create-topics?"
    with pytest.raises(UsageError, match="--allow xyz: not known") as caught:
        allowed(["write", "xyz"])
    assert "faults (break parts of the target)" in str(caught.value.hint)
    assert allowed(["write", "write", "faults"]) == {"write", "faults"}


def test_nothing_is_asked_for_topics_that_hold_nothing() -> None:
    require_write({"orders": 0, "refunds": 0}, ())
    with pytest.raises(UsageError, match=r"in use already: b \(1 records\), c \(2 records\)"):
        require_write({"a": 0, "c": 2, "b": 1}, ())
