"""The readback stage: the fresh reader in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import msgspec

from necp_validate.clients.readback import ReadTask
from necp_validate.results import SuiteError
from necp_validate.scenario.events import OnEvent, ReadbackTick
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess

_TICK_S = 0.1


def read_back(task: ReadTask, run_dir: Path, on_event: OnEvent) -> None:
    """Read everything back as the task says; its result is ``task.out``.

    Raises:
        SuiteError: the end was not reached; with the reader's last words.
    """
    logs = run_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    task_file = run_dir / "readback-task.json"
    write_private(task_file, msgspec.json.encode(task))
    command = [sys.executable, "-m", "necp_validate.clients.readback", str(task_file)]
    process, told = None, ""
    try:
        # Records are freed by another thread than made them: with glibc's arena per thread, memory would creep up.
        env = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        process = ManagedProcess.spawn(command, log=logs / "readback.log", env=env)
        while process.alive():
            last = process.log_tail(1)
            if last != told and last.startswith('{"read"') and last.endswith("}"):
                on_event(ReadbackTick(**json.loads(last)))
                told = last
            time.sleep(_TICK_S)
        if process.exit_code != 0:
            raise SuiteError("the reader could not read everything back", detail=process.log_tail())
    finally:
        if process is not None:
            process.kill()
        task_file.unlink(missing_ok=True)
