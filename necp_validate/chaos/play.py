"""Plays an experiment with Chaos Toolkit in this process, and keeps its journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaoslib.run import Runner
from chaoslib.types import Strategy

from necp_validate.chaos.experiment import Experiment, slug_of
from necp_validate.chaos.session import Session, opened
from necp_validate.record import parts
from necp_validate.record.experiments import ExperimentOutcome

_SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}


class _AnyThread(Runner):  # type: ignore[misc]  # chaoslib is not typed
    """Chaos Toolkit's runner without its signal handlers, which only the main thread may set."""

    def run(self, experiment: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        self.configure(experiment, settings, None)
        journal: dict[str, Any] = self._run(
            self.strategy,
            self.schedule,
            experiment,
            None,
            self.config,
            self.secrets,
            self.settings,
            self.event_registry,
        )
        return journal


def play(experiment: Experiment, session: Session) -> ExperimentOutcome:
    """Play an experiment: steady state, method, steady state again, rollbacks.

    Args:
        experiment: as checked.
        session: what it is played on.

    Returns:
        How it ended; journal and outcome are in the run directory.
    """
    session.enter(experiment.name, experiment.settings.claims)
    log = session.run_dir / "logs" / f"experiment-{experiment.slug}.log"
    document = deepcopy(dict(experiment.document))
    with opened(session), _logged(log), _AnyThread(Strategy.DEFAULT) as runner:
        journal = runner.run(document, deepcopy(_SETTINGS))
    return keep(session.run_dir, experiment.name, journal, session.injected(experiment.name))


def keep(run_dir: Path, name: str, journal: Mapping[str, Any], faults: Sequence[str]) -> ExperimentOutcome:
    """Write a journal into the run directory (``journal-NAME.json``), and its outcome into the record.

    Args:
        run_dir: of the run.
        name: of the experiment.
        journal: as Chaos Toolkit made it.
        faults: ids of the faults that it has injected.
    """
    text = json.dumps(journal, indent=1, ensure_ascii=False, default=str)
    (run_dir / f"journal-{slug_of(name)}.json").write_text(text + "\n", encoding="utf-8")
    outcome = replace(outcome_of(name, journal), faults=tuple(faults))
    parts.EXPERIMENTS.append(run_dir, outcome)
    return outcome


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what Chaos Toolkit says into a file; who runs the suite is told by the session."""
    logger = logging.getLogger("chaostoolkit")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.level, logger.propagate = before


def outcome_of(name: str, journal: Mapping[str, Any]) -> ExperimentOutcome:
    """What a journal says in the end."""
    states = journal.get("steady_states", {})
    runs = [*journal.get("run", []), *journal.get("rollbacks", [])]
    probes = [probe for when in ("before", "after") for probe in (states.get(when) or {}).get("probes", [])]
    failed = [
        f"{run['activity'].get('name')}: {_last_line(run.get('exception'))}"
        for run in [*runs, *probes]
        if run.get("status") == "failed"
    ]
    missed = [
        f"{probe['activity'].get('name')}: {probe.get('output')}, wanted {probe['activity'].get('tolerance')}"
        for probe in probes
        if probe.get("status") == "succeeded" and not probe.get("tolerance_met")
    ]
    return ExperimentOutcome(
        experiment=name,
        title=str(journal.get("experiment", {}).get("title", name)),
        status=str(journal.get("status")),
        steady_before=(states.get("before") or {}).get("steady_state_met"),
        steady_after=(states.get("after") or {}).get("steady_state_met"),
        failed=tuple(failed),
        missed=tuple(missed),
        seconds=round(float(journal.get("duration") or 0.0), 3),
    )


def _last_line(exception: Any) -> str:
    lines = "".join(exception or ["it gave no reason"]).strip().splitlines()
    return lines[-1].removeprefix("chaoslib.exceptions.ActivityFailed: ")
