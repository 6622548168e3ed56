"""Reading a file of the user's own claims: every error names the file, the line, the key, and what is valid there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.metrics.measures import MEASURES, Measure, Scope
from necp_validate.claims.metrics.units import BadQuantity
from necp_validate.claims.model import COMPARISONS, Claim, Condition, Repeats
from necp_validate.core.errors import UsageError
from necp_validate.core.toml_errors import (
    Key,
    Source,
    invalid_choice,
    invalid_value,
    refuse_uncountable,
    syntax_error,
    unknown_key,
)
from necp_validate.record import Plan

SOURCE = "claims.toml"
"""Name of the file in a run directory."""

AREA = "Your own claims"

KEYS = (
    "id", "description", "metric", "phase", "domain", "topic", "comparison", "threshold",
    "min_samples", "window_s", "repeats",
)  # fmt: skip
_NEEDED = ("id", "metric", "comparison", "threshold")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REPEATS = re.compile(r"\s*(\d+)\s+of\s+(\d+)\s*")
SHORTEST_WINDOW_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a claim of a run may be about; empty where that is not known.

    Args:
        phases: names and kinds of the phases.
        domains: domains, or topics of the user's own, that are loaded.
    """

    phases: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


ANYWHERE = Places()


def load_claims(path: Path, places: Places = ANYWHERE) -> tuple[Claim, ...]:
    """Read a claims file and check all of it.

    Args:
        path: the file.
        places: of the run that it is for.

    Raises:
        UsageError: no such file, or an error in it.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "a claims file is TOML with one [[claims]] table for each claim; see docs/claims.md"
        raise UsageError(f"the claims file {path} cannot be read: {error}", hint=hint) from error
    return parse_claims(Source(name=str(path), text=text), places)


def places_in(plan: Plan) -> Places:
    """Phases and domains of a scenario."""
    phases = plan.phases or ()
    names = [one.name for one in phases] + [one.kind for one in phases if one.kind is not None]
    return Places(phases=tuple(dict.fromkeys(names)), domains=(*(plan.traffic or ()), *(plan.topics or ())))


def stored_claims(run_dir: Path) -> tuple[Claim, ...]:
    """The claims that a run is judged by: those that lie in its directory, or none.

    Raises:
        UsageError: the file has been damaged.
    """
    path = run_dir / SOURCE
    return load_claims(path) if path.exists() else ()


def store_claims(run_dir: Path, path: Path, places: Places = ANYWHERE) -> None:
    """Put a claims file beside a run's history, so that it can be judged by it again.

    Args:
        run_dir: the run directory.
        path: the file.
        places: of the run.

    Raises:
        UsageError: the file has a mistake; nothing was changed.
    """
    load_claims(path, places)
    whole, kept = path.read_bytes(), run_dir / SOURCE
    partial = kept.with_suffix(".tmp")
    partial.write_bytes(whole)
    partial.replace(kept)


def parse_claims(source: Source, places: Places = ANYWHERE) -> tuple[Claim, ...]:
    """Check the text of a claims file; ``places`` as for `load_claims`.

    Raises:
        UsageError: an error in it.
    """
    try:
        data = tomllib.loads(source.text)
    except ValueError as error:  # of a number with more digits than Python reads, too
        raise syntax_error(source, str(error)) from error
    for key in data:
        if key != "claims":
            raise unknown_key(source, (key,), ("claims",))
    given = data.get("claims", [])
    if not isinstance(given, list) or not given:
        raise invalid_value(source, ("claims",), "there is no claim", "write one [[claims]] table for each claim")
    refuse_uncountable(given, source, ("claims",))
    claims: list[Claim] = []
    for index, table in enumerate(given):
        claim = _Reader(source, ("claims", index), table, places).claim()
        if claim.id in {one.id for one in claims}:
            raise invalid_value(source, ("claims", index, "id"), f'two claims are called "{claim.id}"')
        claims.append(claim)
    return tuple(claims)


class _Reader:
    """One ``[[claims]]`` table."""

    def __init__(self, source: Source, path: tuple[Key, ...], table: object, places: Places) -> None:
        self.source, self.path, self.places = source, path, places
        if not isinstance(table, Mapping):
            raise invalid_value(source, path, "must be a table", f"valid keys: {', '.join(KEYS)}")
        self.table: Mapping[str, Any] = table
        for key in table:
            if key not in KEYS:
                raise unknown_key(source, (*path, key), KEYS)
        for key in _NEEDED:
            if key not in table:
                raise invalid_value(source, path, f"{key} is missing", f"every claim has {', '.join(_NEEDED)}")

    def wrong(self, key: str, problem: str, hint: str | None = None) -> UsageError:
        """An error in the value of a key."""
        return invalid_value(self.source, (*self.path, key), problem, hint)

    def text(self, key: str) -> str:
        """A value that must be a text."""
        value = self.table[key]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, f"must be a text; it is {value!r}")
        return value

    def choice(self, key: str, valid: tuple[str, ...]) -> str:
        """A value of a closed list."""
        value = self.text(key)
        if value not in valid:
            raise invalid_choice(self.source, (*self.path, key), value, valid)
        return value

    def claim(self) -> Claim:
        """The claim, checked."""
        measure = MEASURES[self.choice("metric", tuple(MEASURES))]
        id_ = self._id()
        phase = self._phase(measure)
        return Claim(
            id=id_,
            title=self.text("description") if "description" in self.table else measure.about,
            area=AREA,
            conditions=(
                Condition(
                    metric=measure.name,
                    comparison=self.choice("comparison", tuple(COMPARISONS)),
                    threshold=self._threshold(measure),
                    shown=str(self.table["threshold"]),
                    phases=() if phase is None else (phase,),
                    domain=self._domain(measure),
                    min_samples=self._min_samples(),
                    window_s=self._window(measure),
                ),
            ),
            repeats=self._repeats(),
            source=SOURCE,
        )

    def _id(self) -> str:
        id_ = self.text("id")
        if not _ID.fullmatch(id_):
            raise self.wrong("id", f'"{id_}": letters, digits, "-" and "_" only, a letter first')
        if id_ in CLAIMS:
            raise self.wrong("id", f'"{id_}" is a claim that comes with the suite', "give yours another id")
        return id_

    def _threshold(self, measure: Measure) -> float:
        value = self.table["threshold"]
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.wrong("threshold", f"must be a number with a unit; it is {value!r}")
        try:
            return measure.dimension.read(value)
        except BadQuantity as error:
            raise self.wrong("threshold", str(error), f"{measure.name}: {error.hint}") from error

    def _phase(self, measure: Measure) -> str | None:
        if "phase" not in self.table:
            return None
        if measure.scope is Scope.RUN:
            raise self.wrong("phase", f"{measure.name} is a figure of the whole run", "leave phase out")
        return self.choice("phase", self.places.phases) if self.places.phases else self.text("phase")

    def _domain(self, measure: Measure) -> str | None:
        keys = [key for key in ("domain", "topic") if key in self.table]
        if not keys:
            return None
        if not measure.by_domain:
            raise self.wrong(keys[0], f"{measure.name} is not measured by {keys[0]}", f"leave {keys[0]} out")
        if len(keys) > 1:
            raise self.wrong("topic", "a claim is about a domain of the game or about a topic of your own, not both")
        return self.choice(keys[0], self.places.domains) if self.places.domains else self.text(keys[0])

    def _min_samples(self) -> int:
        value = self.table.get("min_samples", 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong("min_samples", f"must be a whole number from 1 on; it is {value!r}")
        return value

    def _window(self, measure: Measure) -> float | None:
        if "window_s" not in self.table:
            return None
        value = self.table["window_s"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < SHORTEST_WINDOW_S:
            raise self.wrong("window_s", f"must be a number of seconds from {SHORTEST_WINDOW_S:g} on; it is {value!r}")
        if not measure.windows:
            able = ", ".join(name for name, one in MEASURES.items() if one.windows)
            raise self.wrong("window_s", f"{measure.name} cannot be judged over windows", f"these can: {able}")
        return float(value)

    def _repeats(self) -> Repeats | None:
        if "repeats" not in self.table:
            return None
        found = _REPEATS.fullmatch(self.text("repeats"))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise self.wrong("repeats", f'"{self.table["repeats"]}" is not of the form "N of M"', 'e.g. "2 of 3"')
        return Repeats(hold=int(found[1]), of=int(found[2]))
