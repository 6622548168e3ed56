"""Values for a topic, drawn from its schema before the load begins: Hypothesis is too slow to be asked meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from necp_validate.core import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.fuzz.drawing import draw_cases
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.schema import Schema
from necp_validate.fuzz.search import Limits
from necp_validate.fuzz.strategies import from_schema
from necp_validate.stack.external_topics import FIELD, RegistryAddress, TopicTarget

SIZE: Final = 200
"""Distinct values of one topic; they are sent over and over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a topic is loaded with.

    Args:
        values: distinct and valid.
        keys: key of each value where it is one of its fields; else empty.
        source: where they come from, in words.
    """

    values: list[bytes]
    keys: list[bytes]
    source: str


def make_pool(topic: TopicTarget, registry: RegistryAddress | None, *, seed: int, size: int = SIZE) -> Pool:
    """Draw the values of a topic.

    Args:
        topic: with its schema, if it has one.
        registry: where a subject's schema is.
        seed: same seed, same values.
        size: at most so many.

    Raises:
        UsageError: the schema cannot be had, describes another event, or has no such field.
    """
    schema, source = _schema_of(topic, registry)
    if schema is None:
        rng = random.Random(f"{seed}/{topic.name}")
        values = [rng.randbytes(topic.value_bytes) for _ in range(size)]
        return Pool(values=values, keys=[], source=f"{topic.value_bytes} random bytes: the topic has no schema")
    drawn = draw_cases(from_schema(schema, kind="valid"), Limits(max_examples=size, seed=seed))
    # Another key, or none, may have been drawn with the same value.
    values = list(dict.fromkeys(case.value for case in drawn if case.valid and case.value is not None))
    if not values:
        raise UsageError(f"topic {topic.name}: no value that is valid against {source} could be made")
    keys = [_key(topic, schema.decode(value)) for value in values] if topic.key.startswith(FIELD) else []
    return Pool(values=values, keys=keys, source=f"{len(values)} values of {schema.name}, {source}")


def _schema_of(topic: TopicTarget, registry: RegistryAddress | None) -> tuple[Schema | None, str]:
    if topic.subject is not None and registry is not None:
        from necp_validate.external.registry import load_subject

        return load_subject(registry, topic.subject), f"subject {topic.subject} of {registry.url}"
    if topic.schema is None:
        return None, ""
    return _of_file(topic, topic.schema), f"file {topic.schema.name}"


def _of_file(topic: TopicTarget, file: Path) -> Schema:
    found = load_schemas(str(file), schema_id=topic.schema_id)
    names = [schema.name for schema in found]
    if topic.event is not None:
        for schema in found:
            if schema.name == topic.event:
                return schema
        guess = did_you_mean(topic.event, names)
        hint = f"did you mean {guess}?" if guess else f"it describes {', '.join(names)}"
        raise UsageError(f"topic {topic.name}: {file} describes no event {topic.event}", hint=hint)
    of_topic = [schema for schema in found if schema.topic == topic.name] or found
    if len(of_topic) > 1:
        raise UsageError(
            f"topic {topic.name}: {file} describes several events: {', '.join(names)}",
            hint=f'name one in the [[topics]] table: event = "{names[0]}"',
        )
    return of_topic[0]


def _key(topic: TopicTarget, document: Any) -> bytes:
    """A field of the value, as text; a way into nested ones is written with dots."""
    path: Sequence[str] = topic.key.removeprefix(FIELD).split(".")
    here = document
    for name in path:
        if not isinstance(here, Mapping) or name not in here:
            fields = ", ".join(str(one) for one in here) if isinstance(here, Mapping) else "none"
            raise UsageError(
                f"topic {topic.name}: key = {topic.key!r}: some values have no field {name!r}; fields: {fields}",
                hint="name a field that the schema requires",
            )
        here = here[name]
    return (here if isinstance(here, str) else json.dumps(here, default=str)).encode()
