"""Prometheus metrics of the publisher."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class PublisherMetrics:
    """All metrics of one publisher; none of its series is missing before its first event.

    Args:
        topic: the topic that it writes.
    """

    def __init__(self, topic: str) -> None:
        self.registry = registry = CollectorRegistry()
        self.limited = Counter(
            "kafka_producer_rate_limit_hits", "Events refused because of the rate limit.", ["topic"], registry=registry
        ).labels(topic)
        events = Counter(
            "necp_publisher_events", "Accepted events by what became of them.", ["topic", "outcome"], registry=registry
        )
        self.acknowledged = events.labels(topic, "acknowledged")
        self.failed = events.labels(topic, "failed")
        self.unknown = events.labels(topic, "unknown")
        self.queue_seconds = Histogram(
            "necp_publisher_queue_seconds",
            "From accepting a batch to the last of its acknowledgements.",
            ["topic"],
            registry=registry,
            buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0),
        ).labels(topic)
        self.requests = Counter(
            "necp_publisher_requests", "Requests by status.", ["topic", "status"], registry=registry
        )
