"""Mutation operators: each makes of a valid record one that is most often invalid; the oracle says whether it is."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.mutations import avro, data, records, values
from necp_validate.fuzz.mutations.operator import Operator
from necp_validate.fuzz.registry_schema import registry_schema
from necp_validate.fuzz.schema import Schema

__all__ = ["OPERATORS", "Operator", "around_bounds", "mutate", "operators_named"]

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        operator.name: operator
        for operator in (
            Operator("required-field-removed", "a field that must be there is not", data.removed, avro.removed),
            Operator("type-changed", "a value of a type that is not allowed", data.retyped, avro.retyped),
            Operator("constraint-negated", "just outside of a bound, a pattern or an enumeration",
                     data.negated, avro.negated),
            Operator("unknown-field", "a field that the schema does not know", data.unknown, avro.unknown),
            Operator("duplicate-key", "the same name twice in one object", data.duplicated, None),
            Operator("wrong-version", "a version that nobody has", data.versioned, avro.versioned),
            Operator("huge-number", "a number beyond 64 bits, or beyond any double", data.huge, avro.huge),
            Operator("nan", "NaN or infinity in the place of a number", data.not_a_number, avro.not_a_number),
            Operator("deep-nesting", "hundreds or ten thousands of levels", data.nested, avro.nested),
            Operator("invalid-utf8", "bytes that are no text", data.not_text, avro.not_text),
            Operator("oversized", "far larger than any event, or larger than a record may be",
                     data.oversized, avro.oversized),
            Operator("empty", "no value, or a value of nothing", values.empty, values.empty),
            Operator("truncated", "the end is missing", values.truncated, values.truncated),
            Operator("bit-flipped", "one bit is another, as after damage on the way", values.flipped, values.flipped),
            Operator("compressed-bomb", "64 MiB packed into 64 KiB", values.bomb, values.bomb),
            Operator("wrong-key", "a key that the event does not have", records.wrong_key, records.wrong_key),
            Operator("header-abuse", "headers without end, without a name, or of somebody else",
                     records.headers, records.headers),
        )
    }
)  # fmt: skip


def mutate(case: Case, rng: random.Random, operator: str, *, schema: Schema | None = None) -> Case | None:
    """Apply one operator to a valid case.

    Args:
        case: valid.
        rng: source of chance; Hypothesis' ``randoms()`` gives one that shrinks.
        operator: name, see :data:`OPERATORS`.
        schema: what the case is held to; the registry's own by default.

    Returns:
        The mutated case with the oracle's word on it; None if the operator does not apply to this case.

    Raises:
        UsageError: there is no such operator, or no such type in the registry.
    """
    (found,) = operators_named([operator])
    return found.apply(schema or registry_schema(case.type_name, case.version), case, rng)


def around_bounds(schema: Schema, case: Case, rng: random.Random) -> list[Case]:
    """Every variant of a valid case in which one bound is exactly met, and every one in which it is just exceeded."""
    if isinstance(schema, AvroSchema):
        beyond = avro.negations(schema, case)
    else:
        beyond = data.negations(schema, case) if isinstance(schema, JsonSchema) else []
    return [*schema.at_bounds(case, rng), *(schema.case(record, operator="constraint-negated") for record in beyond)]


def operators_named(names: list[str] | None) -> tuple[Operator, ...]:
    """The operators of these names; all of them by default.

    Raises:
        UsageError: there is no such operator.
    """
    unknown = sorted(set(names or ()) - set(OPERATORS))
    if unknown:
        raise UsageError(f"there is no operator {unknown[0]!r}; known: {', '.join(OPERATORS)}")
    return tuple(OPERATORS.values()) if names is None else tuple(OPERATORS[name] for name in names)
