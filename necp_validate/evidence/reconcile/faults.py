"""Faults and the experiments that injected them name each other."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.evidence.reconcile.discrepancy import Discrepancy
from necp_validate.record import Record


def faults_have_experiments(history: Record) -> Iterator[Discrepancy]:
    """Every fault that was recorded is among those that its experiment counted, where it counted any at all."""
    names = history.experiments_by_name
    for fault in history.faults:
        experiment = names.get(fault.experiment)
        if experiment is not None and experiment.faults is not None and fault.id not in experiment.faults:
            counted = f"the {len(experiment.faults)} that it counted (history/experiments.jsonl)"
            detail = f"{fault.id} is a fault of it (history/faults.jsonl), and not among {counted}"
            yield Discrepancy(where=experiment.experiment, detail=detail, parts=("faults", "experiments"))
