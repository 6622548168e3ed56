"""The likely intention behind a name that is not valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(given: object, valid: Iterable[str]) -> str | None:
    """The one valid name closest to what was given, if any is close."""
    close = difflib.get_close_matches(str(given), list(valid), n=1, cutoff=0.6)
    return close[0] if close else None
