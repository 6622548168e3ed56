"""Mutations of what is around the value: key and headers."""

from __future__ import annotations

import random
from typing import Any, Final

from necp_validate.fuzz.cases import Case, Headers
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.schema import Record, Schema

_FORGED: Final[Headers] = (
    ("reason", b"none"),
    ("source-topic", b"../../etc"),
    ("source-partition", b"-1"),
    ("source-offset", b"NaN"),
    ("kafka_dlt-original-topic", b""),
    ("__TypeId__", b"java.lang.Runtime"),
)


def wrong_key(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Change the key, where the schema says what it must be."""
    if not isinstance(schema, JsonSchema) or not schema.has_key:
        return None
    key = case.key or b""
    others = [None, b"", key + b"x", key[:-1], b"\xff\xfe", bytes(70_000), key.upper() + b"\x00"]
    return rng.choice([other for other in others if other != case.key]), case.value, case.headers


def headers(schema: Schema, case: Case, rng: random.Random) -> Record | None:
    """Add headers that nobody should rely on; where the schema declares some, spoil one of them."""
    declared = _spoilt(schema, rng)
    abuse: tuple[Headers, ...] = (
        _FORGED,
        tuple((f"h-{number}", b"x") for number in range(1_000)),
        (("", b"no name"),),
        (("\U0001f480" * 20, b"\xff\xfe\x00"),),
        (("content-type", b"application/json"), ("content-type", b"application/x-java-serialized-object")),
        (("h" * 20_000, bytes(50_000)),),
    )
    if declared and rng.random() < 0.7:
        return case.key, case.value, (*case.headers, declared)
    return case.key, case.value, (*case.headers, *rng.choice(abuse))


def _spoilt(schema: Schema, rng: random.Random) -> tuple[str, bytes] | None:
    declared: dict[str, Any] = (
        dict(schema.header_schema.get("properties", {})) if isinstance(schema, JsonSchema) else {}
    )
    if not declared:
        return None
    return rng.choice(sorted(declared)), rng.choice((b"", b"\xff", b"-1", b"null", b"1e400", b"9" * 30, b"{}", b"[1"))
