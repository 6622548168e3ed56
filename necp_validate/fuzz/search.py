"""Searching with Hypothesis outside of a test: the smallest example of a failure, or how many held."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.errors import FlakyFailure, FlakyReplay, Unsatisfiable

from necp_validate.fuzz.cases import Case

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far to search.

    Args:
        max_examples: of each search.
        seed: same seed, same examples, as far as none is remembered from a run before.
        ends_s: when to stop, on the monotonic clock; never if None.
        database: folder in which Hypothesis remembers failing examples between runs; none if None.
    """

    max_examples: int = 100
    seed: int = 0
    ends_s: float | None = None
    database: Path | None = None

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.ends_s is not None and time.monotonic() >= self.ends_s


class Broken(Exception):
    """A property does not hold for an example.

    Args:
        message: what is wrong.
        case: the record, if one is to blame.
    """

    def __init__(self, message: str, case: Case | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.case = case


def search(name: str, strategy: st.SearchStrategy[T], holds: Callable[[T], None], limits: Limits) -> Broken | None:
    """Look for an example for which a property does not hold, and make it as small as it gets.

    Args:
        name: of the property; examples are remembered under it.
        strategy: of the examples.
        holds: raises :class:`Broken` where it does not.
        limits: how far to search.

    Returns:
        The smallest failure; None if none was found.
    """

    def check(example: T) -> None:
        if not limits.over:
            holds(example)

    check.__name__ = check.__qualname__ = "check_" + re.sub(r"\W", "_", name)
    database = DirectoryBasedExampleDatabase(limits.database) if limits.database else None
    configured = settings(
        max_examples=limits.max_examples,
        deadline=None,
        database=database,
        report_multiple_bugs=False,
        phases=[Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run = seeded(limits.seed)(configured(given(strategy)(check)))
    try:
        run()
    except Broken as broken:
        return broken
    except (FlakyFailure, FlakyReplay) as error:
        found = [one for one in getattr(error, "exceptions", ()) if isinstance(one, Broken)]
        return found[0] if found else Broken(f"not the same twice: {error}")
    except Unsatisfiable:
        return Broken("no example could be made")
    return None
