"""Claims about the brokers' resources."""

from __future__ import annotations

from collections import defaultdict

from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import BrokerSample

MEMORY_BYTES = 4_000_000_000
IOPS = 10_000


def _peaks(values: list[tuple[BrokerSample, float]], what: str) -> dict[str, float]:
    if not values:
        raise NoEvidence(f"{what} of the brokers was not recorded")
    peaks: dict[str, float] = defaultdict(float)
    for sample, value in values:
        peaks[sample.broker] = max(peaks[sample.broker], value)
    return peaks


def _note(evidence: Evidence, peaks: dict[str, float], samples: int, source: str) -> str:
    note = f"highest of {samples:,} samples of {len(peaks)} brokers, {source}"
    return f"{note}; {evidence.scale_words}" if evidence.scale_words else note


@judges("RES-MEMORY", "< 4 GB resident per broker")
def memory_per_broker(evidence: Evidence) -> Ruling:
    """Peak resident memory of any broker during the run."""
    samples = evidence.history.brokers
    values = [(sample, sample.rss_bytes) for sample in samples if sample.rss_bytes is not None]
    peaks = _peaks(values, "resident memory")
    broker, peak = max(peaks.items(), key=lambda item: item[1])
    return Ruling(
        verdict=Verdict.PASS if peak < MEMORY_BYTES else Verdict.FAIL,
        measured=f"{peak / 1e9:.2f} GB (broker {broker})",
        evidence=_note(evidence, peaks, len(values), "resident set of the process"),
    )


@judges("RES-IOPS", "< 10,000 disk reads and writes per second and broker")
def iops_per_broker(evidence: Evidence) -> Ruling:
    """Peak disk operations per second of any broker."""
    values = [
        (sample, sample.read_ios + sample.write_ios)
        for sample in evidence.history.brokers
        if sample.read_ios is not None and sample.write_ios is not None
    ]
    peaks = _peaks(values, "disk operations")
    broker, peak = max(peaks.items(), key=lambda item: item[1])
    source = str(evidence.history.run.stack.get("io_source") or "reads plus writes per second")
    verdict = Verdict.PASS
    if peak >= IOPS:
        # More may be counted than the broker's own: a bound that holds proves, a bound exceeded does not.
        verdict = Verdict.UNKNOWN if "upper bound" in source else Verdict.FAIL
    return Ruling(
        verdict=verdict,
        measured=f"{peak:,.0f} IOPS (broker {broker})",
        evidence=_note(evidence, peaks, len(values), source),
    )
