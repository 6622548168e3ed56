"""The claimed metrics at the end of a run, and the suite's own counts of the same; ``verify.metrics`` compares them."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from necp_validate.monitoring.prometheus import Prometheus
from necp_validate.record import AlertRule, Counted, SeriesPoint, SeriesValue
from necp_validate.stack import Stack

_WINDOW = re.compile(r"\[(\d+)([smh])\]")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DENIED = re.compile(r"is Denied operation = ")
_FAILED = re.compile(r"Failed authentication with ", re.I)

_ESTABLISHED, _LISTEN = "01", "0A"  # as /proc/net/tcp has them

Sample = tuple[float, float]

OVER_THE_RUN = {
    "messages-in": ("kafka_server_messages_in_total", ("topic",)),
    "failed-authentications": ("kafka_server_failed_authentication_total", ()),
    "acl-denials": ('kafka_network_request_errors_total{error=~".*AUTHORIZATION_FAILED"}', ("request",)),
    "events": ("necp_core_events_total", ("domain", "outcome")),
    "latency-bucket": ("necp_core_event_latency_seconds_bucket", ("domain", "le")),
    "rate-limit-hits": ("kafka_producer_rate_limit_hits_total", ("topic",)),
}
"""Counters, by the name that comparisons know them by, and the labels that are kept apart."""

AT_THE_END = {
    "connections": ("sum by (broker) (kafka_server_connections)", ("broker",)),
    "tls-connections": ("sum by (broker) (kafka_server_tls_connections)", ("broker",)),
    "disk-used-percent": ("kafka_broker_disk_usage_percent", ("broker",)),
    "listener-tls": ("kafka_listener_tls", ("broker", "listener")),
}

_BEGIN_AT_NOTHING = frozenset({"events", "latency-bucket", "rate-limit-hits"})
"""Counters of services that are started for the run; the brokers' were there before."""

RESETS = "resets"
"""How often counters began anew, because their process did."""


def rules_of(prometheus: Prometheus) -> tuple[AlertRule, ...]:
    """Every alert rule that is loaded.

    Raises:
        StackError: Prometheus does not answer.
    """
    groups = prometheus.api("/rules", type="alert")["groups"]
    return tuple(
        AlertRule(
            name=rule["name"],
            severity=rule.get("labels", {}).get("severity", ""),
            window_s=window_s(rule["query"]),
            healthy=rule.get("health") == "ok",
        )
        for group in groups
        for rule in group["rules"]
    )


def window_s(expression: str) -> float:
    """The longest range of an expression, in seconds; 0 if it has none."""
    found = _WINDOW.findall(expression)
    return max((int(number) * _SECONDS[unit] for number, unit in found), default=0.0)


def values_over_the_run(prometheus: Prometheus, elapsed_s: float, since_s: float) -> list[SeriesValue]:
    """By how much each counter has grown since the run began, from its raw samples.

    Args:
        prometheus: what has scraped them.
        elapsed_s: how long ago it began to.
        since_s: when every target had been scraped once (epoch): what appears later began at nothing.

    Raises:
        StackError: Prometheus does not answer.
    """
    found = []
    anew = _restarts(prometheus.samples(f"process_start_time_seconds[{round(elapsed_s)}s]"))
    for query, (selector, kept) in OVER_THE_RUN.items():
        grown: defaultdict[tuple[str, ...], float] = defaultdict(float)
        resets: dict[str, int] = {}
        for labels, samples in prometheus.samples(f"{selector}[{round(elapsed_s)}s]"):
            from_zero = query in _BEGIN_AT_NOTHING or samples[0][0] > since_s
            growth, begun = increase(samples, from_zero=from_zero, anew=anew[labels["instance"]])
            grown[tuple(labels.get(name, "") for name in kept)] += growth
            # All counters of a process begin anew together; some of them may not have grown since.
            resets[labels["instance"]] = max(begun, resets.get(labels["instance"], 0))
        found += [
            SeriesValue(query=query, labels=dict(zip(kept, values, strict=True)), value=growth)
            for values, growth in sorted(grown.items())
        ]
        found.append(SeriesValue(query=RESETS, labels={"of": query}, value=sum(resets.values())))
    return found


def _restarts(starts: Iterable[tuple[dict[str, str], Sequence[Sample]]]) -> defaultdict[str, set[float]]:
    """When each instance was scraped for the first time as a process of its own, after the first one.

    No other metric tells: those of a listener begin anew when it is closed and opened.
    """
    found: defaultdict[str, set[float]] = defaultdict(set)
    for labels, samples in starts:
        found[labels["instance"]] |= {t for (_, before), (t, after) in pairwise(samples) if after != before}
    return found


