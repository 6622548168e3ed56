"""Silences: how long no event of a domain was acknowledged, or ended, while some were due."""

from __future__ import annotations

from necp_validate.claims.needs import recorded
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import LoadRecord, Phase, Record, parts


def longest_gap_ms(history: Record, phase: Phase, load: LoadRecord, domain: str) -> float:
    """The longest time in a phase without one successful ack that a worker got of a domain."""
    gaps_ms = recorded(load.max_gap_ms, "max_gap_ms", parts.LOADS, load.worker)
    between = gaps_ms.get(phase.name, {}).get(domain)
    if between is None:
        if len(_acked_in(history, phase, load.worker, domain)) > 1:
            where = f"history/load-{load.worker}.json"
            raise NoEvidence(f"the silences of {domain} in {phase.name} were not recorded ({where})")
        between = 0.0
    return max(between, _last_silence_ms(history, phase, load.worker, domain))


def _acked_in(history: Record, phase: Phase, worker: str, domain: str) -> list[float]:
    """When rows of a phase end that have acks; those of the phase before may end in its first second."""
    return [
        row.t
        for row in history.timeline
        if row.worker == worker and row.domain == domain and row.acked
        if phase.start_us / 1e6 + 1.0 < row.t <= phase.end_us / 1e6
    ]


def _last_silence_ms(history: Record, phase: Phase, worker: str, domain: str) -> float:
    """From the phase's last row with acks to its last with something sent: a silence that no ack ended."""
    last_ack = last_sent = None
    for row in history.timeline:
        if row.worker == worker and row.domain == domain and phase.start_us < row.t * 1e6 <= phase.end_us:
            if row.acked:
                last_ack = row.t
            if row.sent:
                last_sent = row.t
    if last_ack is None or last_sent is None:
        return 0.0
    return max(last_sent - last_ack, 0.0) * 1000
