"""The record of a run while it goes on: its directory, its ``run.json``, its stages, and how it ended."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from necp_validate.core import SuiteError, UsageError, in_one_line, reason_in
from necp_validate.record import parts
from necp_validate.record.closing import close
from necp_validate.record.model import RunInfo
from necp_validate.scenario.early_stop import StoppedEarly
from necp_validate.scenario.events import OnEvent, RunStarted, StageFinished, StageStarted, WarningRaised
from necp_validate.scenario.interrupts import sigterm_interrupts
from necp_validate.scenario.model import Phase
from necp_validate.scenario.provenance import host, versions
from necp_validate.scenario.reading import ProcessDied


def new_run_dir(out: Path, name: str) -> Path:
    """Make a run directory.

    Raises:
        UsageError: it cannot be made.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    run_dir = out / f"{stamp}-{name.replace('/', '-')}-{secrets.token_hex(2)}"
    try:
        run_dir.mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the run directory {run_dir}: {error.strerror}", hint="choose another one with --out"
        ) from error
    return run_dir


class RecordedRun:
    """What every kind of run leaves of itself, from its first moment on.

    Args:
        run_dir: the run directory, empty.
        scenario, scale, seed, config: as ``run.json`` has them.
        on_event: told when a stage begins and ends.
    """

    def __init__(
        self, run_dir: Path, *, scenario: str, scale: float, seed: int, config: dict[str, Any], on_event: OnEvent
    ) -> None:
        self.run_dir = run_dir
        self.on_event = on_event
        self.logs = run_dir / "logs"
        self.logs.mkdir(parents=True)
        self.stages: dict[str, float] = {}
        self.stack_info: dict[str, Any] = {}
        self.started_us = time.time_ns() // 1000
        self._unread: str | None = None
        self._info = RunInfo(
            id=run_dir.name,
            scenario=scenario,
            scale=scale,
            seed=seed,
            stack={},
            versions=versions(),
            host=host(),
            config=config,
            started_us=self.started_us,
            finished_us=None,
            stages={},
            status="running",
            error=None,
        )
        self.save()

    def tell_started(self, phases: Iterable[Phase] = ()) -> None:
        """Tell that the run begins.

        Args:
            phases: that its load will have.
        """
        told = tuple((phase.name, phase.kind.value, phase.duration_s) for phase in phases)
        self.on_event(
            RunStarted(run_id=self.run_dir.name, run_dir=self.run_dir, scenario=self._info.scenario, phases=told)
        )

    def save(self, status: str = "running", error: str | None = None) -> None:
        """Write ``run.json`` as of now."""
        finished_us = None if status == "running" else time.time_ns() // 1000
        parts.RUN.write(
            self.run_dir,
            replace(
                self._info,
                stack=self.stack_info,
                finished_us=finished_us,
                stages=self.stages,
                status=status,
                error=error,
            ),
        )

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Do the run within: however it ends, ``run.json`` says so; SIGTERM is like Ctrl-C.

        A run that is stopped early has a verdict, and is left as one that came to its end is.
        """
        with sigterm_interrupts():
            try:
                yield
            except KeyboardInterrupt:
                self.close("interrupted", "interrupted")
                raise
            except StoppedEarly as stop:
                self.close("stopped", str(stop))
                return
            except Exception as error:
                why = str(error) if isinstance(error, SuiteError) else in_one_line(error)
                self.close("failed", why)
                raise
        self.close("finished" if self._unread is None else "unread", self._unread)

    def close(self, status: str, error: str | None) -> None:
        """Write ``run.json`` for the last time, close the run, and warn of each part of the suite that failed in it."""
        self.save(status, error)
        close(self.run_dir)
        for failure in parts.SUITE_FAILURES.read(self.run_dir):
            message = f"a part of the suite failed, what rests on it is unknown: {failure.component}: {failure.problem}"
            self.on_event(WarningRaised(message=message))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The stage that reads everything back; where it cannot, the run goes on without what was to be read.

        What was measured until then stays worth a verdict: only claims that need what was not read are unknown. A
        reader that died by a failure of its own ends the run.
        """
        try:
            with self.stage("readback"):
                yield
        except ProcessDied:
            raise
        except SuiteError as error:
            self._unread = str(error)
            self.on_event(WarningRaised(message=f"not everything could be read back: {reason_in(self._unread)}"))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell that a stage begins and ends, and keep how long it took."""
        self.on_event(StageStarted(stage=name))
        begun = time.monotonic()
        yield
        self.stages[f"{name}_s"] = seconds = round(time.monotonic() - begun, 3)
        self.on_event(StageFinished(stage=name, seconds=seconds))
