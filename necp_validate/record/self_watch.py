"""The suite watches itself: a thread or a process of its own that ends early is written into the run.

Without that, what it recorded until then looks like all there was, and a claim passes on a few seconds of samples.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from necp_validate.core import SuiteError, in_one_line
from necp_validate.record import parts
from necp_validate.record.record import Record
from necp_validate.record.store import Part, parts_of
from necp_validate.record.suite_failures import SuiteFailure

OnFailure = Callable[[str], object]
"""Takes, in one line, what ended a part of the suite."""


def noting(run_dir: Path, component: str, *written: Part[Any]) -> OnFailure:
    """Return what writes down that a part of the suite failed; it raises `SuiteError` if that cannot be written.

    Args:
        run_dir: of the run.
        component: what the part is, e.g. ``monitor of the host``.
        written: the parts of the record that it writes: what rests on them is unknown then.
    """
    names = {part: name for name, part in parts_of(Record).items()}
    return partial(_note, run_dir, component, tuple(names[part] for part in written))


def _note(run_dir: Path, component: str, names: tuple[str, ...], problem: str) -> None:
    failure = SuiteFailure(t_us=time.time_ns() // 1000, component=component, problem=problem, parts=names)
    folder = os.open(run_dir, os.O_RDONLY)
    try:
        # Who opens a file to append cuts off a torn line first: not while another thread or process appends to it.
        fcntl.flock(folder, fcntl.LOCK_EX)
        parts.SUITE_FAILURES.append(run_dir, failure)
    finally:
        os.close(folder)


class WatchedThread(threading.Thread):
    """A thread whose early end is noticed: by an exception, of whatever kind, or before it was asked to end.

    Args:
        work: what it does, until it is asked to end.
        name: of the thread.
        asked: set when it is to end; may be that of several threads.
        on_failure: called in this thread with what ended it early.

    Attributes:
        problem: what ended it early, in one line; empty as long as nothing has.
    """

    def __init__(
        self,
        work: Callable[[], None],
        *,
        name: str,
        asked: threading.Event,
        on_failure: OnFailure = lambda problem: None,  # noqa: ARG005  # whatever needs it looks at the attribute
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.problem = ""
        self._work = work
        self._asked = asked
        self._on_failure = on_failure
        self._reported = True
        self._left = False

    def run(self) -> None:
        """Do the work; nothing is raised and nothing printed."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # there is no caller that would see it
            self._failed(_described(error))
        else:
            if not self._asked.is_set():
                self._failed("it ended before it was asked to")

    def _failed(self, problem: str) -> None:
        if self._left:
            return  # its owner has closed what it works on
        self.problem, self._reported = problem, False
        with contextlib.suppress(Exception):  # as on a full disk: it is tried again when the thread is stopped
            self._report()

    def _report(self) -> None:
        self._on_failure(self.problem)
        self._reported = True

    def stop(self, timeout_s: float | None = None) -> None:
        """Ask it to end, and wait for that; may be called more than once, and before it has begun.

        Args:
            timeout_s: leave it to itself after so long: what it did not record by then shows as missing.

        Raises:
            SuiteError: it ended early, and that could not be written down; or whatever else ``on_failure`` raises.
        """
        self._asked.set()
        if self.is_alive():
            self.join(timeout_s)
            self._left = self.is_alive()
        if not self._reported:
            self._report()


def _described(error: BaseException) -> str:
    """What happened; for a defect, with its place, as there is no traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    place = "" if isinstance(error, SuiteError) or not frames else f" ({_place(frames[-1])})"
    return in_one_line(error) + place


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}, line {frame.lineno}"
