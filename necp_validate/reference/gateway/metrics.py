"""Metrics of the gateway: plain counts on the way, made into Prometheus' own at a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

TICK_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)


class Tally:
    """Counts of everything that happens often; counting is one addition."""

    def __init__(self) -> None:
        self.datagrams_in = 0
        self.datagrams_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.full_snapshot_bytes = 0
        self.updates = 0
        self.sends = 0
        self.limited = 0
        self.late_ticks = 0
        self.dropped: Counter[str] = Counter()
        self.actions: Counter[tuple[str, str]] = Counter()
        self.logins: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()


class GatewayMetrics(Collector):
    """All metrics of one gateway.

    Args:
        tally: the counts.
        gauges: asked at a scrape for values by name and help.
    """

    def __init__(self, tally: Tally, gauges: Callable[[], list[tuple[str, str, float]]]) -> None:
        self._tally = tally
        self._gauges = gauges
        self.registry = CollectorRegistry()
        self.tick_seconds = Histogram(
            "gateway_tick_seconds",
            "From when a tick was due until it was done.",
            registry=self.registry,
            buckets=TICK_BUCKETS_S,
        )
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give the metrics to a scrape."""
        tally = self._tally
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"gateway_{name}", text, value=value)
        for name, text, value in (
            (
                "full_snapshot_bytes",
                "What the full state of each player's neighbourhood would have cost at each tick.",
                tally.full_snapshot_bytes,
            ),
            ("updates", "Entity changes and removals sent.", tally.updates),
            ("sends", "Datagrams with world state sent.", tally.sends),
            ("limited", "Requests refused because of the rate limit.", tally.limited),
            ("late_ticks", "Ticks left out because the one before took too long.", tally.late_ticks),
        ):
            yield CounterMetricFamily(f"gateway_{name}", text, value=value)
        yield _family("datagrams", "Datagrams.", {"in": tally.datagrams_in, "out": tally.datagrams_out}, "direction")
        yield _family("bytes", "Bytes of datagrams.", {"in": tally.bytes_in, "out": tally.bytes_out}, "direction")
        yield _family("dropped", "What was dropped, by reason.", dict(tally.dropped), "reason")
        yield _family("logins", "Logins.", dict(tally.logins), "outcome")
        yield _family("disconnects", "Connections ended by the gateway.", dict(tally.disconnects), "reason")
        actions = CounterMetricFamily("gateway_actions", "Actions by how they ended.", labels=["kind", "outcome"])
        for labels, count in dict(tally.actions).items():
            actions.add_metric(labels, count)
        yield actions


def _family(name: str, text: str, counts: dict[str, int], label: str) -> CounterMetricFamily:
    family = CounterMetricFamily(f"gateway_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
