"""Runs the experiments of a scenario while the load goes on: each begins with its phase, in a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from necp_validate.chaos.experiment import Experiment
from necp_validate.chaos.play import play
from necp_validate.chaos.session import Interrupted, Session
from necp_validate.core import SuiteError
from necp_validate.record import parts
from necp_validate.scenario.events import ExperimentEnded, ExperimentStarted, OnEvent
from necp_validate.scenario.model import Phase

During = Callable[[Session], None]
"""What happens in a fault phase instead of what its experiment says: somebody else plays it."""

_LEAD_US = 2_000_000
_END_S = 180.0
_STOP_S = 30.0


class FaultPhases:
    """Starts the experiment of each fault phase when its time has come, and not before the one before has ended.

    Where the load itself is the fault, that is a little earlier: its hypothesis is about what was before.

    Args:
        phases: all phases of the run.
        experiments: by name.
        session: what they are played on.
        on_event: told what happens.
        during: plays in place of the experiments.
        ended: told the name of each experiment that is over, when its faults are undone.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        experiments: Mapping[str, Experiment],
        session: Session,
        on_event: OnEvent,
        during: During | None = None,
        *,
        ended: Callable[[str], None],
    ) -> None:
        self._waiting = [phase for phase in phases if phase.experiment is not None]
        self._experiments = experiments
        self._session = session
        self._on_event = on_event
        self._during = during
        self._ended = ended
        self._starts_us: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def poll(self) -> None:
        """Begin what is due.

        Raises:
            SuiteError: an experiment could not be played, or its faults could not be undone.
        """
        if self._error is not None:
            raise self._error
        if not self._waiting or (self._thread is not None and self._thread.is_alive()):
            return
        start_us = self._start_us(self._waiting[0])
        if start_us is None or time.time_ns() // 1000 < start_us:
            return
        phase = self._waiting.pop(0)
        self._thread = threading.Thread(target=self._run, args=(phase,), name=f"necp-{phase.name}")
        self._thread.start()

    def finish(self) -> None:
        """Wait, after the load, until the last experiment has ended.

        Raises:
            SuiteError: it did not end, or could not be played; or one never had its turn.
        """
        deadline = time.monotonic() + _END_S
        while self._thread is not None and self._thread.is_alive():
            if time.monotonic() > deadline:
                self.abort()
                raise SuiteError(f"the experiment did not end within {_END_S:g} s after the load")
            self._thread.join(0.5)
        if self._error is not None:
            raise self._error
        if self._waiting:
            names = ", ".join(str(phase.experiment) for phase in self._waiting)
            raise SuiteError(f"never played, as those before took too long: {names}", hint="make their phases longer")

    def abort(self) -> None:
        """Let nothing further be broken, and wait until the thread is out of the way."""
        self._session.stop()
        self._waiting.clear()
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def _start_us(self, phase: Phase) -> int | None:
        path = parts.PHASES.file(self._session.run_dir)
        if not self._starts_us and path.exists():
            self._starts_us = {row["name"]: row["start_us"] for row in json.loads(path.read_text(encoding="utf-8"))}
        start_us = self._starts_us.get(phase.name)
        if start_us is not None and self._experiments[str(phase.experiment)].settings.fault.changes_load:
            start_us -= _LEAD_US
        return start_us

    def _run(self, phase: Phase) -> None:
        experiment = self._experiments[str(phase.experiment)]
        try:
            self._on_event(ExperimentStarted(name=experiment.name, title=experiment.title))
            if self._during is not None:
                self._session.enter(experiment.name, experiment.settings.claims)
                self._during(self._session)
                self._ended(experiment.name)
                return
            outcome = play(experiment, self._session)
            self._session.undo()
            self._ended(experiment.name)
            self._on_event(ExperimentEnded(name=experiment.name, status=outcome.status, problems=outcome.problems))
        except Interrupted:
            return  # the run is being stopped, and says so itself
        except BaseException as error:  # noqa: BLE001  # told to the run's own thread, which raises it
            self._error = error
