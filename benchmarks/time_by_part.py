"""Where the time between an event's intended send and the end of its processing goes, part by part."""

from __future__ import annotations

from necp_validate.core import SuiteError
from necp_validate.record import Record

_STEADY = "steady"


def time_by_part(whole: Record, leader_only: Record, domain: str) -> dict[str, float]:
    """Split the median end-to-end latency of the steady phase.

    Medians of parts do not add up exactly to the median of the whole. A part below 0 is below what can be told apart.

    Args:
        whole: a run with ``acks=all``.
        leader_only: the same with ``acks=1``; what it saves is the time spent in replication.
        domain: whose events.

    Returns:
        Milliseconds: ``late`` (the generator), ``queue`` (waiting in the client), ``broker`` (network, TLS, request
        queues and the leader's log), ``replication``, ``core`` (fetch, batch, handling; for economy the transaction).

    Raises:
        SuiteError: a run has no client statistics of the domain.
    """

    def median_ms(history: Record, kind: str) -> float:
        return history.histogram(_STEADY, kind, [domain]).percentile(50) / 1000

    late, ack = median_ms(whole, "late"), median_ms(whole, "ack")
    trip = _round_trip_ms(whole, domain)
    leader = _round_trip_ms(leader_only, domain)
    return {
        "late": late,
        "queue": ack - late - trip,
        "broker": leader,
        "replication": trip - leader,
        "core": median_ms(whole, "e2e") - ack,
        "whole": median_ms(whole, "e2e"),
    }


def _round_trip_ms(history: Record, domain: str) -> float:
    trips = [t for load in history.loads if (t := (load.trips or {}).get(_STEADY, {}).get(domain))]
    requests = sum(trip["requests"] for trip in trips)
    if not requests:
        raise SuiteError(f"no client statistics of {domain} in the run")
    return sum(trip["requests"] * trip["rtt_p50"] for trip in trips) / requests
