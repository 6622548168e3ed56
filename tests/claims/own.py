"""A claim of the user's own."""

from __future__ import annotations

from typing import Any

from necp_validate.claims.files import SOURCE
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.model import Claim, Condition, Repeats


def claim(
    metric: str,
    comparison: str,
    threshold: float,
    *,
    phase: str | None = None,
    repeats: Repeats | None = None,
    **changes: Any,
) -> Claim:
    shown = MEASURES[metric].dimension.show(threshold)
    one = Condition(
        metric=metric,
        comparison=comparison,
        threshold=threshold,
        shown=shown,
        phases=(phase,) if phase else (),
        **changes,
    )
    return Claim(id="mine", title="d", area="a", conditions=(one,), repeats=repeats, source=SOURCE)
