"""How the experiments of a run ended: one row each (``history/experiments.jsonl``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentOutcome:
    """What Chaos Toolkit's journal says of an experiment.

    Args:
        experiment: its name.
        title: what it is about.
        status: ``completed``, ``failed``, ``aborted`` or ``interrupted``.
        steady_before: whether the steady state was there before the method; None if nobody looked.
        steady_after: whether it was there again afterwards; None if nobody looked.
        failed: activities that could not do their work, each with its error.
        missed: probes of the steady state out of their tolerance, each with its value.
        seconds: how long it took.
        faults: ids of the faults that it has injected, as the session counted them; None if that was not recorded.
    """

    experiment: str
    title: str
    status: str
    steady_before: bool | None
    steady_after: bool | None
    failed: tuple[str, ...]
    missed: tuple[str, ...]
    seconds: float
    faults: tuple[str, ...] | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Whatever did not go as it should."""
        return (*self.missed, *self.failed)
