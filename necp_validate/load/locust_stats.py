"""Feeds Locust's own statistics, so that its web page shows the run; no verdict rests on them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from locust.stats import RequestStats, StatsEntry

from necp_validate.record.model import TimelineRow


def report_rows(stats: RequestStats, rows: Iterable[TimelineRow]) -> None:
    """Add a second's timeline rows: acknowledged events, at that second's median and 99th percentile.

    Locust logs one request at a time; at 50,000 events a second that would cost more than sending them, so a row is
    added as a whole: 99% of its events at the median, 1% at the P99.
    """
    for row in rows:
        entry = stats.get(row.domain, "KAFKA")
        for one in (entry, stats.total):
            _add(one, row)


def _add(entry: StatsEntry, row: TimelineRow) -> None:
    now = time.time()
    done, failed = row.acked, row.failed
    if not done and not failed:
        return
    entry.num_requests += done + failed
    entry.num_failures += failed
    entry.num_reqs_per_sec[int(now)] += done + failed
    entry.num_fail_per_sec[int(now)] += failed
    entry.last_request_timestamp = now
    p50, p99 = row.ack_p50_ms, row.ack_p99_ms
    if p50 is None or p99 is None:
        return
    slow = done // 100
    for ms, events in ((round(p50), done - slow), (round(p99), slow)):
        if events:
            entry.response_times[ms] += events
            entry.total_response_time += ms * events
            entry.min_response_time = min(ms, entry.min_response_time or ms)
            entry.max_response_time = max(ms, entry.max_response_time or 0)
