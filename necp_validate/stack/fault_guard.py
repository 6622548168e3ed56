"""Undoes a stack's faults when the process that injected them is killed.

Runs as a process of its own (``python -m necp_validate.stack.fault_guard <backend>``). Its standard input, which only
the suite's process holds open, brings the stack's state, one JSON document a line; when it ends, the last one counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from necp_validate.stack.service import python_path


class FaultGuard:
    """The suite's end of the guard.

    Args:
        backend: of the stack, e.g. ``local``.
    """

    def __init__(self, backend: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "necp_validate.stack.fault_guard", backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": python_path()},
            start_new_session=True,
        )

    def note(self, state: Mapping[str, Any]) -> None:
        """Say how the stack is found, before a fault is made."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(state).encode() + b"\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """End it: there is nothing left to undo."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()


def main(backend: str) -> None:
    """Wait for the suite's end, then undo what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    last = b""
    for line in sys.stdin.buffer:
        if line.endswith(b"\n"):
            last = line
    if last:
        from necp_validate.stack.state import restore

        restore(backend, json.loads(last)).undo_faults()


if __name__ == "__main__":
    main(sys.argv[1])
