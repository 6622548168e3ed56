"""What a mutation operator is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.schema import Record, Schema

# Each is given the schemas of its own form only, which the type system cannot follow.
Mutation = Callable[[Any, Case, random.Random], Record | None]
"""Takes schema, valid case and source of chance; gives the mutated record, None if it does not apply."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A named way to spoil a record.

    Args:
        name: as users see it.
        summary: what it does, in one clause.
        on_json: for values that are JSON; None if it has no meaning there.
        on_avro: for values that are Avro's binary encoding; None if it has no meaning there.
    """

    name: str
    summary: str
    on_json: Mutation | None
    on_avro: Mutation | None

    def apply(self, schema: Schema, case: Case, rng: random.Random) -> Case | None:
        """Mutate a valid case; None if the operator does not apply to it."""
        mutation = self.on_json if schema.form == "json" else self.on_avro
        record = mutation(schema, case, rng) if mutation else None
        return None if record is None else schema.case(record, operator=self.name)
