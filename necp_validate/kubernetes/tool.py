"""Running a program to its end: tied to this process, and told to end if this is interrupted meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from necp_validate.core import SuiteError
from necp_validate.stack.process import ManagedProcess

_END_S = 15.0


def run(command: Sequence[str], *, log: Path, timeout_s: float, env: Mapping[str, str] | None = None) -> int:
    """Run a program, its output appended to a file; return its exit code.

    Args:
        command: program (on the PATH, or with its folder) and arguments.
        log: file for its output.
        timeout_s: the longest it may take.
        env: its whole environment; that of this process if None.

    Raises:
        SuiteError: there is no such program, or it took longer.
    """
    program = shutil.which(command[0])
    if program is None:
        raise SuiteError(f"there is no program {command[0]}")
    process = ManagedProcess.spawn([program, *command[1:]], log=log, env=env)
    try:
        ended = process.wait(timeout_s)
    except BaseException:
        process.terminate(_END_S)
        raise
    if not ended:
        process.terminate(_END_S)
        raise SuiteError(f"{Path(command[0]).name} did not end in {timeout_s:g} s", detail=process.log_tail(10))
    return process.exit_code if process.exit_code is not None else -1
