"""Counting the anomalies of one check, and making its finding of them."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.core import Example, Finding, Verdict, reason_in
from necp_validate.evidence.guarantees import Setting, allowance_for
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import History, IntervalSet, LoadRecord, Readback

EXAMPLES_KEPT = 10
_INTERVALS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anomaly:
    count: int
    setting: Setting
    example: Example


class Anomalies:
    """Collects the anomalies of one check.

    Args:
        name: the check's name.
        history: examples that the reader kept for this check come from here.
    """

    def __init__(self, name: str, history: History) -> None:
        self.name = name
        self._history = history
        self._anomalies: list[_Anomaly] = []

    def add(self, count: int, where: str, detail: str, *, setting: Setting | None = None) -> None:
        """Count an anomaly; one of count 0 is none."""
        if count > 0:
            example = Example(where=where, detail=detail)
            self._anomalies.append(_Anomaly(count=count, setting=setting or Setting(), example=example))

    @property
    def count(self) -> int:
        """Anomalies so far, allowed or not."""
        return sum(anomaly.count for anomaly in self._anomalies)

    def finding(self, *, clean: str, found: str, needs_all_workers: bool = True) -> Finding:
        """The finding: fail if anything was found that the configuration does not allow.

        Args:
            clean: summary if nothing was found.
            found: summary otherwise; ``{count}`` is replaced.
            needs_all_workers: without the record of every load worker, finding nothing proves nothing.
        """
        if not self._anomalies:
            missing = missing_workers(self._history) if needs_all_workers else 0
            if missing:
                clean = f"{missing} of the load workers left no record; in what there is: {clean}"
            verdict = Verdict.UNKNOWN if missing else Verdict.PASS
            return Finding(name=self.name, verdict=verdict, count=0, summary=clean)
        reasons: list[str] = []
        forbidden = 0
        for anomaly in self._anomalies:
            allowance = allowance_for(self.name, anomaly.setting)
            if allowance is None:
                forbidden += anomaly.count
            elif allowance.reason not in reasons:
                reasons.append(allowance.reason)
        summary = found.format(count=f"{self.count:,}")
        if forbidden and forbidden < self.count:
            summary += f"; {forbidden:,} of them not allowed"
        return Finding(
            name=self.name,
            verdict=Verdict.FAIL if forbidden else Verdict.PASS,
            count=self.count,
            summary=summary,
            examples=self._examples(),
            allowed="; ".join(reasons) or None,
        )

    def _examples(self) -> tuple[Example, ...]:
        worst = sorted(self._anomalies, key=lambda anomaly: anomaly.count, reverse=True)
        examples = [anomaly.example for anomaly in worst[:EXAMPLES_KEPT]]
        sightings = self._history.readback.examples if self._history.readback else ()
        kept = [Example(where=s.where, detail=s.detail) for s in sightings if s.check == self.name]
        return tuple(examples + kept[:EXAMPLES_KEPT])


def need_readback(history: History) -> Readback:
    """The readback.

    Raises:
        NoEvidence: nothing was read back.
    """
    if history.readback is None:
        why = f": {reason_in(str(history.run.error))}" if history.run.status == "unread" else " in this run"
        raise NoEvidence(f"nothing was read back{why}")
    return history.readback


def need_loads(history: History) -> tuple[LoadRecord, ...]:
    """The load workers' records.

    Raises:
        NoEvidence: there are none, or nothing was sent.
    """
    if not any(stream.sent for load in history.loads for stream in load.streams):
        raise NoEvidence("no load worker left a record of anything it sent")
    return history.loads


def need_senders(history: History) -> tuple[LoadRecord, ...]:
    """The records of everybody who sent events: load workers, and players through the gateway.

    Raises:
        NoEvidence: there are none, or nothing was sent.
    """
    senders = history.senders
    if not any(stream.sent for sender in senders for stream in sender.streams):
        raise NoEvidence("no load worker left a record of anything it sent")
    return senders


def shown(numbers: IntervalSet) -> str:
    """The first few intervals, for a person."""
    intervals = numbers.intervals()
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in intervals[:_INTERVALS_SHOWN]]
    more = len(intervals) - len(texts)
    return ", ".join(texts) + (f" and {more} more intervals" if more else "")
