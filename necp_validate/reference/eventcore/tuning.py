"""How the Kafka clients are tuned, and why.

Brokers cost per request, not per event. A fetch comes back as soon as there is anything (librdkafka's default): game
servers send flushes, so there is something worth fetching, and a loaded broker answers later and with more by itself.
Outputs and transactions have a pace of their own, which is what a domain's latency allows. A transaction takes the same
time for few records and for many, and half a second on brokers that are at their limit: there it must hold many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from necp_validate.events.topics import TICK_MS, Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Timing of one domain.

    Args:
        gather_ms: how long records are gathered, after the first, into one batch.
        batch_max: most records in one batch.
        tick_ms: how often outputs and receipts are produced; for economy, the least time from one transaction's
            beginning to the next one's.
    """

    gather_ms: int
    batch_max: int
    tick_ms: int


TUNING: Final[Mapping[Domain, Tuning]] = {
    Domain.COMBAT: Tuning(gather_ms=2, batch_max=4_000, tick_ms=TICK_MS[Domain.COMBAT]),
    Domain.ECONOMY: Tuning(gather_ms=2, batch_max=20_000, tick_ms=TICK_MS[Domain.ECONOMY]),
    Domain.SOCIAL: Tuning(gather_ms=10, batch_max=2_000, tick_ms=TICK_MS[Domain.SOCIAL]),
    Domain.SYSTEM: Tuning(gather_ms=10, batch_max=2_000, tick_ms=TICK_MS[Domain.SYSTEM]),
}

SESSION_TIMEOUT_MS: Final = 6_000
"""The least that brokers allow by default: a dead instance's partitions move within 10 s."""

TRANSACTION_TIMEOUT_MS: Final = 10_000
RECORD_MAX_BYTES: Final = 1_040_000
"""The least that brokers take by default, less a batch's own bytes: a dead letter is larger than what it is about."""
REQUEST_TIMEOUT_MS: Final = 8_000
"""A broker that goes silent must be given up well within the 30 s that recovery may take."""
COMMIT_INTERVAL_S: Final = 0.5
STATISTICS_INTERVAL_MS: Final = 2_000

_SHARED: Final[Mapping[str, Any]] = {
    "socket.nagle.disable": True,
    # The default, a minute, is how long a request to a broker that went silent would be waited for.
    "socket.timeout.ms": REQUEST_TIMEOUT_MS,
    "socket.keepalive.enable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "retry.backoff.ms": 50,
    "topic.metadata.refresh.interval.ms": 5_000,
    "allow.auto.create.topics": False,
    "log.connection.close": False,
}


def consumer_config(kafka: Mapping[str, str], domain: Domain, instance: str) -> dict[str, Any]:
    """Configure the consumer of a domain."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-{domain.value}",
        "group.id": domain.group,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": 1_000,
        "max.poll.interval.ms": 60_000,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "fetch.message.max.bytes": 1_048_576,
        "fetch.queue.backoff.ms": 5,
        "fetch.error.backoff.ms": 50,
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 16_384,
        "check.crcs": True,
        "statistics.interval.ms": STATISTICS_INTERVAL_MS,
    }


def ledger_reader_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the consumer that rebuilds books from the ledger; it commits nothing."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-ledger",
        "group.id": "event-core-ledger",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,
    }


def producer_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the idempotent producer of everything that is not economy."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-outputs",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "message.max.bytes": RECORD_MAX_BYTES,
        # Outputs are produced together once a tick, so there is nothing to wait for.
        "linger.ms": 1,
        "request.timeout.ms": REQUEST_TIMEOUT_MS,
        "delivery.timeout.ms": 120_000,
    }


def transactional_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the transactional producer of economy."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-economy",
        "transactional.id": f"event-core-economy-{instance}",
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        # One that follows another at once is told CONCURRENT_TRANSACTIONS until that one's markers are written.
        "retry.backoff.ms": 10,
        "request.timeout.ms": REQUEST_TIMEOUT_MS,
        "acks": "all",
        "compression.type": "lz4",
        "message.max.bytes": RECORD_MAX_BYTES,
        # A transaction's records are produced together, so there is nothing to wait for.
        "linger.ms": 1,
    }
