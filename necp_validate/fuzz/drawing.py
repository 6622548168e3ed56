"""Cases drawn ahead of a run: by chance from a seed, and every bound of a schema whatever chance has drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from necp_validate.core import SuiteError
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.mutations import around_bounds
from necp_validate.fuzz.schema import Schema
from necp_validate.fuzz.search import Limits, search

_LOOKED_AT: Final = 10


def draw_cases(strategy: st.SearchStrategy[Case], limits: Limits) -> list[Case]:
    """Draw cases, each once.

    Raises:
        SuiteError: none could be made.
    """
    drawn: dict[str, Case] = {}

    def take(case: Case) -> None:
        drawn.setdefault(case.id, case)

    broken = search("cases", strategy, take, limits)
    if broken is not None:
        raise SuiteError(f"no cases could be made: {broken.message}")
    return list(drawn.values())[: limits.max_examples]


def every_bound(schema: Schema, drawn: Sequence[Case], limits: Limits) -> list[Case]:
    """Every bound of one event, met and just exceeded; at most a third of ``limits.max_examples``.

    Args:
        schema: of the event.
        drawn: valid cases to vary; the one with the most fields is, since what is not there has no bounds.
        limits: how far to search.
    """
    plain = [case for case in drawn if case.valid and not case.operator][:_LOOKED_AT]
    rng = random.Random(limits.seed)
    return max((around_bounds(schema, case, rng) for case in plain), key=len, default=[])[: limits.max_examples // 3]


def with_every_bound(schema: Schema, drawn: Sequence[Case], limits: Limits) -> list[Case]:
    """Put every bound of one event in the place of up to a third of what chance has drawn."""
    bounds = every_bound(schema, drawn, limits)
    return [*bounds, *drawn[: max(limits.max_examples - len(bounds), 1)]]
