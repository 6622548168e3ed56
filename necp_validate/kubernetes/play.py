"""Plays the experiments for Kubernetes with Chaos Toolkit's own command, as a user would, and reads the journal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from necp_validate.chaos.play import outcome_of
from necp_validate.core import SuiteError
from necp_validate.kubernetes.tool import run
from necp_validate.record.experiments import ExperimentOutcome
from necp_validate.stack.process import tail

_TIMEOUT_S = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How an experiment ended.

    Args:
        name: file name without ``.json``.
        outcome: what the journal says.
        journal: all of it.
    """

    name: str
    outcome: ExperimentOutcome
    journal: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the steady state was there before and afterwards, and no activity failed."""
        outcome = self.outcome
        return (
            outcome.status == "completed" and not outcome.failed and not outcome.missed and bool(outcome.steady_after)
        )

    @property
    def why_not(self) -> str:
        """What went wrong; nothing if it passed."""
        if self.passed:
            return ""
        return "; ".join((*self.outcome.failed, *self.outcome.missed)) or f"it ended as {self.outcome.status}"


def experiment_folder() -> Path:
    """The folder of the experiments for Kubernetes, in a source tree or an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "experiments"
    return (installed if installed.is_dir() else package.parent / "experiments") / "k8s"


def experiment_document(name: str) -> dict[str, Any]:
    """Return an experiment as it is written.

    Args:
        name: file name without ``.json``.
    """
    document: dict[str, Any] = json.loads((experiment_folder() / f"{name}.json").read_text(encoding="utf-8"))
    return document


def play(name: str, kubeconfig: Path, out: Path, settings: Mapping[str, str], *, journal: str = "") -> Played:
    """Play an experiment.

    Args:
        name: file name without ``.json``.
        kubeconfig: whom it logs in as.
        out: folder for journal and log.
        settings: the environment variables of its configuration.
        journal: what its files are called; its own name by default.

    Raises:
        SuiteError: Chaos Toolkit could not play it at all.
    """
    label = journal or name
    path = out / f"journal-{label}.json"
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--log-file", str(out / f"{label}.log")]
    said = out / f"{label}.out"
    # An experiment that deviates ends with 1, as one does that could not be played: the journal tells.
    run(
        [*command, "run", "--journal-path", str(path), str(experiment_folder() / f"{name}.json")],
        log=said,
        timeout_s=_TIMEOUT_S,
        env={**os.environ, **settings, "KUBECONFIG": str(kubeconfig)},
    )
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SuiteError(f"the experiment {name} could not be played", detail=tail(said)) from error
    return Played(name=name, outcome=outcome_of(name, read), journal=read)
