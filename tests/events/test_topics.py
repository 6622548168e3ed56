"""Topics and access rules as they are claimed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from necp_validate.events.topics import (
    ACLS,
    BROKER_DEFAULTS,
    CLUSTER_NAME,
    PRINCIPALS,
    RECEIPTS_TOPIC,
    TOPIC_GUARANTEES,
    TOPICS,
    Domain,
    is_allowed,
)

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("name", "partitions", "retention_days"),
    [
        ("game.combat.events", 24, 7),
        ("game.economy.events", 12, 7),
        ("game.social.events", 8, 7),
        ("game.system.events", 6, 90),
        ("game.system.audit", 6, 2_555),
        ("game.combat.events.dlt", 4, 14),
        ("game.core.receipts", 4, 7),
    ],
)
def test_topics_are_as_claimed(name: str, partitions: int, retention_days: int) -> None:
    """Partitions and retention are those of the claims."""
    assert TOPICS[name].partitions == partitions
    assert TOPICS[name].config["retention.ms"] == str(retention_days * DAY_MS)


def test_every_topic_is_replicated_and_durable() -> None:
    """Three replicas, two of which must have a record before it counts."""
    assert {spec.replication_factor for spec in TOPICS.values()} == {3}
    assert {spec.config["min.insync.replicas"] for spec in TOPICS.values()} == {"2"}


def test_each_domain_has_a_partition_of_receipts() -> None:
    """The domain's number is a partition of the receipts topic."""
    assert sorted(domain.number for domain in Domain) == list(range(TOPICS[RECEIPTS_TOPIC].partitions))


def test_a_service_may_write_its_own_topic_and_nothing_else() -> None:
    """Zero trust: one principal, one topic."""
    for domain in Domain:
        may = {
            (name, operation)
            for name in TOPICS
            for operation in ("Read", "Write")
            if is_allowed(domain.service, "topic", name, operation)
        }
        assert may == {(domain.topic, "Write")}


def test_the_core_reads_events_and_writes_outputs() -> None:
    """It reads what it must, writes what it must, and cannot forge events."""
    assert is_allowed("event-core", "topic", "game.combat.events", "Read")
    assert not is_allowed("event-core", "topic", "game.combat.events", "Write")
    assert is_allowed("event-core", "topic", "game.core.receipts", "Write")
    assert is_allowed("event-core", "group", "event-core-combat", "Read")
    assert not is_allowed("event-core", "group", "other", "Read")
    assert is_allowed("event-core", "transactional-id", "event-core-economy-0", "Write")


def test_the_gateway_writes_events_and_reads_what_became_of_them() -> None:
    """It may not read events, forge receipts, chat for the core or join a group."""
    may = {
        (name, operation)
        for name in TOPICS
        for operation in ("Read", "Write")
        if is_allowed("gateway", "topic", name, operation)
    }
    assert may == {
        ("game.combat.events", "Write"),
        ("game.economy.events", "Write"),
        ("game.social.events", "Write"),
        ("game.system.events", "Write"),
        ("game.core.receipts", "Read"),
        ("game.social.chat", "Read"),
    }
    assert not any(rule.resource_type != "topic" for rule in ACLS if rule.principal == "gateway")


def test_the_verifier_only_looks() -> None:
    """It reads every topic, describes groups and cluster, and writes nowhere."""
    assert all(is_allowed("necp-verifier", "topic", name, "Read") for name in TOPICS)
    assert not any(is_allowed("necp-verifier", "topic", name, "Write") for name in TOPICS)
    assert is_allowed("necp-verifier", "group", "anything", "Describe")
    assert is_allowed("necp-verifier", "cluster", CLUSTER_NAME, "Describe")


def test_rules_are_about_known_principals_and_topics() -> None:
    """No rule is left over for something that does not exist."""
    assert {rule.principal for rule in ACLS} == set(PRINCIPALS)
    assert {rule.name for rule in ACLS if rule.resource_type == "topic"} == set(TOPICS)


def test_topics_need_nothing_but_the_standard_library() -> None:
    """Tools that only want names do not pay for anything else."""
    code = (
        "import sys, necp_validate.events.topics, necp_validate.events.tail; "
        "print(any(name in sys.modules for name in ('msgspec', 'confluent_kafka', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_whatever_a_topic_is_made_with_is_asked_of_it_again() -> None:
    made = {name for spec in TOPICS.values() for name in spec.config}
    assert made | BROKER_DEFAULTS.keys() == set(TOPIC_GUARANTEES)
