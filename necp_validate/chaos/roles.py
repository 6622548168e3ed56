"""Targets by what they do, not by number: which broker plays a role is found out when it is to be broken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from necp_validate.core import StackError, UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.events.topics import TOPICS, Domain

if TYPE_CHECKING:
    from necp_validate.chaos.session import Session

ROLES = {
    "leader": "the leader of a partition: leader:TOPIC-NUMBER; without one, of a combat one by seed",
    "follower": "a follower of a partition, likewise",
    "controller": "the active controller of the quorum",
    "coordinator": "the coordinator of a consumer group: coordinator:GROUP; without one, of event-core-combat",
    "random": "any broker that runs, chosen by seed",
    "same": "the broker that was broken before",
}
"""Every role, and what it means."""

_WITH_DETAIL = ("leader", "follower", "coordinator")
_PARTITION = re.compile(r"(?P<topic>.+)-(?P<number>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A parsed role.

    Args:
        name: a key of `ROLES`.
        topic: topic of the partition, for a leader or follower.
        partition: number of the partition; None lets the seed choose.
        group: consumer group, for a coordinator.
    """

    name: str
    topic: str = Domain.COMBAT.topic
    partition: int | None = None
    group: str = Domain.COMBAT.group


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A broker, and the words for why it."""

    broker: int
    words: str


def parse_role(text: str) -> Role:
    """Read a role as experiments write it: ``controller``, ``leader:game.combat.events-3``.

    Raises:
        UsageError: there is no such role, partition or group; the hint says which there are.
    """
    name, colon, detail = text.partition(":")
    if name not in ROLES:
        raise UsageError(f'there is no role "{text}"', hint=_hint(name, list(ROLES), "roles"))
    if not colon:
        return Role(name=name)
    if name not in _WITH_DETAIL or not detail:
        raise UsageError(f'the role "{text}" is not complete, or takes no detail', hint=f"{name}: {ROLES[name]}")
    if name == "coordinator":
        groups = [domain.group for domain in Domain]
        if detail not in groups:
            raise UsageError(f'there is no group "{detail}"', hint=_hint(detail, groups, "groups"))
        return Role(name=name, group=detail)
    match = _PARTITION.fullmatch(detail)
    if match is None:
        raise UsageError(f'"{detail}" is no partition', hint="write it as game.combat.events-3")
    topic, number = match["topic"], int(match["number"])
    if topic not in TOPICS:
        raise UsageError(f'there is no topic "{topic}"', hint=_hint(topic, list(TOPICS), "topics"))
    if number >= TOPICS[topic].partitions:
        raise UsageError(f"{topic} has no partition {number}", hint=f"it has 0 to {TOPICS[topic].partitions - 1}")
    return Role(name=name, topic=topic, partition=number)


def _hint(given: str, valid: list[str], what: str) -> str:
    guess = did_you_mean(given, valid)
    return f'{f"""did you mean "{guess}"? """ if guess else ""}{what}: {", ".join(valid)}'


def resolve(session: Session, text: str) -> Target:
    """Find the broker that plays a role now.

    Raises:
        UsageError: there is no such role.
        StackError: nobody plays it.
    """
    role = parse_role(text)
    target = _resolve(session, role)
    session.last_broker = target.broker
    return target


def _resolve(session: Session, role: Role) -> Target:
    stack, cluster = session.stack, session.cluster
    if role.name == "same":
        if session.last_broker is None:
            raise StackError("no broker has been broken before: nothing is the same")
        return Target(broker=session.last_broker, words=f"broker-{session.last_broker}")
    if role.name == "controller":
        broker = cluster.controller()
        return Target(broker=broker, words=f"broker-{broker} (controller)")
    if role.name == "coordinator":
        broker = cluster.coordinator(role.group)
        return Target(broker=broker, words=f"broker-{broker} (coordinator of {role.group})")
    if role.name == "random":
        broken = {session.last_broker} if session.in_force else set()
        able = [b.id for b in stack.brokers() if stack.broker_alive(b.id) and b.id not in broken]
        if not able:
            raise StackError("no broker runs that could be broken")
        broker = session.rng.choice(sorted(able))
        return Target(broker=broker, words=f"broker-{broker} (chosen by seed)")
    number = role.partition
    if number is None:
        ends = cluster.ends(role.topic)
        number = session.rng.choice(sorted(n for n, end in ends.items() if end > 0) or sorted(ends))
    leader = cluster.leader(role.topic, number)
    if role.name == "leader":
        return Target(broker=leader, words=f"broker-{leader} (leader of {role.topic}-{number})")
    followers = sorted(broker for broker in cluster.replicas(role.topic, number) if broker != leader)
    broker = session.rng.choice(followers)
    return Target(broker=broker, words=f"broker-{broker} (follower of {role.topic}-{number})")
