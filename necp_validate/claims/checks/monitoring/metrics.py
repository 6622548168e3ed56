"""Each claimed metric against an independent count of the same thing, with what the two may differ by, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.metrics.incidents import need_monitoring
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.inventory import EVENTS_READ, FAULTS, METRIC_VALUES, RECEIPTS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import MONITORING as MONITORING_SUBJECT
from necp_validate.record import HdrHistogram, MonitoringRecord, Record, parts

_EXACT = 0.002
_AFTER_RESTART = 0.05
_RESTART_WORDS = "what a process counted after its last scrape is gone with it"
_LOGS = 0.05
_LAG_SHARE, _LAG_SLACK = 0.1, 500
_LAG_FITTING = 0.9
_QUANTILES = (0.5, 0.95, 0.99)
_BOUND = 0.1
FORWARDED = frozenset(
    {
        *("CreateTopics", "DeleteTopics", "CreatePartitions", "AlterConfigs", "IncrementalAlterConfigs"),
        *("CreateAcls", "DeleteAcls", "ElectLeaders", "AlterPartitionReassignments"),
        *("AlterClientQuotas", "AlterUserScramCredentials", "UpdateFeatures"),
    }
)
"""Requests that a broker forwards to the controller: both answer, and both count the answer."""
_OUTCOMES = ("processed", "rejected", "dead_lettered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A metric beside an independent count.

    Args:
        series: which of the claimed series it is about, e.g. ``throughput``.
        what: the metric, in words.
        measured: what Prometheus has.
        low, high: between which it must be.
        counted: the independent count, in words.
        reason: why the two may differ by so much.
    """

    series: str
    what: str
    measured: float
    low: float
    high: float
    counted: str
    reason: str

    @property
    def right(self) -> bool:
        """Whether the metric is within its bounds."""
        return self.low <= self.measured <= self.high

    @property
    def words(self) -> str:
        """What was compared, in a few words."""
        return f"{self.measured:,.6g}, and {self.counted}; allowed {self.low:,.6g} to {self.high:,.6g}: {self.reason}"


def comparisons(history: Record, record: MonitoringRecord) -> list[Comparison]:
    """Everything that can be compared in a run."""
    makers: tuple[Callable[[Record, MonitoringRecord], Iterable[Comparison]], ...] = (
        *(_events, _messages, _latency, _lag, _failed_logins, _denials, _connections, _tls, _rate_limits),
    )
    return [one for make in makers for one in make(history, record)]


def _values(record: MonitoringRecord, query: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(one.labels.values()): one.value
        for one in recorded(record.values, "values", parts.MONITORING)
        if one.query == query
    }


def _counted(record: MonitoringRecord, what: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(one.labels.values()): one.value
        for one in recorded(record.counted, "counted", parts.MONITORING)
        if one.what == what
    }


def _around(
    record: MonitoringRecord,
    query: str,
    *,
    series: str,
    what: str,
    measured: float,
    counted: float,
    words: str,
    share: float,
    again: bool = False,
) -> Comparison:
    """A counter and its count: as exact as it can be, unless a process has taken its last counts with it.

    ``again``: clients repeat what the process had not answered when it died, and it is counted twice.
    """
    restarts = next(
        (
            v.value
            for v in recorded(record.values, "values", parts.MONITORING)
            if v.query == "resets" and v.labels.get("of") == query
        ),
        0.0,
    )
    below = max(share, _AFTER_RESTART if restarts else 0.0)
    above = below if again else share
    reason = f"{share:.1%}, as {words}"
    if restarts:
        reason = f"{below:.0%} below{' and above' if again else ''} after {restarts:.0f} restarts: {_RESTART_WORDS}"
        reason += ", and what it had not answered is sent and counted again" if again else ""
    return Comparison(
        series=series,
        what=what,
        measured=measured,
        low=math.floor(counted * (1 - below)),
        high=math.ceil(counted * (1 + above)),
        counted=f"counted: {counted:,.0f}",
        reason=reason,
    )


