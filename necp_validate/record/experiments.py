"""How the experiments of a run ended: one row each (``history/experiments.jsonl``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from necp_validate.record import layout
from necp_validate.record.files import read_rows
from necp_validate.record.writer import JsonLines


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
    """

    experiment: str
    title: str
    status: str
    steady_before: bool | None
    steady_after: bool | None
    failed: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def problems(self) -> tuple[str, ...]:
        """Whatever did not go as it should."""
        return (*self.missed, *self.failed)


def append_outcome(run_dir: Path, outcome: ExperimentOutcome) -> None:
    """Append a row; it is on disk when this returns.

    Raises:
        SuiteError: it could not be written.
    """
    with JsonLines(run_dir / layout.EXPERIMENTS) as lines:
        lines.write(outcome)


def read_outcomes(run_dir: Path) -> tuple[ExperimentOutcome, ...]:
    """The experiments of a run in their order; none if it had none.

    Raises:
        SuiteError: the file is damaged; only its last line may be torn.
    """
    return read_rows(run_dir / layout.EXPERIMENTS, ExperimentOutcome)
