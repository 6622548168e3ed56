"""Consumer lag against latency: events that wait take as long as they wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from necp_validate.evidence.reconcile.discrepancy import LATENCY, Discrepancy
from necp_validate.evidence.reconcile.events import end_to_end
from necp_validate.record import Record

LAG_SAMPLES = 15
"""Fewer samples of consumer lag say nothing of its mean."""

LAG_SLACK_S = 0.25
"""What sampling, and an answer of the brokers that is a moment old, add to the lag of a healthy run."""

_SHARED = 0.01
"""From such a share of others' events on, the lag of a topic is not the load's alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LagAgainstLatency:
    """What one domain's backlog says of its latency (J. D. C. Little, 1961: L = lambda W).

    Args:
        samples: of consumer lag.
        lag_s: mean lag divided by the rate: how long an event waited until it was committed, on average.
        latency_s: mean latency as the event core's outcomes have it.
        allowed_s: by how much the first may be more: what is handled is committed a little later.
    """

    samples: int
    lag_s: float
    latency_s: float
    allowed_s: float

    @property
    def contradicts(self) -> bool:
        """Whether events waited for longer than they are said to have taken."""
        return self.samples >= LAG_SAMPLES and self.lag_s - self.latency_s > self.allowed_s


def lag_against_latency(history: Record) -> dict[str, LagAgainstLatency]:
    """Consumer lag against latency, by domain; only of those whose consumers commit within a known time."""
    promised: Mapping[str, float] = history.due.committed_within_s if history.due is not None else {}
    if not history.phases or len(history.known_loads) < len(history.loads):
        return {}  # what a lost worker sent waits as well, and nobody knows how long it took
    begin_s, end_s = history.phases[0].start_us / 1e6, history.phases[-1].end_us / 1e6
    found = {}
    for domain, within_s in promised.items():
        lags = [s.lag for s in history.lag if s.domain == domain and s.lag is not None and begin_s <= s.t <= end_s]
        acked = sum(history.counts(phase.name, [domain]).acked for phase in history.phases)
        merged = end_to_end(history, domain)
        if lags and acked and merged.total and not _shared(history, domain):
            found[domain] = LagAgainstLatency(
                samples=len(lags),
                lag_s=sum(lags) / len(lags) / (acked / (end_s - begin_s)),
                latency_s=merged.mean / 1e6,
                allowed_s=within_s + LAG_SLACK_S,
            )
    return found


def _shared(history: Record, domain: str) -> bool:
    """Whether others than the load wrote to a domain's topic: their events wait as well, and have no latency here."""
    others = [sender for sender in history.senders if not any(sender is load for load in history.loads)]
    total, foreign = (
        sum(stream.sent for sender in senders for stream in sender.streams if stream.domain == domain)
        for senders in (history.senders, others)
    )
    return foreign > _SHARED * total


def lag_is_latency(history: Record) -> Iterator[Discrepancy]:
    """Events that wait in the brokers take as long as they wait, whatever their outcomes say."""
    for domain, one in lag_against_latency(history).items():
        if one.contradicts:
            yield Discrepancy(
                where=domain,
                detail=f"events waited {one.lag_s:.2f} s by the mean of {one.samples} samples of consumer lag "
                f"(metrics/lag.csv), but took {one.latency_s:.3f} s by their outcomes ({LATENCY}); "
                f"{one.allowed_s:.2f} s more are allowed",
                parts=("lag", "latency"),
                broken=True,
                timed=True,
            )
