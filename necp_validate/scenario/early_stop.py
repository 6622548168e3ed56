"""Stopping a run whose verdict can only be a failure any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from necp_validate.claims.early_stop import lost_by_now
from necp_validate.claims.model import Claim
from necp_validate.core import SuiteError, UsageError
from necp_validate.record import read_record

_EVERY_S = 5.0


class StoppedEarly(SuiteError):
    """A claim cannot be met any more, so the run was stopped. It has a verdict: this is no failure of the suite."""


def require_claims(claims: Sequence[Claim]) -> None:
    """Do nothing if there is a claim that can stop a run.

    Raises:
        UsageError: there is none.
    """
    if not claims:
        raise UsageError("only claims of your own can stop a run early, and it has none", hint="add --claims FILE")


class EarlyStop:
    """Looks at what a run has written so far, every few seconds.

    Args:
        run_dir: of the run.
        claims: that may stop it.
        clock: seconds of a clock that only goes forward.
    """

    def __init__(self, run_dir: Path, claims: Sequence[Claim], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_dir = run_dir
        self._claims = claims
        self._clock = clock
        self._next_s = clock() + _EVERY_S

    def look(self) -> None:
        """Judge the claims by what there is, if it is time to.

        Raises:
            StoppedEarly: one is lost.
        """
        if self._clock() < self._next_s:
            return
        lost = lost_by_now(read_record(self._run_dir), self._claims, time.time())
        self._next_s = self._clock() + _EVERY_S
        if lost:
            raise StoppedEarly(f"it cannot be met any more: {lost[0]}")
