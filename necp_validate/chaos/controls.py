"""The control that makes ``chaos run FILE`` a run of the suite, in one command.

It attaches to the stack that ``necp-validate up`` left running, or brings one up; starts the event core and the load
of a scenario; lets the experiment go when the load's fault phase begins; and afterwards waits for the end of the
load, reads everything back, judges, writes the report, and takes down what it has started.

This module is where a program is put together from its layers, as `necp_validate.cli` is: no other module of
`necp_validate.chaos` may import what lies above.
"""

import logging
import sys
import threading
from pathlib import Path
from typing import Any

from chaoslib.exceptions import InterruptExecution

from necp_validate.chaos.experiment import Experiment, checked, name_of
from necp_validate.chaos.play import keep
from necp_validate.chaos.session import Session, active, opened
from necp_validate.core import SuiteError, Verdict

__all__ = ["after_experiment_control", "before_experiment_control", "configure_control"]

logger = logging.getLogger("chaostoolkit")

SCENARIO = "chaos"
_POLL_S = 0.2


class _Run:
    """The run behind an experiment that Chaos Toolkit plays: a thread that goes through the scenario.

    Args:
        experiment: what Chaos Toolkit plays.
        configuration: of the experiment: ``stack``, ``scenario``, ``seed``, ``out``.
    """

    def __init__(self, experiment: Experiment, configuration: dict[str, Any]) -> None:
        self.experiment = experiment
        self._configuration = configuration
        self._begun = threading.Event()
        self._played = threading.Event()
        self._cancelled = threading.Event()
        self._error: BaseException | None = None
        self._told = 0
        self.run_dir: Path | None = None
        self.session: Session | None = None
        # Not a daemon: whatever happens to the main thread, this one takes down what it has started.
        self._thread = threading.Thread(target=self._go, name="necp-run")

    def begin(self) -> None:
        """Come back when the load's fault phase begins.

        Raises:
            BaseException: what kept it from coming so far.
        """
        self._thread.start()
        while not self._begun.wait(_POLL_S):
            if not self._thread.is_alive():
                raise self._error or SuiteError("the load ended before its fault phase began")

    def end(self) -> Path | None:
        """Come back when the run has ended; returns its directory unless it was cancelled.

        Raises:
            BaseException: what went wrong.
        """
        self._played.set()
        while self._thread.is_alive():
            try:
                self._thread.join(_POLL_S)
            except KeyboardInterrupt:
                self.cancel()
        if self._error is not None:
            raise self._error
        return None if self._cancelled.is_set() else self.run_dir

    def cancel(self) -> None:
        """Let the run stop as soon as it can, and take everything down."""
        self._cancelled.set()
        if self.session is not None:
            self.session.stop()
        self._played.set()

    def _go(self) -> None:
        # Only now: what lies above this layer, and takes a second to import.
        from necp_validate.scenario.files import load_scenario
        from necp_validate.scenario.runner import run_scenario
        from necp_validate.stack import attach, default_state_file

        chosen = self._configuration
        try:
            overrides = [f"stack={chosen['stack']}"] if chosen.get("stack") else []
            seed = int(chosen["seed"]) if chosen.get("seed") else None
            own = self.experiment.settings.scenario
            scenario = load_scenario(chosen.get("scenario") or own or SCENARIO, overrides=overrides, seed=seed)
            run_scenario(
                scenario,
                stack=attach() if default_state_file().exists() and not overrides else None,
                out=Path(chosen.get("out") or "reports/runs"),
                on_event=self._on_event,
                experiments=[self.experiment],
                during=self._during,
            )
        except BaseException as error:  # noqa: BLE001  # told to the main thread, which raises it
            if not (isinstance(error, KeyboardInterrupt) and self._cancelled.is_set()):
                self._error = error

    def _during(self, session: Session) -> None:
        self.session = session
        with opened(session):
            self._begun.set()
            self._played.wait()

    def _on_event(self, event: object) -> None:
        from necp_validate.scenario import events

        if self._cancelled.is_set() and not isinstance(event, (events.ExperimentTold, events.StageFinished)):
            raise KeyboardInterrupt
        match event:
            case events.RunStarted():
                self.run_dir = event.run_dir
                logger.info("Run directory: %s", event.run_dir)
            case events.StageStarted():
                logger.info("%s%s", events.STAGES.get(event.stage, event.stage), event.detail and f": {event.detail}")
            case events.ExperimentTold():
                logger.info("%s", event.text)
            case events.PhaseStarted():
                logger.info("phase %s: %.0f events/s", event.name, sum(event.target_eps.values()))
            case events.WarningRaised():
                logger.warning("%s", event.message)
            case _:
                pass


_RUN: list[_Run] = []


def configure_control(experiment: dict[str, Any], configuration: dict[str, Any] | None = None) -> None:
    """Check the experiment before anything is started; a mistake ends the program with exit code 2.

    Args:
        experiment: the document.
        configuration: as resolved.
    """
    if active():
        return
    try:
        name = name_of(experiment)
        found = checked(_plain(experiment), name=name, source=f"{name}.json")
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    _RUN[:] = [_Run(found, dict(configuration or {}))]


def before_experiment_control(context: dict[str, Any]) -> None:  # noqa: ARG001  # Chaos Toolkit names it
    """Bring stack, event core and load up; come back when the load's fault phase begins.

    Args:
        context: the experiment.
    """
    if active() or not _RUN:
        return
    try:
        _RUN[0].begin()
    except SuiteError as error:
        raise InterruptExecution(str(error)) from error


def after_experiment_control(
    context: dict[str, Any],  # noqa: ARG001  # Chaos Toolkit names it
    state: dict[str, Any] | None = None,
) -> None:
    """Let the load end, read everything back, judge, report; a verdict that is no pass fails the experiment.

    Args:
        context: the experiment.
        state: the journal, if it came that far.
    """
    if not _RUN:
        return
    run = _RUN.pop()
    journal = state if state is not None else {"status": "interrupted"}
    if journal.get("status") == "interrupted":
        run.cancel()
    if run.run_dir is not None and state is not None:
        faults = run.session.injected(run.experiment.name) if run.session is not None else ()
        keep(run.run_dir, run.experiment.name, journal, faults)
    try:
        run_dir = run.end()
    except SuiteError as error:
        logger.error("%s", error)
        journal["status"] = "failed"
        return
    if run_dir is None:
        logger.warning("interrupted, everything stopped; the partial run is kept at %s", run.run_dir)
        return
    _judge(run_dir, journal)


def _judge(run_dir: Path, journal: dict[str, Any]) -> None:
    from necp_validate.report.pipeline import judge_and_report
    from necp_validate.report.verdict import sentence

    verdict = judge_and_report(run_dir)
    for claim in verdict.claims:
        logger.info("%-7s %s: %s", claim.verdict, claim.id, claim.measured or claim.evidence)
    logger.info("Verdict: %s. %s", verdict.verdict, sentence(verdict))
    logger.info("Report: %s", run_dir / "report.html")
    if verdict.verdict is Verdict.FAIL:
        journal["deviated"] = True
    elif verdict.verdict is Verdict.UNKNOWN:
        journal["status"] = "failed"


def _plain(experiment: dict[str, Any]) -> dict[str, Any]:
    """The document as it stood in the file: Chaos Toolkit adds a key of its own while it runs."""
    return {key: value for key, value in experiment.items() if key != "dry"}
