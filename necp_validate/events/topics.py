"""Topics, principals and access rules of the event backbone. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

DAY_MS: Final = 24 * 60 * 60 * 1000
REPLICATION_FACTOR: Final = 3
MIN_INSYNC_REPLICAS: Final = 2


class Domain(StrEnum):
    """The four domains of game events; the order is the order of partitions in the receipts topic."""

    COMBAT = "combat"
    ECONOMY = "economy"
    SOCIAL = "social"
    SYSTEM = "system"

    @property
    def number(self) -> int:
        """Number of the domain (from 0), which is also its partition in the receipts topic."""
        return _DOMAIN_NUMBER[self]

    @property
    def topic(self) -> str:
        """Name of the topic that carries the domain's events."""
        return f"game.{self.value}.events"

    @property
    def dead_letter_topic(self) -> str:
        """Name of the topic that takes the domain's invalid events."""
        return dead_letter_topic(self.topic)

    @property
    def group(self) -> str:
        """Consumer group of the event core for this domain."""
        return f"event-core-{self.value}"

    @property
    def service(self) -> str:
        """Principal that may write the domain's events."""
        return f"{self.value}-service"


_DOMAIN_NUMBER: Final[dict[Domain, int]] = {domain: number for number, domain in enumerate(Domain)}


def dead_letter_topic(topic: str) -> str:
    """Name the dead-letter topic of ``topic``."""
    return f"{topic}.dlt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it must exist.

    Args:
        name: the topic.
        partitions: number of partitions.
        retention_ms: how long records are kept, in milliseconds; -1 keeps them for ever.
        cleanup_policy: Kafka's ``cleanup.policy``.
        domain: the domain whose events or outputs the topic carries, if one.
        replication_factor: replicas of each partition.
        min_insync_replicas: replicas that must have a record before it counts as committed.
        timestamps: whose time a record carries: its producer's, or that of the broker that appended it.
    """

    name: str
    partitions: int
    retention_ms: int
    cleanup_policy: Literal["delete", "compact"] = "delete"
    domain: Domain | None = None
    replication_factor: int = REPLICATION_FACTOR
    min_insync_replicas: int = MIN_INSYNC_REPLICAS
    timestamps: Literal["CreateTime", "LogAppendTime"] = "CreateTime"

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration in Kafka's own names."""
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "min.insync.replicas": str(self.min_insync_replicas),
            "message.timestamp.type": self.timestamps,
            "unclean.leader.election.enable": "false",
        }


TOPIC_GUARANTEES: Final = (
    *("cleanup.policy", "retention.ms", "min.insync.replicas", "message.timestamp.type"),
    *("unclean.leader.election.enable", "max.message.bytes"),
)
"""Settings of a topic that decide what it guarantees, by Kafka's names."""

BROKER_DEFAULTS: Final = {"max.message.bytes": "1048588"}
"""Those of them that are left to the brokers, with Kafka's default."""

RECEIPTS_TOPIC: Final = "game.core.receipts"
LEDGER_TOPIC: Final = "game.economy.ledger"
MARKET_TOPIC: Final = "game.economy.market"
CHAT_TOPIC: Final = "game.social.chat"
AUDIT_TOPIC: Final = "game.system.audit"

_DEAD_LETTERS: Final = tuple(
    TopicSpec(name=domain.dead_letter_topic, partitions=4, retention_ms=14 * DAY_MS, domain=domain) for domain in Domain
)

TOPICS: Final[dict[str, TopicSpec]] = {
    spec.name: spec
    for spec in (
        TopicSpec(name=Domain.COMBAT.topic, partitions=24, retention_ms=7 * DAY_MS, domain=Domain.COMBAT),
        TopicSpec(name=Domain.ECONOMY.topic, partitions=12, retention_ms=7 * DAY_MS, domain=Domain.ECONOMY),
        TopicSpec(name=Domain.SOCIAL.topic, partitions=8, retention_ms=7 * DAY_MS, domain=Domain.SOCIAL),
        TopicSpec(name=Domain.SYSTEM.topic, partitions=6, retention_ms=90 * DAY_MS, domain=Domain.SYSTEM),
        TopicSpec(name=AUDIT_TOPIC, partitions=6, retention_ms=2555 * DAY_MS, domain=Domain.SYSTEM),
        *_DEAD_LETTERS,
        # When an outcome was written is the brokers' to say: of when it came about there is the core's word alone.
        TopicSpec(name=RECEIPTS_TOPIC, partitions=len(Domain), retention_ms=7 * DAY_MS, timestamps="LogAppendTime"),
        # Balances are rebuilt from the ledger, so it must never lose its beginning.
        TopicSpec(name=LEDGER_TOPIC, partitions=12, retention_ms=-1, domain=Domain.ECONOMY),
        TopicSpec(name=MARKET_TOPIC, partitions=4, retention_ms=7 * DAY_MS, domain=Domain.ECONOMY),
        TopicSpec(name=CHAT_TOPIC, partitions=8, retention_ms=7 * DAY_MS, domain=Domain.SOCIAL),
    )
}

TICK_MS: Final[dict[Domain, int]] = {Domain.COMBAT: 100, Domain.ECONOMY: 40, Domain.SOCIAL: 250, Domain.SYSTEM: 500}
"""How often outputs and receipts are written; for economy, the least time between two transactions' beginnings."""

