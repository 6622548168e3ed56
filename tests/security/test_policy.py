"""The declared policy: it is what the stacks' ACLs are made from, said a second time; and mistakes in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import UsageError
from necp_validate.events.topics import PRINCIPALS, is_allowed
from necp_validate.security.access import _REQUESTS
from necp_validate.security.policy import OPERATIONS, UNDECLARED, load_policy


def test_the_policy_and_the_table_of_acls_say_the_same() -> None:
    """Two declarations, neither made from the other: a slip in one of them shows here."""
    policy = load_policy()
    assert set(policy.principals) == set(PRINCIPALS)
    for principal in PRINCIPALS:
        for resource in policy.resources:
            kind, _, name = resource.partition(":")
            for operation in ("Describe", "Read", "Write"):
                expected = is_allowed(principal, kind, name, operation)  # type: ignore[arg-type]
                assert policy.allows(principal, resource, operation) == expected, (principal, resource, operation)


def test_everything_that_is_not_declared_is_denied() -> None:
    policy = load_policy()
    assert set(UNDECLARED) <= set(policy.resources)
    for operation in ("Create", "Delete", "AlterConfigs"):
        assert not any(policy.allows(p, r, operation) for p in policy.principals for r in policy.resources)
    assert not policy.allows("combat-service", "topic:game.economy.events", "Write")
    assert policy.allows("event-core", "group:event-core-combat", "Read")
    assert not policy.allows("event-core", "group:undeclared", "Read")


def test_there_is_a_request_for_every_operation() -> None:
    assert set(_REQUESTS) == {(kind, operation) for kind, operations in OPERATIONS.items() for operation in operations}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("allow = 3", "allow"),
        ('[[allow]]\nprincipal = "a"\nresources = ["topic:x"]', "operations"),
        ('[[allow]]\nprincipal = "a"\nresources = ["shelf:x"]\noperations = ["Read"]', "'shelf:x'"),
        ('[[allow]]\nprincipal = "a"\nresources = ["group:x"]\noperations = ["Write"]', "'Write'"),
        ('[[allow]]\nprincipal = "a"\nresources = []\noperations = []\nwho = 1', "who"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"policy\.toml") as error:
        load_policy(path)
    assert named in error.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
