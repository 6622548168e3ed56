"""One claim of the user's own, as checked: every name is known, the threshold is in its metric's base unit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """A claim that must hold in ``hold`` of the last ``of`` phases it is about, over repeated runs."""

    hold: int
    of: int

    def __str__(self) -> str:
        return f"{self.hold} of {self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnClaim:
    """What a user claims of a system.

    Args:
        id: unique, and no id of a claim that comes with the suite.
        description: the claim in the user's words.
        metric: a key of `necp_validate.claims.metrics.MEASURES`.
        comparison: a key of `COMPARISONS`.
        threshold: in the metric's base unit.
        shown: the threshold as it was written.
        phase: name or kind of the phases that it is about; None: every phase but warm-ups, or the whole run.
        domain: None: all together.
        min_samples: with fewer it is unknown; a percentile's own least number holds beside it.
        window_s: judge the worst stretch of this length in place of the phase as a whole.
        repeats: None: it must hold in every phase that it is about, in one run.
    """

    id: str
    description: str
    metric: str
    comparison: str
    threshold: float
    shown: str
    phase: str | None = None
    domain: str | None = None
    min_samples: int = 1
    window_s: float | None = None
    repeats: Repeats | None = None

    def holds(self, value: float) -> bool:
        """Whether a figure is as claimed."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def __str__(self) -> str:
        parts = [f"{self.metric} {self.comparison} {self.shown}"]
        parts += [self.domain] if self.domain else []
        parts += [f"in {self.phase}"] if self.phase else []
        parts += [f"in every {self.window_s:g} s"] if self.window_s else []
        parts += [f"in {self.repeats} repeats"] if self.repeats else []
        return ", ".join(parts)
