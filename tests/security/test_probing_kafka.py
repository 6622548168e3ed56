"""Negative probes at real brokers: a sound cluster refuses everything, and two seeded defects are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from necp_validate.record import ACCEPTED, REFUSED, UNTRIED, SecurityRound
from necp_validate.security.policy import load_policy
from necp_validate.security.probing import try_everything
from necp_validate.stack import LocalStack, Stack
from necp_validate.stack.protocol import ADMIN

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def open_stack(tmp_path: Path) -> Iterator[Stack]:
    """One whose internal listener takes clients without a certificate."""
    stack = LocalStack(log_dir=tmp_path, overrides={"listener.name.internal.ssl.client.auth": "requested"})
    try:
        stack.start(lambda _: None)
        yield stack
    finally:
        stack.stop()


def wrong(one: SecurityRound) -> set[tuple[str, ...]]:
    """What did not end as it must, brokers left out."""
    listeners = {(p.listener, p.attempt) for p in one.listeners if p.outcome != p.expected}
    access = {(p.principal, p.resource, p.operation) for p in one.access if p.outcome != p.expected}
    return listeners | access


def test_a_sound_cluster_lets_in_whom_it_must_and_nobody_else(stack: Stack) -> None:
    one = try_everything(stack, load_policy(), "start")
    assert wrong(one) == set(), [probe for probe in one.listeners if probe.outcome != probe.expected]
    assert {probe.listener for probe in one.listeners} >= {"internal", "controller", "external"}
    assert {probe.broker for probe in one.listeners} == {1, 2, 3}
    assert sum(probe.outcome == ACCEPTED for probe in one.access) == sum(probe.allowed for probe in one.access) > 40
    denied = [probe for probe in one.access if probe.outcome == REFUSED]
    assert len(denied) > 300
    # The broker's own words: for every bad certificate and login at a listener that is reached without a proxy.
    bad = {"no-certificate", "expired-certificate", "wrong-ca", "plaintext"}
    assert all(p.log_line for p in one.listeners if p.listener == "internal" and p.attempt in bad), one.listeners
    assert sum(bool(probe.log_line) for probe in denied) > 0.9 * len(denied)


def test_what_is_open_is_found(open_stack: Stack) -> None:
    """An internal listener that takes clients without a certificate, and a rule that allows too much."""
    admin = AdminClient(open_stack.client_config(ADMIN))
    rule = AclBinding(
        ResourceType.TOPIC,
        "game.economy.events",
        ResourcePatternType.LITERAL,
        "User:combat-service",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    for future in admin.create_acls([rule]).values():
        future.result(timeout=30)
    one = try_everything(open_stack, load_policy(), "start")
    assert wrong(one) == {
        ("internal", "no-certificate"),
        ("combat-service", "topic:game.economy.events", "Describe"),  # Write implies it
        ("combat-service", "topic:game.economy.events", "Write"),
    }
    assert not [probe for probe in one.listeners if probe.outcome == UNTRIED]
