"""Every claim under validation, by its stable id (source: the claims list of the mission)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of the release notes.

    Args:
        id: stable id, used in code, reports and documents.
        title: the claim, in its own words.
        area: the heading it stands under.
    """

    id: str
    title: str
    area: str


_ROWS: tuple[tuple[str, str, str], ...] = (
    ("THR-HEADLINE", "100,000 events/s sustained", "Throughput and scale"),
    ("THR-COMBAT", "game.combat.events 20,000 EPS (achieved 25,000)", "Throughput and scale"),
    ("THR-ECONOMY", "game.economy.events 5,000 EPS (achieved 6,200)", "Throughput and scale"),
    ("THR-SOCIAL", "game.social.events 1,000 EPS", "Throughput and scale"),
    ("THR-SYSTEM", "game.system.events 500 EPS", "Throughput and scale"),
    (
        "LOAD-200",
        "validated under 200% of peak (peak = 26,500 EPS in the mix 20:5:1:0.5, so 53,000)",
        "Throughput and scale",
    ),
    ("SCALE-CONSUMERS", "consumer group scaled 3 → 12 under load", "Throughput and scale"),
    ("SCALE-PARTITIONS", "combat topic 24 → 48 partitions under load", "Throughput and scale"),
    ("LAT-HEADLINE", "P99 < 50 ms end to end (achieved 32 ms)", "Latency"),
    ("LAT-COMBAT", "P99 < 30 ms", "Latency"),
    ("LAT-ECONOMY", "P99 < 100 ms", "Latency"),
    ("LAT-SOCIAL", "P99 < 200 ms", "Latency"),
    ("LAT-SCALING", "P99 < 50 ms during scaling events", "Latency"),
    (
        "DUR-ACKED",
        "no acknowledged event is ever lost (strict reading of '99.999% (6 9's)' persistence)",
        "Durability, faults, availability",
    ),
    ("FT-BROKER", "broker failure: zero loss, recovery < 30 s", "Durability, faults, availability"),
    ("FT-PARTITION", "network partition: automatic failover, no loss", "Durability, faults, availability"),
    ("FT-CONSUMER", "consumer failure: rebalance < 10 s", "Durability, faults, availability"),
    ("CHAOS-ALL", "100% success under failure scenarios", "Durability, faults, availability"),
    ("AVAIL", "uptime 99.9%", "Durability, faults, availability"),
    ("MTTR", "< 15 minutes for critical incidents", "Durability, faults, availability"),
    ("RES-MEMORY", "< 4 GB per broker (achieved 2.8)", "Resources"),
    ("RES-IOPS", "disk IOPS < 10k (achieved 7.2k)", "Resources"),
    ("RES-STRUCT", "30–50% memory saved by struct alignment", "Resources"),
    ("RES-LIMITS", "brokers 4–8 GiB / 2–4 CPU; services 512 MiB–1 GiB / 0.5–1 CPU", "Resources"),
    ("SEC-MTLS", "internal listener 9093: TLS with client certificates", "Security"),
    ("SEC-SASL", "external listener 9094: SASL_SSL, SCRAM-SHA-512", "Security"),
    (
        "SEC-ACL",
        "zero trust: default deny, one principal per service (e.g. combat-service may write game.combat.events)",
        "Security",
    ),
    ("SEC-SECRETS", "credentials rotated", "Security"),
    ("SEC-CERTS", "certificates renewed every 30 days, automatically", "Security"),
    ("SEC-RATE", "producers limited per topic (combat 20,000/s, burst 10,000, exponential backoff)", "Security"),
    ("SEC-BREAKER", "consumer circuit breakers (failure 0.5, recovery 60 s, window 300 s)", "Security"),
    ("SEC-AUDIT", "game.system.audit: every security event, kept 2,555 days, AES-256-GCM", "Security"),
    (
        "SEC-ALERTS",
        "SASL failures > 10/min, ACL denials > 50/min, unencrypted connections, rate-limit violations > 1,000/min, certificate expiry < 30 days",
        "Security",
    ),
    ("SEC-UNDER-CHAOS", "(ours) refusals above hold during and after every fault", "Security"),
    ("COMPLIANCE", "SOC 2, ISO 27001, GDPR", "Security"),
    ("EVT-REGISTRY", "event registry and validation", "Event processing and gateway"),
    ("EVT-COMBAT", "anti-cheat validation, damage calculation", "Event processing and gateway"),
    ("EVT-ECONOMY", "atomic transactions, market data", "Event processing and gateway"),
    ("EVT-SOCIAL", "guilds, chat", "Event processing and gateway"),
    ("EVT-SYSTEM", "audit logging, health; 90-day retention", "Event processing and gateway"),
    ("GW-TRANSPORT", "UDP :7777 for game state, WebSocket :8080", "Event processing and gateway"),
    ("GW-SPATIAL", "spatial partitioning, grid 1000", "Event processing and gateway"),
    ("GW-DELTA", "delta compression", "Event processing and gateway"),
    ("GW-TICK", "adaptive tick rate", "Event processing and gateway"),
    ("GW-BATCH", "batch updates, 100", "Event processing and gateway"),
    ("GW-SECURITY", "client certificate required; 1,000 requests/min", "Event processing and gateway"),
    (
        "OBS-METRICS",
        "throughput per topic, P50/P95/P99, consumer lag, error rate; auth failures, ACL denials, rate limits, TLS status",
        "Operations",
    ),
    (
        "OBS-ALERTS",
        "KafkaClusterDown, KafkaUnencryptedConnections, KafkaHighConsumerLag (> 100,000), KafkaRateLimitExceeded, KafkaDiskUsageHigh (> 80%)",
        "Operations",
    ),
    ("OPS-HEALTH", "/health; graceful shutdown within 30 s", "Operations"),
    (
        "OPS-ROLLBACK",
        "three scenarios: scale old version up / pause consumers, reconcile, resume / isolate and rotate certificates",
        "Operations",
    ),
    ("OPS-DEPLOY", "pre- and post-deployment checks", "Operations"),
)

CLAIMS: dict[str, Claim] = {id_: Claim(id=id_, title=title, area=area) for id_, title, area in _ROWS}


def claim(id_: str) -> Claim:
    """Look a claim up by its id.

    Raises:
        KeyError: no such claim; the message lists the ids.
    """
    try:
        return CLAIMS[id_]
    except KeyError:
        raise KeyError(f"unknown claim {id_!r}; known: {', '.join(CLAIMS)}") from None
