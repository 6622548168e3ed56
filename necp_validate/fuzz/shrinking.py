"""From an event that did not end as it must to the smallest one that shows the same."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample

from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.json_schema import generator
from necp_validate.fuzz.registry_schema import RegistrySchema, registry_schema
from necp_validate.fuzz.source import has_identity

Fails = Callable[[Sequence[Case]], bool]
"""Plays events to a system whose state of their keys is fresh; tells whether the last of them shows the flaw."""

_TRIES: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimal:
    """The smallest example that was found.

    Args:
        cases: the events that it takes, the flawed one last.
        replays: how often events were played to find it.
    """

    cases: tuple[Case, ...]
    replays: int


def shrink(case: Case, before: Sequence[Case], fails: Fails, *, budget_s: float = 30.0) -> Minimal | None:
    """Look for the smallest example.

    Args:
        case: the event.
        before: events that were handled before it, of the same record key, in their order.
        fails: plays events.
        budget_s: for how long; what was found until then is given.

    Returns:
        None if it does not happen again.
    """
    search = _Search(fails, time.monotonic() + budget_s)
    if search.fails([case]):
        return Minimal(cases=(search.smallest([], case),), replays=search.replays)
    if not before or not search.fails([*before, case]):
        return None
    needed = search.needed(list(before), case)
    return Minimal(cases=(*needed, search.smallest(needed, case)), replays=search.replays)


class _Search:
    def __init__(self, fails: Fails, deadline: float) -> None:
        self._fails = fails
        self._deadline = deadline
        self.replays = 0

    def fails(self, cases: Sequence[Case]) -> bool:
        """Play events, unless the time is over."""
        if time.monotonic() > self._deadline:
            return False
        self.replays += 1
        return self._fails(cases)

    def needed(self, before: list[Case], case: Case) -> list[Case]:
        """Leave out what is not needed, in halves, quarters and so on (delta debugging)."""
        size = max(len(before) // 2, 1)
        while before:
            at = 0
            while at < len(before):
                fewer = before[:at] + before[at + size :]
                if self.fails([*fewer, case]):
                    before = fewer
                else:
                    at += size
            if size == 1:
                break
            size = max(size // 2, 1)
        return before

    def smallest(self, before: Sequence[Case], case: Case) -> Case:
        """Make one field after the other as simple as it can be."""
        document = _document(case)
        if document is None:
            return case
        schema = registry_schema(case.type_name, case.version)
        for name in list(document["data"]):
            part = schema.schema["properties"]["data"]
            for simpler in self._simpler(schema, part, name, before, case, document):
                candidate = _with(schema, case, document, name, simpler)
                if candidate is not None and self.fails([*before, candidate]):
                    case, document = candidate, {**document, "data": {**document["data"], name: simpler}}
                    break
        return case

    def _simpler(
        self,
        schema: RegistrySchema,
        part: dict[str, Any],
        name: str,
        before: Sequence[Case],
        case: Case,
        document: dict[str, Any],
    ) -> Iterator[Any]:
        """Values for a field: the simplest of all, then the simplest that Hypothesis finds to fail."""
        known = _resolved(schema, part).get("properties", {}).get(name)
        if known is None:
            return
        strategy = generator(schema.name, {**known, "$defs": schema.schema.get("$defs", {})})
        quick = settings(
            max_examples=_TRIES,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        yield find(strategy, lambda _: True, settings=quick, random=random.Random(0))

        def still(value: Any) -> bool:
            candidate = _with(schema, case, document, name, value)
            return candidate is not None and self.fails([*before, candidate])

        try:
            yield find(strategy, still, settings=quick, random=random.Random(0))
        except NoSuchExample:
            return


def _resolved(schema: RegistrySchema, part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    found: dict[str, Any] = schema.schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else part
    return found


def _document(case: Case) -> dict[str, Any] | None:
    """The event as it can be taken apart; None if it cannot."""
    if not has_identity(case.value):
        return None
    try:
        document: dict[str, Any] = json.loads(case.value or b"")
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("data"), dict) else None


def _with(schema: RegistrySchema, case: Case, document: dict[str, Any], name: str, simpler: Any) -> Case | None:
    """The event with another value of a field, if it is as valid as before, or as invalid."""
    changed = {**document, "data": {**document["data"], name: simpler}}
    try:
        value = schema.encode(changed)
    except ValueError:  # half a surrogate in another field, which only escapes can write
        return None
    found = schema.case((case.key, value, case.headers), operator=case.operator)
    return replace(found, type_name=case.type_name) if found.valid == case.valid else None
