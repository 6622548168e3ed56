"""Counting the anomalies of one check, and making its finding of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.guarantees import Setting, allowance_for
from necp_validate.record import IntervalSet, Record

EXAMPLES_KEPT = 10
_INTERVALS_SHOWN = 5
_DOUBTS_SHOWN = 3


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

    def __init__(self, name: str, history: Record) -> None:
        self.name = name
        self._history = history
        self._anomalies: list[_Anomaly] = []
        self._doubts: list[Example] = []

    def add(self, count: int | None, where: str, detail: str, *, setting: Setting | None = None) -> None:
        """Count an anomaly; one of count 0 is none, and of one that was not counted nothing is known."""
        if count is None:
            self.doubt(where, f"not recorded: {detail.removesuffix(': None')}")
        elif count > 0:
            example = Example(where=where, detail=detail)
            self._anomalies.append(_Anomaly(count=count, setting=setting or Setting(), example=example))

    def doubt(self, where: str, why: str) -> None:
        """Note what could not be told: without an anomaly, the check is unknown."""
        self._doubts.append(Example(where=where, detail=why))

    def only(self, places: Iterable[str]) -> Anomalies:
        """Those of some places."""
        chosen, among = Anomalies(self.name, self._history), set(places)
        chosen._anomalies = [one for one in self._anomalies if one.example.where in among]
        chosen._doubts = [one for one in self._doubts if one.where in among]
        return chosen

    @property
    def count(self) -> int:
        """Anomalies so far, allowed or not."""
        return sum(anomaly.count for anomaly in self._anomalies)

    def finding(self, *, clean: str, found: str, sees: str, measured: str = "") -> Finding:
        """The finding: fail if anything was found that the configuration does not allow, unknown if there are doubts.

        Args:
            clean: summary if nothing was found.
            found: summary otherwise; ``{count}`` is replaced.
            sees: the smallest thing that would have been found.
            measured: the figure behind it, for a claim; ``{count}`` is replaced.
        """
        measured = measured.format(count=f"{self.count:,}")
        if not self._anomalies:
            return self._doubted(
                Finding(name=self.name, verdict=Verdict.PASS, count=0, summary=clean, sees=sees, measured=measured)
            )
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
        return self._doubted(
            Finding(
                name=self.name,
                verdict=Verdict.FAIL if forbidden else Verdict.PASS,
                count=self.count,
                summary=summary,
                examples=self._examples(),
                allowed="; ".join(reasons) or None,
                measured=measured,
                sees="" if forbidden else sees,
            )
        )

    def _doubted(self, found: Finding) -> Finding:
        if not self._doubts:
            return found
        texts = [f"{one.where}: {one.detail}" for one in self._doubts]
        more = f"and {len(texts) - _DOUBTS_SHOWN} more" if len(texts) > _DOUBTS_SHOWN else ""
        if found.verdict is Verdict.FAIL:
            return replace(found, examples=(*found.examples, *self._doubts[:EXAMPLES_KEPT]))
        return replace(
            found,
            verdict=Verdict.UNKNOWN,
            summary="; ".join(filter(None, [*texts[:_DOUBTS_SHOWN], more, found.summary])),
            examples=(*found.examples, *self._doubts[:EXAMPLES_KEPT]),
            sees="",
        )

    def _examples(self) -> tuple[Example, ...]:
        worst = sorted(self._anomalies, key=lambda anomaly: anomaly.count, reverse=True)
        examples = [anomaly.example for anomaly in worst[:EXAMPLES_KEPT]]
        sightings = (self._history.readback.examples if self._history.readback else None) or ()
        kept = [Example(where=s.where, detail=s.detail) for s in sightings if s.check == self.name]
        return tuple(examples + kept[:EXAMPLES_KEPT])


def not_applicable(name: str, why: str) -> Finding:
    """The finding of a check that a run had nothing to show to; a claim that rests on it is unknown."""
    return Finding(name=name, verdict=Verdict.NOT_APPLICABLE, count=0, summary=why)


def shown(numbers: IntervalSet) -> str:
    """The first few intervals, for a person."""
    intervals = numbers.intervals()
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in intervals[:_INTERVALS_SHOWN]]
    more = len(intervals) - len(texts)
    return ", ".join(texts) + (f" and {more} more intervals" if more else "")
