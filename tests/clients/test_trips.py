"""Round trips are summed over brokers and windows, weighted by what each counted."""

from __future__ import annotations

import json

from necp_validate.clients.trips import RoundTrips


def statistics(*brokers: tuple[int, int, int]) -> bytes:
    """Each broker: requests, median of the round trip, median of the queue (microseconds)."""

    def window(count: int, p50: int) -> dict[str, int]:
        return {"cnt": count, "p50": p50, "p99": 2 * p50, "min": 0}

    of = {str(i): {"rtt": window(n, rtt), "int_latency": window(n, q)} for i, (n, rtt, q) in enumerate(brokers)}
    return json.dumps({"name": "producer", "brokers": of}).encode()


def test_windows_weigh_what_they_counted() -> None:
    trips = RoundTrips()
    trips.add("steady", "combat", statistics((10, 4000, 1000), (0, 0, 0)))
    trips.add("steady", "combat", statistics((30, 8000, 2000)))
    trips.add("surge", "combat", statistics((5, 1000, 100)))
    found = trips.by_phase()
    assert found["steady"]["combat"] == {"requests": 40, "rtt_p50": 7.0, "rtt_p99": 14.0, "queue_p50": 1.75}
    assert found["surge"]["combat"]["requests"] == 5


def test_a_phase_without_requests_has_no_figures() -> None:
    trips = RoundTrips()
    trips.add("steady", "combat", statistics((0, 0, 0)))
    assert trips.by_phase() == {}
