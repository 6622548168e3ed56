"""Where everything lies in a run directory (``reports/runs/<id>/``)."""

from __future__ import annotations

RUN = "run.json"
PHASES = "history/phases.json"
DRAIN = "history/drain.json"
READBACK = "history/readback.json"
CORE_SHUTDOWN = "history/core-shutdown.json"
LOAD = "history/load-{worker}.json"
LATENCY = "history/latency-{worker}.npz"
TIMELINE = "history/timeline-{worker}.jsonl"
HOST_METRICS = "metrics/host.csv"
BROKER_METRICS = "metrics/brokers.csv"
LAG_METRICS = "metrics/lag.csv"
ISR_METRICS = "metrics/isr.csv"
VERDICT = "verdict.json"

LATENCY_KINDS = ("e2e", "ack", "late")
"""From the intended send time to: end of processing (e2e), ack, handing over to the client (late)."""
