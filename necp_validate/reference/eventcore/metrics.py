"""Prometheus metrics of the event core, updated once a batch."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.breaker import Breaker, BreakerSettings, BreakerState
from necp_validate.reference.eventcore.handling import BatchResult

log: Final = logging.getLogger(__name__)

LATENCY_BUCKETS_MS: Final = (
    1,
    2,
    5,
    10,
    15,
    20,
    30,
    40,
    50,
    75,
    100,
    150,
    200,
    300,
    500,
    1_000,
    2_500,
    10_000,
)
_OUTCOME_NAMES: Final = {outcome: outcome.name.lower() for outcome in Outcome}


class EventLatency(Collector):
    """Histogram of event latency by domain that takes a whole batch at once and still counts each event."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[Domain, list[int]] = {}
        self._sums_us: dict[Domain, int] = {}

    def observe(self, domain: Domain, sent_us: Sequence[int], done_us: int) -> None:
        """Count the events of a batch.

        Args:
            domain: the domain.
            sent_us: their intended send times.
            done_us: when they had been handled.
        """
        ordered = sorted(sent_us)
        # Sorted by time sent, latencies fall: those within a bound are the ones after the first so recent.
        within = [len(ordered) - bisect_left(ordered, done_us - bound * 1_000) for bound in LATENCY_BUCKETS_MS]
        with self._lock:
            counts = self._counts.setdefault(domain, [0] * (len(LATENCY_BUCKETS_MS) + 1))
            for position, count in enumerate(within):
                counts[position] += count
            counts[-1] += len(ordered)
            self._sums_us[domain] = self._sums_us.get(domain, 0) + done_us * len(ordered) - sum(ordered)

    def collect(self) -> Iterator[Metric]:
        """Give the metric to a scrape."""
        family = HistogramMetricFamily(
            "necp_core_event_latency_seconds",
            "From the intended send time of an event to the end of its processing.",
            labels=["domain"],
        )
        bounds = [*(f"{bound / 1_000:g}" for bound in LATENCY_BUCKETS_MS), "+Inf"]
        with self._lock:
            for domain, counts in self._counts.items():
                buckets = list(zip(bounds, map(float, counts), strict=True))
                family.add_metric([domain.value], buckets, sum_value=self._sums_us[domain] / 1e6)
        yield family


class CoreMetrics:
    """All metrics of one event core.

    Args:
        registry: where they are registered; a new registry by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        self.latency = EventLatency()
        registry.register(self.latency)
        self.events = Counter("necp_core_events", "Events by outcome.", ["domain", "outcome"], registry=registry)
        self.rejected = Counter(
            "necp_core_rejected", "Rejected events by reason.", ["domain", "reason"], registry=registry
        )
        self.dead_letters = Counter(
            "necp_core_dead_letters", "Invalid events by reason.", ["domain", "reason"], registry=registry
        )
        self.batch_seconds = Histogram(
            "necp_core_batch_seconds",
            "Time spent on handling one batch.",
            ["domain"],
            registry=registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
        )
        self.lag = Gauge(
            "kafka_consumer_lag",
            "Records between the end of a partition and the consumer.",
            ["group", "topic", "partition"],
            registry=registry,
        )
        self.commit_errors = Counter(
            "necp_core_commit_errors", "Offset commits that failed.", ["domain"], registry=registry
        )
        self.delivery_errors = Counter(
            "necp_core_delivery_errors", "Outputs that had to be sent again.", ["domain"], registry=registry
        )
        self.transactions = Counter(
            "necp_core_transactions", "Transactions by how they ended.", ["outcome"], registry=registry
        )
        self.rebalances = Counter(
            "necp_core_rebalances", "Changes of the assignment.", ["domain", "change"], registry=registry
        )
        self.assigned = Gauge(
            "necp_core_assigned_partitions", "Partitions this instance has.", ["domain"], registry=registry
        )
        self.breaker_state = Gauge(
            "necp_core_breaker_state",
            "Circuit breaker of the consumer: 0 closed, 1 half-open, 2 open.",
            ["domain"],
            registry=registry,
        )
        self.breaker_transitions = Counter(
            "necp_core_breaker_transitions",
            "Changes of the circuit breaker's state.",
            ["domain", "to"],
            registry=registry,
        )

    def breaker(self, domain: Domain, settings: BreakerSettings) -> Breaker:
        """Make the circuit breaker of a domain's consumer; all series of its states exist from the beginning."""

        def changed(state: BreakerState) -> None:
            self.breaker_state.labels(domain.value).set(state)
            self.breaker_transitions.labels(domain.value, state.words).inc()
            log.warning("%s: the circuit breaker is %s", domain, state.words)

        self.breaker_state.labels(domain.value).set(BreakerState.CLOSED)
        for state in BreakerState:
            self.breaker_transitions.labels(domain.value, state.words)
        return Breaker(settings, on_change=changed)

    def batch(self, domain: Domain, results: Iterable[BatchResult], seconds: float) -> None:
        """Count a batch."""
        totals = dict.fromkeys(Outcome, 0)
        for result in results:
            for _, first, last, outcome, _ in result.runs:
                totals[outcome] += last - first + 1
            for reason, count in result.rejected.items():
                self.rejected.labels(domain.value, reason).inc(count)
            for letter in result.dead_letters:
                self.dead_letters.labels(domain.value, letter.reason).inc()
            if result.sent_us:
                self.latency.observe(domain, result.sent_us, result.done_us)
        for outcome, count in totals.items():
            if count:
                self.events.labels(domain.value, _OUTCOME_NAMES[outcome]).inc(count)
        self.batch_seconds.labels(domain.value).observe(seconds)
