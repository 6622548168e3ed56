"""A process whose work rests on all of its greenlets: the first one that fails ends it.

A greenlet that dies is a line in a log, and its work stops without a trace: delivery reports pile up, or a server
sends no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from necp_validate.core.errors import SuiteError, in_one_line


class Linkable(Protocol):
    """A greenlet, as far as it is used here."""

    @property
    def exception(self) -> BaseException | None:
        """What ended it; None if nothing but its work did."""

    def link_exception(self, callback: Callable[[Any], object]) -> object:
        """Have it call this if an exception ends it."""


G = TypeVar("G", bound=Linkable)


class FirstFailure:
    """The first failure of a process.

    Args:
        stop: called when there is one, so that the process comes to look.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._error: BaseException | None = None

    def watch(self, greenlet: G) -> G:
        """Take it as a failure if an exception ends this greenlet, which is returned."""
        greenlet.link_exception(self._ended)
        return greenlet

    def _ended(self, greenlet: Linkable) -> None:
        if greenlet.exception is not None:
            self.note(greenlet.exception)

    def note(self, error: BaseException) -> None:
        """Take a failure; only the first counts."""
        self._error = self._error or error
        self._stop()

    def check(self, what: str) -> None:
        """Do nothing if there was none.

        Args:
            what: that cannot go on.

        Raises:
            SuiteError: there was one.
        """
        if isinstance(self._error, SuiteError):
            raise self._error
        if self._error is not None:
            raise SuiteError(f"{what} could not go on: {in_one_line(self._error)}") from self._error
