"""The limits of the catalogue, and what a scenario makes of them: stricter ones hold, looser ones prove nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from necp_validate.claims.catalogue import document
from necp_validate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One figure that claims or checks are judged by.

    Args:
        name: as a scenario's ``[thresholds]`` have it.
        about: what it limits.
        value: as claimed.
        unit: of the value; empty for a plain number.
        stricter: which way a scenario may move it; ``exact``: none.
        by_kind: the value in phases of these kinds, where it differs.
    """

    name: str
    about: str
    value: float
    unit: str
    stricter: Literal["lower", "higher", "exact"]
    by_kind: Mapping[str, float] = field(default_factory=dict)

    def claimed(self, kind: str | None = None) -> float:
        """The value in a kind of phase."""
        return self.by_kind.get(kind or "", self.value)

    def looser(self, given: float, kind: str | None = None) -> bool:
        """Whether a scenario's value lets more pass than the claim does."""
        claimed = self.claimed(kind)
        if self.stricter == "exact":
            return given != claimed
        return given > claimed if self.stricter == "lower" else given < claimed


LIMITS: Mapping[str, Limit] = {
    name: Limit(name=name, **row)  # TOML has floats and integers: both are numbers
    for name, row in document()["limits"].items()
}

P99_LIMITS: Mapping[str, str] = {
    name.removesuffix("_p99_ms"): name for name in ("combat_p99_ms", "economy_p99_ms", "social_p99_ms")
}
"""By domain, the name of the limit of its latency; nothing is claimed of the others."""

_REPLACED: ContextVar[Mapping[str, float]] = ContextVar("replaced limits", default={})  # noqa: B039  # never changed


@contextmanager
def replaced(values: Mapping[str, float]) -> Iterator[None]:
    """Judge by other figures than the catalogue's: for runs of a few seconds that prove the checks themselves."""
    token = _REPLACED.set(values)
    try:
        yield
    finally:
        _REPLACED.reset(token)


def limit(history: Record, name: str, kind: str | None = None) -> float:
    """The limit in force: the scenario's own where it has set one, else the catalogue's.

    Args:
        history: of the run.
        name: a key of :data:`LIMITS`.
        kind: of the phase that is judged.
    """
    given = (history.run.plan.thresholds or {}).get(name)
    return _REPLACED.get().get(name, LIMITS[name].claimed(kind)) if given is None else given


def loosened(history: Record, names: Iterable[str], kinds: Iterable[str | None] = (None,)) -> list[str]:
    """Which of some limits the scenario has made looser than claimed, in words; none is right.

    Args:
        history: of the run.
        names: keys of :data:`LIMITS`.
        kinds: of the phases that are judged.
    """
    given = history.run.plan.thresholds or {}
    found = []
    for name in dict.fromkeys(names):
        value, known = given.get(name), LIMITS[name]
        if value is None:
            continue
        claimed = next((known.claimed(kind) for kind in kinds if known.looser(value, kind)), None)
        if claimed is not None:
            unit = f" {known.unit}" if known.unit else ""
            found.append(f"judged by a looser limit than claimed: {name} is {value:g}{unit}, claimed {claimed:g}{unit}")
    return found
