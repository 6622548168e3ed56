"""Which consumer groups read a topic: those that have committed an offset of it. Asks, and joins none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from necp_validate.external.cluster import ClusterFacts
from necp_validate.stack.provision import SILENT

ASKED_AT_MOST: Final = 20
_TIMEOUT_S: Final = 5.0


def groups_of(config: Mapping[str, str], facts: ClusterFacts, topics: Sequence[str]) -> dict[str, list[str]]:
    """Consumer groups by topic; what may not be listed or described is left out.

    Args:
        config: librdkafka properties.
        facts: what the cluster said.
        topics: whose groups are looked for.
    """
    wanted = [
        TopicPartition(name, partition)
        for name in topics
        if name in facts.topics
        for partition in range(len(facts.topics[name].end))
    ]
    found: dict[str, list[str]] = {}
    for group in _names(config)[:ASKED_AT_MOST] if wanted else ():
        for topic in _committed(config, group, wanted):
            found.setdefault(topic, []).append(group)
    return found


def _names(config: Mapping[str, str]) -> list[str]:
    admin = AdminClient({"log_level": "2", **config}, logger=SILENT)
    try:
        return sorted(one.group_id for one in admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid)
    except KafkaException:
        return []


def _committed(config: Mapping[str, str], group: str, wanted: Sequence[TopicPartition]) -> list[str]:
    # A consumer that is never subscribed is no member. It asks as `watch` will; an AdminClient's own request to a
    # coordinator ends the whole process when the connection breaks.
    asker = Consumer({**config, "group.id": group, "enable.auto.commit": False, "log_level": 2}, logger=SILENT)
    try:
        places = asker.committed(list(wanted), timeout=_TIMEOUT_S)
    except KafkaException:
        return []
    finally:
        asker.close()
    return sorted({one.topic for one in places if one.offset >= 0})
