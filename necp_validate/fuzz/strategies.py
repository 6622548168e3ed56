"""Hypothesis strategies for cases: valid ones, ones at a bound, mutated ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from hypothesis import reject
from hypothesis import strategies as st

from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.mutations import Operator, operators_named
from necp_validate.fuzz.schema import Schema

Kind = Literal["valid", "boundary", "mutated", "any"]
_ATTEMPTS: Final = 4


def from_schema(
    schema: Schema | str | Path, *, kind: Kind = "any", operators: list[str] | None = None
) -> st.SearchStrategy[Case]:
    """Strategy for cases of one event type, or of all those that a file describes.

    Args:
        schema: a schema, or a file: JSON Schema, ``.avsc``, AsyncAPI; ``registry`` or ``registry:TYPE`` for our own.
        kind: ``valid``; ``boundary``: a bound exactly met or just exceeded; ``mutated`` by the operators; ``any``.
        operators: names; all of them by default.

    Raises:
        UsageError: the file cannot be read or described by, or there is no such operator.
    """
    from necp_validate.fuzz.load import load_schemas  # only those who name a file need what reads them

    chosen = [schema] if isinstance(schema, Schema) else load_schemas(str(schema))
    return st.one_of([_one(one, kind, operators_named(operators)) for one in chosen])


def _one(schema: Schema, kind: Kind, operators: Sequence[Operator]) -> st.SearchStrategy[Case]:
    if kind == "valid":
        return valid(schema)
    if kind == "boundary":
        return boundary(schema)
    if kind == "mutated":
        return mutated(schema, operators)
    return st.one_of(valid(schema), boundary(schema), mutated(schema, operators))


def valid(schema: Schema) -> st.SearchStrategy[Case]:
    """Cases that the oracle accepts."""
    return schema.records().map(schema.case).filter(lambda case: case.valid)


@st.composite
def boundary(draw: st.DrawFn, schema: Schema) -> Case:
    """Cases in which one bound is exactly met (valid) or just exceeded (not)."""
    case, rng = draw(valid(schema)), draw(st.randoms(use_true_random=False))
    if rng.random() < 0.5:
        met = schema.at_bounds(case, rng)
        return met[0] if met else case
    (negate,) = operators_named(["constraint-negated"])
    return negate.apply(schema, case, rng) or case


@st.composite
def mutated(draw: st.DrawFn, schema: Schema, operators: Sequence[Operator]) -> Case:
    """Cases that an operator has made of a valid one; the oracle may still accept some."""
    case, rng = draw(valid(schema)), draw(st.randoms(use_true_random=False))
    for _ in range(_ATTEMPTS):
        found = draw(st.sampled_from(operators)).apply(schema, case, rng)
        if found is not None:
            return found
    return reject()
