"""Commands that only root may run: packet filters and mounts, of this host and of containers on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

_TIMEOUT_S = 60
_SYSTEM_PATHS = "/usr/sbin:/sbin"


def root_shell(script: str, within: Sequence[str] = ()) -> tuple[int, str]:
    """Run a shell script on this host.

    Args:
        script: what to run.
        within: a program that runs the shell somewhere else, with its arguments.

    Returns:
        Exit code, and what it wrote.
    """
    result = subprocess.run(
        [*within, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=_TIMEOUT_S,
        env={**os.environ, "PATH": _path()},
    )
    return result.returncode, result.stdout


def find(program: str) -> str:
    """Return where a program is; its name if it is nowhere."""
    return shutil.which(program, path=_path()) or program


def _path() -> str:
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SYSTEM_PATHS}"
