"""The audit trail's keyring, made and changed as its owner would: by the event core's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.service import python_path

_MODULE = "necp_validate.reference.audit"
_TIMEOUT_S = 30.0


def make_keyring(path: Path) -> None:
    """Make a keyring that only this user may read, in a folder of its own.

    Raises:
        StackError: it could not be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _command("init", path)


def rotate_key(path: Path) -> int:
    """Add a key, which is the active one from now on; return its id.

    Raises:
        StackError: it could not be done.
    """
    return int(json.loads(_command("rotate", path))["active_key"])


def erase_person(path: Path, person: str) -> int:
    """Destroy the keys of a person; return how many there were.

    Raises:
        StackError: it could not be done, or there is no such person.
    """
    return int(json.loads(_command("erase", path, given=person))["destroyed_keys"])


def _command(name: str, path: Path, *, given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", _MODULE, name, str(path)],
        env={**os.environ, "PYTHONPATH": python_path()},
        input=given,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"the audit trail's keyring: {name} failed", detail=done.stderr[-2000:] or done.stdout[-2000:])
    return done.stdout