RECEIPTED_WITHIN_S: Final[dict[Domain, float]] = {domain: tick_ms / 1_000 + 0.05 for domain, tick_ms in TICK_MS.items()}
"""How long before the append of its receipt an event may be said to have ended: a tick, and 50 ms for the write."""

COMMITTED_WITHIN_S: Final[dict[Domain, float]] = {
    Domain.COMBAT: 0.6,
    Domain.ECONOMY: 0.5,
    Domain.SOCIAL: 0.75,
    Domain.SYSTEM: 1.0,
}
"""How long after an event was handled its offset may be uncommitted: a consumer's outputs and commits have a pace.

A consumer whose lag stands for more than that is slower than its receipts say.
"""

CORE_PRINCIPAL: Final = "event-core"
GATEWAY_PRINCIPAL: Final = "gateway"
VERIFIER_PRINCIPAL: Final = "necp-verifier"
PRINCIPALS: Final[tuple[str, ...]] = (
    *(domain.service for domain in Domain),
    CORE_PRINCIPAL,
    GATEWAY_PRINCIPAL,
    VERIFIER_PRINCIPAL,
)

CLUSTER_NAME: Final = "kafka-cluster"

ResourceType = Literal["topic", "group", "cluster", "transactional-id"]
PatternType = Literal["literal", "prefixed"]
Operation = Literal["Read", "Write", "Describe", "DescribeConfigs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AclRule:
    """One allowance; whatever no rule allows is denied.

    Args:
        principal: user name without Kafka's ``User:``.
        resource_type: kind of resource.
        name: the resource, or the beginning of its name when the pattern is ``prefixed``.
        pattern: how ``name`` matches.
        operations: what is allowed.
    """

    principal: str
    resource_type: ResourceType
    name: str
    operations: tuple[Operation, ...]
    pattern: PatternType = "literal"

    def matches(self, resource_type: ResourceType, name: str) -> bool:
        """Tell whether the rule is about this resource."""
        if resource_type != self.resource_type:
            return False
        return name.startswith(self.name) if self.pattern == "prefixed" else name == self.name


def _service_rules(domain: Domain) -> AclRule:
    return AclRule(
        principal=domain.service,
        resource_type="topic",
        name=domain.topic,
        operations=("Write", "Describe"),
    )


def _core_rules() -> tuple[AclRule, ...]:
    reads = tuple(
        AclRule(
            principal=CORE_PRINCIPAL,
            resource_type="topic",
            name=domain.topic,
            operations=("Read", "Describe"),
        )
        for domain in Domain
    )
    outputs = (
        *(domain.dead_letter_topic for domain in Domain),
        RECEIPTS_TOPIC,
        LEDGER_TOPIC,
        MARKET_TOPIC,
        CHAT_TOPIC,
        AUDIT_TOPIC,
    )
    writes = tuple(
        AclRule(
            principal=CORE_PRINCIPAL,
            resource_type="topic",
            name=name,
            operations=("Read", "Write", "Describe") if name == LEDGER_TOPIC else ("Write", "Describe"),
        )
        for name in outputs
    )
    return (
        *reads,
        *writes,
        AclRule(
            principal=CORE_PRINCIPAL,
            resource_type="group",
            name=CORE_PRINCIPAL,
            pattern="prefixed",
            operations=("Read", "Describe"),
        ),
        AclRule(
            principal=CORE_PRINCIPAL,
            resource_type="transactional-id",
            name=CORE_PRINCIPAL,
            pattern="prefixed",
            operations=("Write", "Describe"),
        ),
    )


def _gateway_rules() -> tuple[AclRule, ...]:
    """Return what the gateway may do: write what players do, read what became of it; by partition, in no group."""
    writes = tuple(
        AclRule(principal=GATEWAY_PRINCIPAL, resource_type="topic", name=domain.topic, operations=("Write", "Describe"))
        for domain in Domain
    )
    reads = tuple(
        AclRule(principal=GATEWAY_PRINCIPAL, resource_type="topic", name=name, operations=("Read", "Describe"))
        for name in (RECEIPTS_TOPIC, CHAT_TOPIC)
    )
    return (*writes, *reads)


def _verifier_rules() -> tuple[AclRule, ...]:
    topics = tuple(
        AclRule(
            principal=VERIFIER_PRINCIPAL,
            resource_type="topic",
            name=name,
            operations=("Read", "Describe", "DescribeConfigs"),
        )
        for name in TOPICS
    )
    return (
        *topics,
        AclRule(principal=VERIFIER_PRINCIPAL, resource_type="group", name="*", operations=("Describe",)),
        AclRule(
            principal=VERIFIER_PRINCIPAL,
            resource_type="cluster",
            name=CLUSTER_NAME,
            operations=("Describe",),
        ),
    )


# A transactional or idempotent producer needs no rule of its own: Write on a topic implies IdempotentWrite.
ACLS: Final[tuple[AclRule, ...]] = (
    *(_service_rules(domain) for domain in Domain),
    *_core_rules(),
    *_gateway_rules(),
    *_verifier_rules(),
)


def is_allowed(principal: str, resource_type: ResourceType, name: str, operation: Operation) -> bool:
    """Say what the rules say of one cell of the matrix principal x resource x operation."""
    return any(
        rule.principal == principal
        and operation in rule.operations
        and (rule.name == "*" or rule.matches(resource_type, name))
        and rule.resource_type == resource_type
        for rule in ACLS
    )
