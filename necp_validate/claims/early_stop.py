"""Which claims of the user's own cannot be met any more, while the run is still going on.

A claim is lost by now where all that is still to come can only make its figure worse, and it fails already: the worst
stretch of so many seconds, a maximum, a rate of a phase that is over. All others wait for the end of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from necp_validate.claims.judge import Judge, Trial, threshold_of
from necp_validate.claims.metrics.measures import MEASURES, Early
from necp_validate.claims.model import Claim, Condition
from necp_validate.core import Verdict
from necp_validate.record import Phase, Record

SETTLED_S = 3.0
"""Rows of the timeline may come so much later than what they tell of."""

_WORSE = {True: (">", ">="), False: ("<", "<=")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A claim that cannot be met any more, and what it failed by."""

    claim: Claim
    why: str

    def __str__(self) -> str:
        return f"{self.claim.id} ({threshold_of(self.claim)}): {self.why}"


def lost_by_now(history: Record, claims: Iterable[Claim], now_s: float) -> list[Lost]:
    """Claims that fail, whatever the rest of the run is like.

    Args:
        history: of a run that goes on, as far as it was written.
        claims: as checked by the reader of the claims file. Those with repeats are never among the result: other runs
            decide, too.
        now_s: epoch seconds.
    """
    cut_s = now_s - SETTLED_S
    so_far = replace(history, phases=tuple(_so_far(history.phases, cut_s)))
    over = replace(history, phases=tuple(phase for phase in history.phases if phase.end_us / 1e6 <= cut_s))
    found = []
    for claim in claims:
        if claim.repeats is None:
            failed = [trial for one in claim.conditions for trial in _failed(claim, one, so_far, over)]
            found += [Lost(claim=claim, why=f"{one.measured} in {one.place}, {one.text}") for one in failed[:1]]
    return found


def _failed(claim: Claim, one: Condition, so_far: Record, over: Record) -> list[Trial]:
    """Where a condition fails already, whatever is still to come."""
    measure = MEASURES[one.metric]
    if one.comparison not in _WORSE[measure.higher_is_better]:
        return []
    if one.window_s is not None or measure.early is Early.WORSENS:
        seen = so_far
    elif measure.early is Early.PHASE_OVER:
        seen = over
    else:
        return []
    trials = Judge(seen, going_on=True).trials(replace(claim, conditions=(one,)))
    return [trial for trial in trials if trial.verdict is Verdict.FAIL]


def _so_far(phases: Iterable[Phase], cut_s: float) -> Iterable[Phase]:
    cut_us = round(cut_s * 1e6)
    return (replace(phase, end_us=min(phase.end_us, cut_us)) for phase in phases if phase.start_us < cut_us)
