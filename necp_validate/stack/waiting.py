"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from necp_validate.core import StackError


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout_s: float,
    message: str,
    backoff_s: float = 0.1,
    retry_on: tuple[type[Exception], ...] = (),
    hint: str | None = None,
) -> float:
    """Call a condition until it holds.

    Args:
        condition: returns True when there is nothing left to wait for.
        timeout_s: give up after this long.
        message: what did not happen, for the error: ``broker 2 did not listen``.
        backoff_s: pause between two calls.
        retry_on: exceptions that mean "not yet"; any other one comes through at once.
        hint: what the reader can do about it.

    Returns:
        The seconds it took.

    Raises:
        StackError: the time is over; the last exception of the condition is chained.
    """
    started = time.monotonic()
    last: Exception | None = None
    while True:
        try:
            if condition():
                return time.monotonic() - started
            last = None
        except retry_on as error:
            last = error
        if time.monotonic() - started >= timeout_s:
            detail = f"last error: {last}" if last else None
            raise StackError(f"{message} in {timeout_s:g} s", hint=hint, detail=detail) from last
        time.sleep(backoff_s)
