"""What a sound monitoring would have seen of the simulated run: alerts with their causes, metrics that are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import yaml

from necp_validate.events.topics import Domain
from necp_validate.monitoring import RULE_FILES
from necp_validate.monitoring.measure import window_s
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
    Readback,
    SeriesPoint,
    SeriesValue,
)
from necp_validate.selftest.simulated.cluster import BROKERS
from necp_validate.selftest.simulated.faults import CAUSED_S, FLOOD
from necp_validate.selftest.simulated.scenario import SCENARIO, START_US, at

_WATCHED_S = (-30, 1_600)
_CAUSE_S = 5
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, float("inf"))

_FLOODED = ("KafkaRateLimitExceeded", "KafkaRateLimitViolations")


def _span_s(name: str) -> tuple[float, float]:
    """While the cause of an alert is there, in seconds of the run."""
    if name in _FLOODED:
        assert FLOOD.end_us is not None
        return (FLOOD.begin_us - START_US) / 1e6, (FLOOD.end_us - START_US) / 1e6
    return CAUSED_S, CAUSED_S + _CAUSE_S


@cache
def rules() -> tuple[AlertRule, ...]:
    """The rules that Prometheus is given, as it would say that it has them."""
    groups = [group for file in RULE_FILES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return tuple(
        AlertRule(
            name=rule["alert"], severity=rule["labels"]["severity"], window_s=window_s(rule["expr"]), healthy=True
        )
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    )


def _alerts() -> list[AlertTransition]:
    """Each alert fires 4 s after its cause, and goes 3 s after that has left what its rule looks back over."""
    rows = []
    for rule in rules():
        begin_s, end_s = _span_s(rule.name)
        for state, second in ((FIRING, begin_s + 4), (RESOLVED, end_s + 3 + rule.window_s)):
            rows.append(
                AlertTransition(
                    t_us=at(second),
                    name=rule.name,
                    state=state,
                    labels={"severity": rule.severity},
                    active_us=at(begin_s) if state == FIRING else None,
                    value=1.0 if state == FIRING else None,
                )
            )
    return rows


@dataclass(slots=True)
class Monitored:
    """What the monitoring of the simulated run says.

    Args:
        alerts: in order of time.
        rules: that are loaded.
        scale: by what the event core's own count of events differs from what it did.
        failed_logins: by the brokers' metric, and by their logs.
        needs: why there was nothing to monitor with.
    """

    alerts: list[AlertTransition] = field(default_factory=_alerts)
    rules: list[AlertRule] = field(default_factory=lambda: list(rules()))
    scale: float = 1.0
    failed_logins: float = 6.0
    needs: str = ""

    def rows(self) -> list[AlertTransition]:
        """The alerts in order of time."""
        return sorted(self.alerts, key=lambda row: row.t_us)

    def record(
        self,
        readback: Readback,
        latency: dict[str, HdrHistogram],
        floods: Sequence[FloodRecord],
        lag: Sequence[LagSample],
    ) -> MonitoringRecord:
        """The record, with metrics of what the run did.

        Args:
            floods: of publishers.
            readback: what the fresh reader found.
            latency: end-to-end latencies by domain.
            lag: as the suite sampled it; an exporter says the same.
        """
        if self.needs:
            return MonitoringRecord(needs=self.needs)
        same: list[tuple[str, dict[str, str], float]] = [
            ("failed-authentications", {}, self.failed_logins),
            ("acl-denials", {}, 200.0),
            *(("connections", {"broker": str(broker)}, 30.0) for broker in BROKERS),
        ]
        same += [("messages-in", {"topic": domain.topic}, 1000.0) for domain in Domain]
        values = [SeriesValue(query=name, labels=labels, value=value) for name, labels, value in same]
        values += [
            *(
                SeriesValue(query=query, labels={"broker": str(broker), **listener}, value=value)
                for query, listener, value in (
                    ("tls-connections", {}, 30.0),
                    ("listener-tls", {"listener": "EXTERNAL"}, 1.0),
                )
                for broker in BROKERS
            ),
            *(SeriesValue(query="rate-limit-hits", labels={"topic": f.topic}, value=f.refused) for f in floods),
            *self._events(readback),
            *_buckets(latency),
        ]
        return MonitoringRecord(
            prometheus="as simulated",
            begin_us=at(_WATCHED_S[0]),
            end_us=at(_WATCHED_S[1]),
            looks=_WATCHED_S[1] - _WATCHED_S[0],
            missed=0,
            transitions=len(self.alerts),
            interval_s=SCENARIO.monitoring.interval_s if SCENARIO.monitoring else None,
            rules=tuple(self.rules),
            targets={"kafka as-simulated": True},
            scrape_s={"kafka": 0.01},
            values=tuple(values),
            points=tuple(
                SeriesPoint(query="lag", labels={"topic": Domain(row.domain).topic}, t=row.t, value=float(row.lag or 0))
                for row in lag
            ),
            counted=tuple(Counted(what=name, labels=labels, value=value) for name, labels, value in same),
        )

    def _events(self, readback: Readback) -> Iterator[SeriesValue]:
        totals: Counter[tuple[str, str]] = Counter()
        for receipts in readback.receipts:
            for outcome in ("processed", "rejected", "dead_lettered"):
                totals[receipts.topic.split(".")[1], outcome] += getattr(receipts, outcome)
        for (domain, outcome), count in totals.items():
            labels = {"domain": domain, "outcome": outcome}
            yield SeriesValue(query="events", labels=labels, value=round(count * self.scale))


def _buckets(latency: dict[str, HdrHistogram]) -> Iterator[SeriesValue]:
    for domain, histogram in latency.items():
        for bound in BUCKETS_S:
            above = 0 if bound == float("inf") else histogram.count_above(round(bound * 1e6))
            labels = {"domain": domain, "le": "+Inf" if bound == float("inf") else f"{bound:g}"}
            yield SeriesValue(query="latency-bucket", labels=labels, value=float(histogram.total - above))
