"""The readback stage: the fresh reader in a process of its own, or several that divide the partitions."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace

from necp_validate.clients.readback import ReadTask
from necp_validate.clients.reader import with_outcomes
from necp_validate.core import SuiteError
from necp_validate.ledger.shared_reading import merge_accounts
from necp_validate.record.codec import from_json
from necp_validate.record.readback import OutcomesRead, Readback
from necp_validate.record.writer import write_json
from necp_validate.scenario.events import OnEvent, ReadbackTick
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess

_TICK_S = 0.1
_TOLD = '{"read"'


class ProcessDied(SuiteError):
    """A process of the suite itself ended by a failure of its own, and not with a reason that it gave."""


def read_back(task: ReadTask, run_dir: Path, on_event: OnEvent) -> None:
    """Read everything back as the task says, the events by as many processes; its result is ``task.out``.

    Raises:
        SuiteError: the end was not reached; with the reader's last words.
        ProcessDied: a reader died.
    """
    (run_dir / "logs").mkdir(parents=True, exist_ok=True)
    if task.readers == 1:
        _run([task], run_dir, on_event)
        return
    with TemporaryDirectory(prefix="necp-readback-") as folder:
        parts = [
            replace(task, part="events", reader=number, out=str(Path(folder, f"events-{number}.json")))
            for number in range(task.readers)
        ]
        rest = replace(task, part="outcomes", out=str(Path(folder, "outcomes.json")))
        _run(parts, run_dir, on_event)
        # Only now: what became of the events may still have been written while they were read.
        _run([rest], run_dir, on_event)
        events = merge_accounts([from_json(Readback, Path(part.out).read_bytes()) for part in parts])
        outcomes = from_json(OutcomesRead, Path(rest.out).read_bytes())
        write_json(Path(task.out), with_outcomes(events, outcomes))


def _run(tasks: Sequence[ReadTask], run_dir: Path, on_event: OnEvent) -> None:
    """Read by one process for each task, all at the same time."""
    processes: list[ManagedProcess] = []
    files = [run_dir / f"readback-task-{number}.json" for number in range(len(tasks))]
    told = None
    try:
        # Records are freed by another thread than made them: with glibc's arena per thread, memory would creep up.
        env = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        for number, (task, file) in enumerate(zip(tasks, files, strict=True)):
            write_private(file, msgspec.json.encode(task))
            command = [sys.executable, "-m", "necp_validate.clients.readback", str(file)]
            log = run_dir / "logs" / ("readback.log" if len(tasks) == 1 else f"readback-{number}.log")
            processes.append(ManagedProcess.spawn(command, log=log, env=env))
        while any(process.alive() for process in processes):
            tick = _progress([process.log_tail(1) for process in processes])
            if tick is not None and tick != told:
                on_event(tick)
                told = tick
            time.sleep(_TICK_S)
        for process in processes:
            require_done(process, "the process that was to read everything back")
    finally:
        for process in processes:
            process.kill()
        for file in files:
            file.unlink(missing_ok=True)


def require_done(process: ManagedProcess, who: str) -> None:
    """Do nothing if a process that has ended has done its work.

    Args:
        process: the process.
        who: what it is called.

    Raises:
        SuiteError: it could not, for a reason that it gave.
        ProcessDied: it died of something else.
    """
    if process.exit_code == 0:
        return
    if process.exit_code == SuiteError.exit_code:
        raise SuiteError(f"{who} could not do its work", detail=last_words(process))
    raise ProcessDied(
        f"{who} ended with exit code {process.exit_code}",
        detail=last_words(process),
        hint=f"its whole output is in {process.log}",
    )


def last_words(process: ManagedProcess) -> str:
    """The last lines of a process's log, without those that tell how far it is."""
    return "\n".join(line for line in process.log_tail().splitlines() if not line.startswith(_TOLD))


def _progress(lines: Sequence[str]) -> ReadbackTick | None:
    """How far all readers together are, by the last line of each that has said something yet."""
    said = [json.loads(line) for line in lines if line.startswith(_TOLD) and line.endswith("}")]
    if not said:
        return None
    return ReadbackTick(**{name: sum(one[name] for one in said) for name in ("read", "total", "events_per_s")})