def _events(history: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The event core's own count of outcomes against its receipts, as the fresh reader found them."""
    measured = _values(record, "events")
    if history.readback is None or not measured:
        return
    domains = history.domain_of_topic
    totals: dict[tuple[str, str], int] = {}
    for receipts in history.readback.receipts:
        domain = domains.get(receipts.topic, receipts.topic)
        for outcome in _OUTCOMES:
            totals[domain, outcome] = totals.get((domain, outcome), 0) + getattr(receipts, outcome)
    for (domain, outcome), counted in sorted(totals.items()):
        found = measured.get((domain, outcome), 0.0)
        if counted or found:
            series = "throughput" if outcome == "processed" else "error rate"
            words = "a gateway's last words come after the last scrape"
            what = f"necp_core_events_total {domain} {outcome}"
            yield _around(
                record, "events", series=series, what=what, measured=found, counted=counted, words=words, share=_EXACT
            )


def _messages(_: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The brokers' count of records in against the growth of the logs."""
    measured = _values(record, "messages-in")
    for (topic,), counted in sorted(_counted(record, "messages-in").items()):
        if counted:
            what = f"kafka_server_messages_in_total {topic}"
            words = "a batch that a producer sent twice may be counted twice"
            yield _around(
                record,
                "messages-in",
                series="throughput",
                what=what,
                measured=measured.get((topic,), 0.0),
                counted=counted,
                words=words,
                share=_EXACT,
                again=True,
            )


def _latency(history: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The event core's histogram against the suite's own; a bucket is as exact as it can be.

    The core also times what is not the suite's load (a flood, a gateway's events), and forgets what an instance had
    counted when it was killed. Where the strangers lie is not known, so a quantile may be that many places off.
    """
    buckets: dict[str, list[tuple[float, float]]] = {}
    for (domain, bound), count in _values(record, "latency-bucket").items():
        buckets.setdefault(domain, []).append((float(bound), count))
    for domain, of_domain in sorted(buckets.items()):
        merged = HdrHistogram()
        for (_, name, kind), histogram in history.latency.items():
            if (name, kind) == (domain, "e2e"):
                merged.merge(histogram)
        if not merged.total:
            continue
        for quantile in _QUANTILES:
            low_s, high_s = bounds_of(sorted(of_domain), quantile * merged.total, merged.total)
            seen_s = merged.percentile(100 * quantile) / 1e6
            # An economy's event ends for us with its transaction's commit, for the handler before it.
            high = math.inf if domain == "economy" else high_s
            yield Comparison(
                series="latency",
                what=f"P{100 * quantile:g} of necp_core_event_latency_seconds {domain}",
                measured=seen_s,
                low=low_s * (1 - _BOUND),
                high=high * (1 + _BOUND),
                counted=f"the histogram's bucket is {low_s:g} to {high_s:g} s (the first figure is the suite's own)",
                reason="a quantile of a histogram is known to its bucket, two clocks differ by some milliseconds, and "
                "events that only one of the two has timed may lie anywhere",
            )


def bounds_of(cumulative: list[tuple[float, float]], rank: float, known: int) -> tuple[float, float]:
    """The bounds of the buckets that may hold the event of a rank.

    Args:
        cumulative: upper bound and count of all up to it, in order.
        rank: its place among the known events, by latency.
        known: how many events those are; what the histogram has more or fewer of may lie anywhere.
    """
    strangers = cumulative[-1][1] - known
    first, last = rank + min(strangers, 0.0), rank + max(strangers, 0.0)
    low = max((bound for bound, count in cumulative if count < first), default=0.0)
    high = min((bound for bound, count in cumulative if count >= last), default=math.inf)
    return low, high


def _lag(history: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The exporter's lag against the suite's own samples, each within what was measured around the same time."""
    topics = {domain: topic for topic, domain in history.domain_of_topic.items()}
    points: dict[str, list[tuple[float, float]]] = {}
    for one in recorded(record.points, "points", parts.MONITORING):
        if one.query == "lag":
            points.setdefault(one.labels["topic"], []).append((one.t, one.value))
    near_s = 2 * recorded(record.interval_s, "interval_s", parts.MONITORING) + 2.0
    compared = fitting = 0
    for row in history.lag:
        around = [value for t, value in points.get(topics.get(row.domain, ""), []) if abs(t - row.t) <= near_s]
        if row.lag is None or len(around) < 2:
            continue
        compared += 1
        slack = _LAG_SLACK + _LAG_SHARE * row.lag
        fitting += min(around) - slack <= row.lag <= max(around) + slack
    if compared:
        yield Comparison(
            series="consumer lag",
            what="kafka_consumer_lag",
            measured=fitting / compared,
            low=_LAG_FITTING,
            high=1.0,
            counted=f"share of {compared:,} own samples that fit",
            reason=f"both sample every other second, and a backlog changes by thousands of events meanwhile: within "
            f"{near_s:g} s, {_LAG_SHARE:.0%} and {_LAG_SLACK} records",
        )


def _failed_logins(_: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    query, what = "failed-authentications", "kafka_server_failed_authentication_total"
    measured = sum(_values(record, query).values())
    yield from _of_logs(record, query, "authentication failures", what, measured)


def _denials(_: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    query, what = "acl-denials", "kafka_network_request_errors_total *AUTHORIZATION_FAILED"
    answers = _values(record, query)
    measured = sum(count / (2 if FORWARDED & set(request) else 1) for request, count in answers.items())
    yield from _of_logs(record, query, "ACL denials", what, measured)


def _of_logs(record: MonitoringRecord, query: str, series: str, what: str, measured: float) -> Iterator[Comparison]:
    """A counter of the brokers against the lines of their logs, where these can be read."""
    lines = _counted(record, query)
    counted = sum(lines.values())
    if lines and (counted or measured):
        yield _around(
            record,
            query,
            series=series,
            what=what,
            measured=measured,
            counted=counted,
            words="a request on several resources is one line for each, and an answer for each or for all",
            share=_LOGS,
        )


def _connections(_: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The brokers' count of connections against the kernel's."""
    measured = _values(record, "connections")
    for broker, counted in sorted(_counted(record, "connections").items()):
        slack = max(3.0, 0.1 * counted)
        yield Comparison(
            series="connections",
            what=f"kafka_server_connections of broker {broker[0]}",
            measured=measured.get(broker, 0.0),
            low=counted - slack,
            high=counted + slack,
            counted=f"the kernel has {counted:,.0f}",
            reason="connections come and go between the two looks",
        )


def _tls(_: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """Connections with TLS against all of them, where every listener has TLS."""
    listeners = _values(record, "listener-tls").values()
    if not listeners or any(value != 1 for value in listeners):
        return
    everything, secured = _values(record, "connections"), _values(record, "tls-connections")
    for broker, count in sorted(everything.items()):
        slack = max(2.0, 0.1 * count)
        yield Comparison(
            series="TLS status",
            what=f"kafka_server_tls_connections of broker {broker[0]}",
            measured=secured.get(broker, 0.0),
            low=count - slack,
            high=count,
            counted=f"of {count:,.0f} connections, at listeners that all have TLS",
            reason="a connection counts with TLS once its handshake is over",
        )


def _rate_limits(history: Record, record: MonitoringRecord) -> Iterator[Comparison]:
    """The publishers' count of events refused against the answers that their senders got."""
    measured = _values(record, "rate-limit-hits")
    refused: dict[str, int] = {}
    for flood in history.floods:
        refused[flood.topic] = refused.get(flood.topic, 0) + flood.refused
    for topic, counted in sorted(refused.items()):
        slack = 0.1
        yield Comparison(
            series="rate limits",
            what=f"kafka_producer_rate_limit_hits_total {topic}",
            measured=measured.get((topic,), 0.0),
            low=counted * (1 - 2 * slack),
            high=counted * (1 + _EXACT),
            counted=f"senders were told of {counted:,} refused events",
            reason="a publisher ends with its flood: what it counts before its first and after its last scrape is lost",
        )


@check("metric-mismatch", MONITORING_SUBJECT, METRIC_VALUES, EVENTS_READ, RECEIPTS, FAULTS)
def metric_mismatch(history: Record) -> Finding:
    """Metrics that differ from an independent count by more than they may."""
    compared = comparisons(history, need_monitoring(history))
    if not compared:
        raise NoEvidence("no metric could be compared with a count")
    anomalies = Anomalies("metric-mismatch", history)
    for one in compared:
        if math.isnan(one.measured):
            anomalies.doubt(one.what, "it is not a number")
        else:
            anomalies.add(0 if one.right else 1, one.what, one.words)
    return anomalies.finding(
        clean=f"{len(compared)} metrics agree with independent counts",
        found="{count} metrics do not agree with independent counts",
        measured=f"{len(compared) - anomalies.count} of {len(compared)} comparisons agree",
        sees="a metric that is outside the bounds that its summary gives",
    )


CLAIMED = (
    "throughput",
    "latency",
    "consumer lag",
    "error rate",
    "authentication failures",
    "ACL denials",
    "rate limits",
    "TLS status",
)
"""The series that the claim names."""


@check("metric-series", MONITORING_SUBJECT, METRIC_VALUES, EVENTS_READ, RECEIPTS, FAULTS)
def metric_series(history: Record) -> Finding:
    """Whether every claimed series had something to be compared with in this run."""
    first: dict[str, Comparison] = {}
    for one in comparisons(history, need_monitoring(history)):
        first.setdefault(one.series, one)
    missing = [series for series in CLAIMED if series not in first]
    words = f"{len(CLAIMED) - len(missing)} of {len(CLAIMED)} series compared"
    if missing:
        return not_applicable("metric-series", f"{words}, nothing to compare with: {', '.join(missing)}")
    text = "; ".join(f"{name}: {one.what} {one.measured:,.6g} ({one.counted})" for name, one in first.items())
    return Finding(name="metric-series", verdict=Verdict.PASS, count=0, summary=f"{words}; {text}", measured=words)