def increase(samples: Sequence[Sample], *, from_zero: bool, anew: Collection[float] = ()) -> tuple[float, int]:
    """By how much a counter grew over its samples, and how often it began anew.

    Args:
        samples: in order of time.
        from_zero: count what it had at its first sample, too.
        anew: when it was seen that its process was another one. A counter that counts nothing for a while is not
            there, and may then come back with as much as it had before, or more.
    """
    growth, resets = (samples[0][1] if from_zero and samples else 0.0), 0
    for (last_t, before), (t, after) in pairwise(samples):
        if after < before or any(last_t < begun <= t for begun in anew):
            resets += 1
            growth += after
        else:
            growth += after - before
    return growth, resets


def values_at_the_end(prometheus: Prometheus) -> list[SeriesValue]:
    """Gauges as they are now.

    Raises:
        StackError: Prometheus does not answer.
    """
    return [
        SeriesValue(query=query, labels={name: labels.get(name, "") for name in kept}, value=value)
        for query, (expression, kept) in AT_THE_END.items()
        for labels, value in prometheus.query(expression)
    ]


def lag_over_the_run(prometheus: Prometheus, elapsed_s: float) -> list[SeriesPoint]:
    """Lag by topic, at each scrape.

    Raises:
        StackError: Prometheus does not answer.
    """
    totals: dict[tuple[str, float], float] = {}
    for labels, samples in prometheus.samples(f'kafka_consumer_lag{{job="exporter"}}[{round(elapsed_s)}s]'):
        for t, value in samples:
            key = (labels["topic"], t)
            totals[key] = totals.get(key, 0.0) + value
    return [
        SeriesPoint(query="lag", labels={"topic": topic}, t=t, value=value)
        for (topic, t), value in sorted(totals.items())
    ]


class LogCount:
    """Counts in the brokers' own logs, from the beginning of the watch on.

    Args:
        logs: by node id.
    """

    def __init__(self, logs: Mapping[int, Path]) -> None:
        self._from = {path: _size(path) for path in logs.values()}

    def counted(self) -> list[Counted]:
        """Logins that failed and requests that were denied, as the brokers logged them; nothing without logs."""
        if not self._from:
            return []
        failed = denied = 0
        for path, begin in self._from.items():
            with path.open("rb") as file:
                file.seek(begin)
                for line in file:
                    text = line.decode(errors="replace")
                    failed += bool(_FAILED.search(text))
                    denied += bool(_DENIED.search(text))
        return [
            Counted(what="failed-authentications", labels={}, value=failed),
            Counted(what="acl-denials", labels={}, value=denied),
        ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def open_connections(stack: Stack) -> list[Counted]:
    """Connections that each broker has accepted, as the kernel has them; brokers that cannot be seen are left out."""
    metrics = stack.broker_metrics()
    exported = {int(address.rpartition(":")[2]) for address in metrics.addresses.values()} if metrics else set()
    found = []
    for broker in stack.brokers():
        if broker.pid is None:
            continue
        try:
            sockets = sockets_of(broker.pid)
        except OSError:
            continue
        listening = {port for port, state in sockets if state == _LISTEN} - exported
        count = sum(state == _ESTABLISHED and port in listening for port, state in sockets)
        found.append(Counted(what="connections", labels={"broker": str(broker.id)}, value=count))
    return found


def sockets_of(pid: int) -> list[tuple[int, str]]:
    """Local port and state of a process' TCP sockets, also of one in another network namespace.

    Raises:
        OSError: there is no such process, or it is not ours to look at.
    """
    process = Path(f"/proc/{pid}")
    own = set()
    for entry in (process / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            own.add(str(entry.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in (process / "net" / name).read_text().splitlines()[1:]]
    return [(int(row[1].rpartition(":")[2], 16), row[3]) for row in rows if f"socket:[{row[9]}]" in own]


def disk_use() -> list[Counted]:
    """How full the disk is on which this suite's own stacks keep their data, as this process sees it."""
    space = shutil.disk_usage(tempfile.gettempdir())
    return [Counted(what="disk-used-percent", labels={}, value=round(100.0 * (1 - space.free / space.total), 3))]


def log_growth(begin: Mapping[str, Sequence[int]], end: Mapping[str, Sequence[int]]) -> Iterable[Counted]:
    """By how many records each topic grew, from the ends of its partitions' logs."""
    for topic, ends in end.items():
        before = list(begin.get(topic, ())) + [0] * len(ends)
        grown = sum(after - one for after, one in zip(ends, before, strict=False))
        yield Counted(what="messages-in", labels={"topic": topic}, value=grown)
