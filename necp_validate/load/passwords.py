"""Passwords of the load's producers, which may be changed while they send."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from necp_validate.record import parts
from necp_validate.record.drills import PasswordTaken

LOOK_EVERY_S = 0.1
"""How often a file is looked at: so long may new connections be refused after a password has been changed."""


class PasswordFile:
    """The file of one principal's password.

    Args:
        path: the file.
        principal: whose password it is.
        known: the password that is in use.
        use: makes use of another one.
    """

    def __init__(self, path: Path, principal: str, known: str, use: Callable[[str], None]) -> None:
        self._path = path
        self._principal = principal
        self._known = known
        self._use = use
        self._next = 0.0

    def look(self, run_dir: Path, worker: str) -> bool:
        """Look at it if it is time to; a new password is in use when this returns, and that is in the history."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK_EVERY_S
        try:
            found = self._path.read_text(encoding="utf-8").strip()
        except OSError:
            return False  # it is there again, or the run is over
        if not found or found == self._known:
            return False
        self._use(found)
        self._known = found
        taken = PasswordTaken(principal=self._principal, taken_us=time.time_ns() // 1000)
        parts.PASSWORDS_TAKEN.append(run_dir, taken, worker=worker)
        return True
