"""What a sound monitoring would have seen of the simulated run: alerts with their causes, metrics that are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from necp_validate.events.topics import Domain
from necp_validate.record import (
    FIRING,
    RESOLVED,
    AlertRule,
    AlertTransition,
    Counted,
    FloodRecord,
    HdrHistogram,
    LagSample,
    MonitoringRecord,
    SeriesPoint,
    SeriesValue,
)
from necp_validate.selftest.course import CAUSED_S, START_US

_S = 1_000_000
_WATCHED_S = 1_500
LAG = 40
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.5, float("inf"))

_RAISED = {
    "KafkaClusterDown": ("critical", "broker-kill", 0.0),
    "KafkaUnencryptedConnections": ("critical", "plaintext-listener", 0.0),
    "KafkaHighConsumerLag": ("high", "consumers-paused", 0.0),
    "KafkaRateLimitExceeded": ("warning", "publisher-flood", 300.0),
    "KafkaDiskUsageHigh": ("warning", "disk-usage", 0.0),
    "KafkaSaslAuthenticationFailures": ("high", "failed-logins", 60.0),
    "KafkaAclDenials": ("high", "denied-requests", 60.0),
    "KafkaRateLimitViolations": ("warning", "publisher-flood", 60.0),
    "KafkaCertificateExpiry": ("warning", "certificate-ending", 0.0),
}
"""Severity, cause and range of every alert."""


def at(seconds: float) -> int:
    """Epoch microseconds of a second of the run."""
    return START_US + round(seconds * _S)


def _alerts() -> list[AlertTransition]:
    rows = []
    for name, (severity, _, window_s) in _RAISED.items():
        for state, second in ((FIRING, CAUSED_S + 4), (RESOLVED, CAUSED_S + 8 + window_s)):
            rows.append(AlertTransition(t_us=at(second), name=name, state=state, labels={"severity": severity}))
    return rows


def _rules() -> list[AlertRule]:
    return [AlertRule(name=name, severity=severity, window_s=w) for name, (severity, _, w) in _RAISED.items()]


@dataclass(slots=True)
class Monitored:
    """What the monitoring of the simulated run says.

    Args:
        alerts: in order of time.
        rules: that are loaded.
        scale: by what the event core's own count of events differs from what it did.
        needs: why there was nothing to monitor with.
    """

    alerts: list[AlertTransition] = field(default_factory=_alerts)
    rules: list[AlertRule] = field(default_factory=_rules)
    scale: float = 1.0
    needs: str = ""

    def rows(self) -> list[AlertTransition]:
        """The alerts in order of time."""
        return sorted(self.alerts, key=lambda row: row.t_us)

    def record(
        self, readback: dict[str, Any], latency: dict[str, HdrHistogram], floods: Sequence[FloodRecord]
    ) -> MonitoringRecord:
        """The record, with metrics of what the run did.

        Args:
            floods: of publishers.
            readback: what the fresh reader found.
            latency: end-to-end latencies by domain.
        """
        if self.needs:
            return MonitoringRecord(needs=self.needs)
        same = [("failed-authentications", {}, 6.0), ("acl-denials", {}, 200.0), ("connections", {"broker": "1"}, 30.0)]
        same += [("messages-in", {"topic": domain.topic}, 1000.0) for domain in Domain]
        values = [SeriesValue(query=name, labels=labels, value=value) for name, labels, value in same]
        values += [
            SeriesValue(query="tls-connections", labels={"broker": "1"}, value=30.0),
            SeriesValue(query="listener-tls", labels={"broker": "1", "listener": "EXTERNAL"}, value=1.0),
            *(SeriesValue(query="rate-limit-hits", labels={"topic": f.topic}, value=f.refused) for f in floods),
            *self._events(readback),
            *_buckets(latency),
        ]
        return MonitoringRecord(
            prometheus="as simulated",
            begin_us=at(-30),
            end_us=at(_WATCHED_S),
            looks=_WATCHED_S,
            interval_s=2.0,
            rules=tuple(self.rules),
            values=tuple(values),
            points=tuple(
                SeriesPoint(query="lag", labels={"topic": row_topic}, t=t, value=float(LAG))
                for row_topic, t in _times()
            ),
            counted=tuple(Counted(what=name, labels=labels, value=value) for name, labels, value in same),
        )

    def _events(self, readback: dict[str, Any]) -> Iterator[SeriesValue]:
        totals: Counter[tuple[str, str]] = Counter()
        for receipts in readback["receipts"]:
            for outcome in ("processed", "rejected", "dead_lettered"):
                totals[receipts["topic"].split(".")[1], outcome] += receipts[outcome]
        for (domain, outcome), count in totals.items():
            labels = {"domain": domain, "outcome": outcome}
            yield SeriesValue(query="events", labels=labels, value=round(count * self.scale))


def _buckets(latency: dict[str, HdrHistogram]) -> Iterator[SeriesValue]:
    for domain, histogram in latency.items():
        for bound in BUCKETS_S:
            above = 0 if bound == float("inf") else histogram.count_above(round(bound * _S))
            labels = {"domain": domain, "le": "+Inf" if bound == float("inf") else f"{bound:g}"}
            yield SeriesValue(query="latency-bucket", labels=labels, value=float(histogram.total - above))


def _times() -> Iterator[tuple[str, float]]:
    for domain in Domain:
        for second in range(0, 30, 2):
            yield domain.topic, START_US / _S + second


def lag_rows() -> list[LagSample]:
    """The suite's own samples of the same."""
    return [LagSample(t=t, domain=topic.split(".")[1], lag=LAG) for topic, t in _times()]
