"""A claim as data: conditions that must hold, what a run must have to be evidence, and how often it must hold."""

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

UNDER_FAULTS = "@faults"
"""In the place of a phase: those in which the faults that are evidence for the claim were in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """A claim that must hold in ``hold`` of the last ``of`` phases it is about, over repeated runs."""

    hold: int
    of: int

    def __str__(self) -> str:
        return f"{self.hold} of {self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A check that must pass, or a metric held against a threshold.

    Args:
        check: name of a check; empty for a metric.
        metric: name of a metric; empty for a check.
        comparison: a key of `COMPARISONS`.
        limit: name of a limit of the catalogue; empty where ``threshold`` is the user's own.
        threshold: in the metric's base unit, where there is no limit.
        tolerance: name of the limit by whose share a rate may miss, beside what its schedule explains; empty for none.
        shown: the threshold as it was written.
        phases: names or kinds; empty: every phase but warm-ups, or the whole run.
        domain: None: all together.
        window_s: judge every stretch of this length in place of the phase as a whole.
        min_samples: with fewer it is unknown; a percentile's own least number holds beside it.
        subject: ``load`` or ``campaign``, for a condition of such runs alone; empty for any.
        where_comparable: whether a check that is not applicable to the run leaves the claim to its other conditions.
        requires: whether it is about the run: where it does not hold, the run is no evidence for the claim.
    """

    check: str = ""
    metric: str = ""
    comparison: str = ""
    limit: str = ""
    threshold: float | None = None
    tolerance: str = ""
    shown: str = ""
    phases: tuple[str, ...] = ()
    domain: str | None = None
    window_s: float | None = None
    min_samples: int = 1
    subject: str = ""
    where_comparable: bool = False
    requires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is claimed of a system, by the suite's catalogue or by the user.

    Args:
        id: unique and stable, used in code, reports and documents.
        title: the claim, in its own words.
        area: the heading it stands under.
        conditions: all must hold.
        requires: what the run must have.
        faults: kinds of fault that are evidence for it, where a fault's record does not name its claims.
        scale: the run must have at least this share of the claimed rates; 0 where the rate does not matter.
        repeats: None: it must hold in every place, in one run.
        source: the file that makes the claim, where it is the user's own.
        not_judged: why no run decides it; such a claim has no conditions.
    """

    id: str
    title: str
    area: str
    conditions: tuple[Condition, ...] = ()
    requires: tuple[Condition, ...] = ()
    faults: tuple[str, ...] = ()
    scale: float = 0.0
    repeats: Repeats | None = None
    source: str | None = None
    not_judged: str = ""
