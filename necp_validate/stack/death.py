"""What to tell about a broker that died: its last words, and what to do."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.process import tail

_SHOWN_LINES = 15
_SEARCHED_LINES = 500
_HINTS = (
    (r"No space left on device", "there is no space left on the disk: free some, or choose another folder"),
    (r"OutOfMemoryError|Cannot allocate memory|insufficient memory", "there is not enough memory for the heap"),
    (r"Address already in use|BindException", "a port is in use: choose another base port, or none"),
)


def broker_died(broker: int, exit_code: int | None, log: Path) -> StackError:
    """Return the error for a broker that died by itself.

    Args:
        broker: its id.
        exit_code: as Python's ``subprocess`` counts: negative for a signal; None if it is not known.
        log: its log file.
    """
    code = f" (exit code {exit_code})" if exit_code is not None else ""
    return StackError(
        f"broker {broker} died{code}",
        detail=f"last lines of {log.name}:\n{last_words(log)}",
        hint=death_hint(tail(log, _SEARCHED_LINES), exit_code),
    )


def last_words(log: Path, lines: int = _SHOWN_LINES) -> str:
    """Return the last lines of a broker's log, without the frames of stack traces, which hide what was said."""
    kept = [line for line in tail(log, _SEARCHED_LINES).splitlines() if not re.match(r"\s+(at |\.\.\. \d+ more)", line)]
    return "\n".join(kept[-lines:])


def death_hint(log: str, exit_code: int | None = None) -> str:
    """Say what to do about a broker that died, from its log and its exit code."""
    for pattern, hint in _HINTS:
        if re.search(pattern, log):
            return hint
    if exit_code == -signal.SIGKILL:
        return "something killed it: often the kernel, for want of memory (see its messages)"
    return "the reason is in its log: often no space, no memory or a port in use"
