"""Topics, users and ACLs of a new cluster, exactly as claimed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import ElectionType, KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from necp_validate.core import StackError
from necp_validate.events.topics import ACLS, MIN_INSYNC_REPLICAS, REPLICATION_FACTOR, TOPICS, AclRule
from necp_validate.stack.config import INTERNAL_TOPICS

SCRAM_ITERATIONS = 4096
_REQUEST_TIMEOUT_S = 30.0

_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "cluster": ResourceType.BROKER,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
_PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefixed": ResourcePatternType.PREFIXED}
_OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}

# The client library writes every refused connection to the terminal; while brokers come up that is no news.
SILENT = logging.getLogger("necp_validate.stack.rdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


def admin_client(config: Mapping[str, str]) -> AdminClient:
    """Return an administrative client that reconnects quickly and keeps its log to itself."""
    quick = {"reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "200", "log_level": "2"}
    return AdminClient({**quick, **config}, logger=SILENT)


def elect_preferred_leaders(admin: AdminClient) -> None:
    """Give every partition back to its preferred leader; brokers do so by themselves after five minutes only.

    Raises:
        KafkaException: the request was refused.
        TimeoutError: no answer.
    """
    # Its timeouts cannot be given: confluent-kafka 2.16 fails on any (SystemError); the client's own hold.
    admin.elect_leaders(ElectionType.PREFERRED, None).result(6.0)


def new_topics() -> list[NewTopic]:
    """Return every topic as it is to be made, Kafka's own two included so that nobody waits for them later."""
    own = [
        NewTopic(spec.name, spec.partitions, spec.replication_factor, config=spec.config) for spec in TOPICS.values()
    ]
    compacted = {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}
    internal = [
        NewTopic(
            name,
            partitions,
            REPLICATION_FACTOR,
            config={**compacted, "min.insync.replicas": str(MIN_INSYNC_REPLICAS)},
        )
        for name, partitions in INTERNAL_TOPICS.items()
    ]
    return [*own, *internal]


def acl_bindings(rules: Sequence[AclRule] = ACLS) -> list[AclBinding]:
    """Return Kafka's ACL bindings for the rules."""
    return [
        AclBinding(
            _RESOURCES[rule.resource_type],
            rule.name,
            _PATTERNS[rule.pattern],
            f"User:{rule.principal}",
            "*",
            _OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for rule in rules
        for operation in rule.operations
    ]


def scram_user(name: str, password: str) -> UserScramCredentialAlteration:
    """Return the change that gives a user this password, in the place of the one before."""
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    return UserScramCredentialUpsertion(name, scram, password.encode())


def provision(admin: AdminClient, passwords: Mapping[str, str]) -> None:
    """Create users, topics and ACLs; all requests are under way at the same time.

    Args:
        admin: client of a super user.
        passwords: principal to password.

    Raises:
        StackError: the cluster refused one of them.
    """
    users = [scram_user(name, secret) for name, secret in passwords.items()]
    requests: list[tuple[str, Mapping[Any, Future[Any]]]] = [
        ("user", admin.alter_user_scram_credentials(users, request_timeout=_REQUEST_TIMEOUT_S)),
        ("topic", admin.create_topics(new_topics(), request_timeout=_REQUEST_TIMEOUT_S)),
        ("ACL", admin.create_acls(acl_bindings(), request_timeout=_REQUEST_TIMEOUT_S)),
    ]
    for kind, futures in requests:
        for what, future in futures.items():
            try:
                future.result(_REQUEST_TIMEOUT_S + 5.0)
            except (KafkaException, TimeoutError) as error:
                if _exists(error):
                    continue  # the client repeats a request that is answered late; readiness looks at every topic
                raise StackError(f"the cluster did not take {kind} {what}: {error}") from error


def _exists(error: Exception) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, KafkaError) and cause.code() == KafkaError.TOPIC_ALREADY_EXISTS
