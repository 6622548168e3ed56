"""Settings of topics that are in force, as a broker describes them; defaults of the broker are among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_TIMEOUT_S = 10.0
_SLACK_S = 5.0
_NO_ANSWER = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


def topic_settings(admin: AdminClient, topics: Iterable[str], names: Collection[str]) -> dict[str, dict[str, str]]:
    """Settings of some topics, by topic and by Kafka's names; what may not be read, or is not there, is left out.

    Args:
        admin: asks; its user needs DescribeConfigs on each topic.
        topics: whose settings.
        names: of the settings.

    Raises:
        KafkaException, TimeoutError: a broker does not answer.
    """
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    if not resources:
        return found
    for resource, future in admin.describe_configs(resources, request_timeout=_TIMEOUT_S).items():
        try:
            entries = future.result(_TIMEOUT_S + _SLACK_S)
        except KafkaException as error:
            if error.args[0].retriable() or error.args[0].code() in _NO_ANSWER:
                raise
            continue  # denied, or not there, or of a broker that does not know such requests
        found[resource.name] = {name: str(entries[name].value) for name in names if name in entries}
    return found
