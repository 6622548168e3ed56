"""The metrics that a claim may be about: each a pure function from a history, and a place in it, to a figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from necp_validate.claims.metrics.units import Dimension
from necp_validate.evidence.inventory import Evidence
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FaultRecord, Phase, Record


class Scope(StrEnum):
    """What a metric is measured over."""

    PHASE = "phase"
    RUN = "run"
    EITHER = "either"


class Early(StrEnum):
    """What a figure says of a claim while the run goes on."""

    NOTHING = "nothing"
    PHASE_OVER = "phase over"
    """A phase that is over has its figure."""
    WORSENS = "worsens"
    """What is still to come can only make it worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where a metric is to be measured.

    Args:
        phase: None: the whole run.
        domains: the domains to take together.
        window_s: None: the place as a whole, else its worst stretch of this length.
        faults: those that it is about; None: whichever began in the phase.
    """

    history: Record
    phase: Phase | None
    domains: tuple[str, ...]
    window_s: float | None = None
    faults: tuple[FaultRecord, ...] | None = None

    @property
    def of_phase(self) -> Phase:
        """The phase, where there must be one."""
        if self.phase is None:
            raise NoEvidence("there is no phase to measure it in")
        return self.phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Why a figure that misses may be the host's doing, and how much of it that explains.

    Args:
        reason: in words.
        explains: in the metric's base unit; infinite for any finite amount.
    """

    reason: str
    explains: float = math.inf

    def relieved(self, value: float, *, higher_is_better: bool) -> float:
        """The figure without what the host explains of it; what never came, no host explains."""
        if math.isinf(value):
            return value
        return value + self.explains if higher_is_better else value - self.explains


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A figure, in its metric's base unit.

    Args:
        low, high: what it certainly lies between; equal where it is known exactly.
        samples: how much it rests on.
        of: what the samples are.
        least: samples below which the figure means nothing, whatever the claim says.
        notes: for the evidence.
        excuses: why a figure that is too bad may be the host's doing.
        planned: what the schedule asked for; a rate above it was never offered.
        slack: by how much a sound system may miss the plan in so short a time.
        sees: the smallest thing that would have made it miss.
    """

    low: float
    high: float
    samples: int
    of: str = "events"
    least: int = 1
    notes: tuple[str, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    planned: float | None = None
    slack: float = 0.0
    sees: str = ""

    @classmethod
    def exact(
        cls, value: float, samples: int, of: str = "events", *, notes: tuple[str, ...] = (), sees: str = ""
    ) -> Measurement:
        """A figure that is known exactly."""
        return cls(low=value, high=value, samples=samples, of=of, notes=notes, sees=sees)


Measurer: TypeAlias = Callable[[Question], Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric.

    Args:
        name: as a claims file has it.
        about: what it is, in one line.
        dimension: its units.
        scope: whether it is of a phase, of the run, or of either.
        higher_is_better: which way is worse, for windows and baselines.
        by_domain: whether a domain can be asked for.
        windows: whether the worst window can be asked for.
        early: what it says while the run goes on; the worst window can only get worse in any case.
        measure: raises `NoEvidence` where the record cannot say.
        evidence: what it rests on.
        limits: names of limits that decide what may be the host's doing.
        label: what a figure of it is called, e.g. ``P99``.
    """

    name: str
    about: str
    dimension: Dimension
    measure: Measurer = field(repr=False)
    scope: Scope = Scope.PHASE
    higher_is_better: bool = False
    by_domain: bool = True
    windows: bool = False
    early: Early = Early.NOTHING
    evidence: tuple[Evidence, ...] = ()
    limits: tuple[str, ...] = ()
    label: str = ""


MEASURES: dict[str, Measure] = {}


def add(measure: Measure) -> Measure:
    """Register a metric.

    Raises:
        ValueError: its name is taken.
    """
    if measure.name in MEASURES:
        raise ValueError(f"two metrics are named {measure.name!r}")
    MEASURES[measure.name] = measure
    return measure
