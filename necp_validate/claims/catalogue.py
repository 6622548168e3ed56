"""The catalogue: every claim under validation, by its stable id, as ``catalogue.toml`` has it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from necp_validate.claims.model import Claim, Condition


@cache
def document() -> dict[str, Any]:
    """The file as it is."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _claim(row: Mapping[str, Any]) -> Claim:
    known = {**row, "faults": tuple(row.get("faults", ()))}
    for name, requires in (("conditions", False), ("requires", True)):
        known[name] = tuple(
            Condition(**{**one, "phases": tuple(one.get("phases", ()))}, requires=requires) for one in row.get(name, ())
        )
    return Claim(**known)


CLAIMS: Mapping[str, Claim] = {row["id"]: _claim(row) for row in document()["claims"]}


def claim(id_: str) -> Claim:
    """Look a claim up by its id.

    Raises:
        KeyError: no such claim; the message lists the ids.
    """
    try:
        return CLAIMS[id_]
    except KeyError:
        raise KeyError(f"unknown claim {id_!r}; known: {', '.join(CLAIMS)}") from None


def claims_of_kind(kind: str) -> tuple[str, ...]:
    """Ids of the claims that a kind of fault is evidence for, where its record names none."""
    return tuple(one.id for one in CLAIMS.values() if kind in one.faults)
