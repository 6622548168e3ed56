"""What a run will owe as evidence, from its scenario and its target, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from necp_validate.events.topics import (
    COMMITTED_WITHIN_S,
    LEDGER_TOPIC,
    RECEIPTED_WITHIN_S,
    RECEIPTS_TOPIC,
    TOPICS,
    Domain,
)
from necp_validate.monitoring import alert_names
from necp_validate.record.due import Due, ListenerDue, TopicDue
from necp_validate.security.access import cells_of
from necp_validate.security.listeners import attempts_at
from necp_validate.security.policy import Policy
from necp_validate.stack import Stack


def due_of_game(
    stack: Stack,
    domains: Iterable[Domain],
    partitions: Mapping[str, int],
    *,
    policy: Policy | None,
    monitored: bool,
    at_once: Mapping[Domain, int],
) -> Due:
    """What a run on the game's own topics owes.

    Args:
        stack: that it runs on; it is up.
        domains: that are loaded or played in.
        partitions: of every topic that is read back.
        policy: of whom everything is tried, if it is.
        monitored: whether Prometheus watches.
        at_once: by domain, of how many events one has its outcome written at once.
    """
    domains = tuple(domains)
    roles = {
        RECEIPTS_TOPIC: "receipts",
        LEDGER_TOPIC: "ledger",
        **{domain.topic: "events" for domain in domains},
        **{domain.dead_letter_topic: "dead-letters" for domain in domains},
    }
    ours = stack.describe().backend != "external"
    return Due(
        topics=tuple(_as_made(one) if ours else one for one in _topics(roles, partitions)),
        brokers=tuple(str(broker.id) for broker in stack.brokers()) if stack.sample() else (),
        groups=tuple(domain.group for domain in domains),
        listeners=_listeners(stack) if policy is not None else (),
        access_cells=len(cells_of(policy)) if policy is not None else 0,
        alert_rules=alert_names() if monitored else (),
        committed_within_s={domain.value: COMMITTED_WITHIN_S[domain] for domain in domains} if ours else {},
        receipted_within_s={domain.value: RECEIPTED_WITHIN_S[domain] for domain in domains} if ours else {},
        receipted_at_once={domain.value: one_in for domain, one_in in at_once.items()} if ours else {},
    )


def due_of_topics(partitions: Mapping[str, int]) -> Due:
    """What a run on topics of the user's own owes.

    Args:
        partitions: of every topic that is loaded.
    """
    return Due(
        topics=_topics(dict.fromkeys(partitions, "events"), partitions),
        brokers=(),
        groups=(),
        listeners=(),
        access_cells=0,
        alert_rules=(),
        committed_within_s={},
        receipted_within_s={},
        receipted_at_once={},
    )


def _topics(roles: Mapping[str, str], partitions: Mapping[str, int]) -> tuple[TopicDue, ...]:
    return tuple(TopicDue(topic=name, role=roles[name], partitions=count) for name, count in partitions.items())


def _as_made(topic: TopicDue) -> TopicDue:
    spec = TOPICS[topic.topic]
    return replace(topic, replicas=spec.replication_factor, settings=spec.config)


def _listeners(stack: Stack) -> tuple[ListenerDue, ...]:
    return tuple(
        ListenerDue(
            listener=one.name,
            broker=one.broker,
            mutual=one.mutual,
            attempts=tuple(attempt.name for attempt in attempts_at(mutual=one.mutual)),
        )
        for one in stack.listeners()
    )
