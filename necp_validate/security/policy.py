"""The declared policy: which principal may do what to which resource."""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from pathlib import Path

import msgspec

from necp_validate.core import UsageError

OPERATIONS: dict[str, tuple[str, ...]] = {
    "topic": ("Describe", "Read", "Write", "Create", "Delete", "DescribeConfigs", "AlterConfigs"),
    "group": ("Describe", "Read"),
    "transactional-id": ("Write",),
    "cluster": ("Describe", "AlterConfigs"),
}
"""By kind of resource, every operation that is tried."""

UNDECLARED: tuple[str, ...] = ("topic:game.undeclared", "topic:__consumer_offsets", "group:undeclared")
"""What no policy names, and nobody may touch: a topic that is not there, one of Kafka's own, somebody else's group."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One allowance.

    Args:
        principal: user name, without Kafka's ``User:``.
        resources: kinds and names, e.g. ``topic:game.combat.events``; a ``*`` at the end stands for any ending.
        operations: Kafka's names.
    """

    principal: str
    resources: tuple[str, ...]
    operations: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """All allowances; whatever they do not name is to be refused.

    Args:
        allow: the allowances.
    """

    allow: tuple[Rule, ...]

    @cached_property
    def principals(self) -> tuple[str, ...]:
        """Everybody whom it names."""
        return tuple(dict.fromkeys(rule.principal for rule in self.allow))

    @cached_property
    def resources(self) -> tuple[str, ...]:
        """Every resource that it names, an example for each pattern, and some that it does not name."""
        names = (_example(resource) for rule in self.allow for resource in rule.resources)
        return tuple(dict.fromkeys((*names, *UNDECLARED)))

    def allows(self, principal: str, resource: str, operation: str) -> bool:
        """Say whether a principal may do something to a resource."""
        return any(
            rule.principal == principal
            and operation in rule.operations
            and any(_covers(pattern, resource) for pattern in rule.resources)
            for rule in self.allow
        )


def _example(pattern: str) -> str:
    prefix = pattern.removesuffix("*")
    return pattern if prefix == pattern else f"{prefix}{'-' if prefix[-1].isalnum() else ''}probe"


def _covers(pattern: str, resource: str) -> bool:
    return resource.startswith(pattern[:-1]) if pattern.endswith("*") else resource == pattern


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy; by default the one of the claims.

    Raises:
        UsageError: there is no such file, or it has a mistake; the message names the place.
    """
    source = files("necp_validate.security").joinpath("policy.toml") if path is None else path
    try:
        policy = msgspec.toml.decode(source.read_bytes(), type=Policy)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise UsageError(f"{source}: {error}", hint="see necp_validate/security/policy.toml for the form") from error
    for number, rule in enumerate(policy.allow, start=1):
        for resource in rule.resources:
            kind = resource.partition(":")[0]
            if kind not in OPERATIONS:
                known = ", ".join(OPERATIONS)
                raise UsageError(f"{source}: allow number {number}: {resource!r} is of no known kind", hint=known)
            if wrong := [one for one in rule.operations if one not in OPERATIONS[kind] and one != "Describe"]:
                known = ", ".join(OPERATIONS[kind])
                words = f"{source}: allow number {number}: {wrong[0]!r} is no operation on {resource!r}"
                raise UsageError(words, hint=f"there are {known}")
    return policy
