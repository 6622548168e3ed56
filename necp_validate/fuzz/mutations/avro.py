"""Mutations of a value in Avro's binary encoding: the bytes of one part are replaced."""

# ruff: noqa: ARG001 - every mutation is called alike

from __future__ import annotations

import random
from typing import Final

from necp_validate.fuzz.avro_schema import AvroSchema, spliced
from necp_validate.fuzz.avro_spans import Span, write_long
from necp_validate.fuzz.avro_strategies import RANGES
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.schema import MAX_RECORD_BYTES, Record

_NUMBERS: Final = ("int", "long")
_OTHERS: Final = (b"", b"\x00", b"\x02", b"\x0asevens", b"\x01\x02\x03\x04", bytes(8), b"\x7f", b"\xff\xff\xff\xff\x0f")
_NANS: Final = {
    "float": (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\x01\x00\xa0\xff"),
    "double": (bytes(6) + b"\xf8\x7f", bytes(6) + b"\xf0\x7f", b"\x01" + bytes(5) + b"\xf4\xff"),
}
_NOT_TEXT: Final = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")
_DEPTHS: Final = (20, 60, 250, 500)


def removed(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Leave the bytes of one field out."""
    return _at(schema, case, rng, [(span, b"") for span in _parts(schema, case) if span.path and span.end > span.start])


def retyped(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write a value of another type into a field."""
    return _at(schema, case, rng, [(span, rng.choice(_OTHERS)) for span in _parts(schema, case) if span.path])


def negated(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write what the type can hold and the schema does not allow: an unknown symbol or branch, a bad boolean."""
    found = negations(schema, case)
    return rng.choice(found) if found else None


def negations(schema: AvroSchema, case: Case) -> list[Record]:
    """Every way to write what a type can hold and the schema does not allow."""
    body = schema.body(case.value or b"")
    return [
        (case.key, schema.header + spliced(body, span, text), case.headers)
        for span in schema.spans(body)
        for text in _outside(span, body)
    ]


def unknown(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Append one more field."""
    return case.key, (case.value or b"") + rng.choice((b"\x00", b"\x02", b"\x08more", bytes(100))), case.headers


def versioned(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Name another schema in the header; without a header there is no version."""
    if not schema.header:
        return None
    other = rng.choice((b"\x01" + schema.header[1:], schema.header[:1] + b"\xff\xff\xff\xff", b"\x00", b""))
    return case.key, other + schema.body(case.value or b""), case.headers


def huge(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write a number of more bits than its type has."""
    numbers = (
        write_long(2**31),
        write_long(-(2**31) - 1),
        write_long(2**64),
        b"\xff" * 10 + b"\x01",
        b"\x80" * 40 + b"\0",
    )
    found = [(span, rng.choice(numbers)) for span in _parts(schema, case) if span.type in _NUMBERS]
    return _at(schema, case, rng, found)


def not_a_number(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write NaN or infinity, which Avro allows and few consumers expect."""
    found = [(span, rng.choice(_NANS[span.type])) for span in _parts(schema, case) if span.type in _NANS]
    return _at(schema, case, rng, found)


def nested(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Nest a type that contains itself very often; any other cannot be nested."""
    body = schema.body(case.value or b"")
    parts = schema.spans(body)
    pairs = [
        (outer, inner)
        for outer in parts
        for inner in parts
        if outer.type == "record"
        and inner.schema is outer.schema
        and outer.start <= inner.start
        and inner.end <= outer.end
        and len(inner.path) > len(outer.path)
    ]
    if not pairs:
        return None
    outer, inner = rng.choice(pairs)
    depth = rng.choice(_DEPTHS)
    before, after = body[outer.start : inner.start], body[inner.end : outer.end]
    text = before * depth + body[inner.start : inner.end] + after * depth
    return case.key, schema.header + spliced(body, outer, text), case.headers


def not_text(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write bytes that are not UTF-8 into a string."""
    damage = b"a" + rng.choice(_NOT_TEXT)
    text = write_long(len(damage)) + damage
    return _at(schema, case, rng, [(span, text) for span in _parts(schema, case) if span.type == "string"])


def oversized(schema: AvroSchema, case: Case, rng: random.Random) -> Record | None:
    """Write an enormous string, or announce one."""
    length = MAX_RECORD_BYTES + rng.randrange(1, 1000) if rng.random() < 0.2 else rng.choice((60_000, 200_000))
    announced = rng.choice((2**31 - 1, 2**40, 2**62))
    text = write_long(announced) + b"x" if rng.random() < 0.3 else write_long(length) + b"x" * length
    found = [(span, text) for span in _parts(schema, case) if span.type in ("string", "bytes")]
    return _at(schema, case, rng, found)


def _outside(span: Span, body: bytes) -> list[bytes]:
    if span.type == "enum":
        return [write_long(len(span.schema["symbols"])), write_long(-1)]
    if span.type == "union":
        rest = body[span.start + 1 : span.end]
        return [write_long(len(span.schema)) + rest, write_long(-1) + rest]
    if span.type == "boolean":
        return [b"\x02", b"\xff"]
    if span.type == "fixed":
        return [body[span.start : span.end - 1]] if span.end > span.start else []
    if span.type in ("string", "bytes") and not span.logical:
        return [write_long(-1), write_long(-(2**40))]
    if span.logical in RANGES and span.type in _NUMBERS:
        low, high = RANGES[span.logical]
        return [write_long(low - 1), write_long(high + 1)]
    if span.logical == "uuid" and span.type == "string":
        return [write_long(4) + b"uuid"]
    if span.logical == "decimal" and span.type == "bytes":
        raw = (10 ** span.schema["precision"]).to_bytes(span.schema["precision"] // 2 + 2, "big", signed=True)
        return [write_long(len(raw)) + raw]
    return []


def _parts(schema: AvroSchema, case: Case) -> list[Span]:
    return schema.spans(schema.body(case.value or b""))


def _at(schema: AvroSchema, case: Case, rng: random.Random, found: list[tuple[Span, bytes]]) -> Record | None:
    """Replace one of these parts."""
    if not found:
        return None
    span, text = rng.choice(found)
    return case.key, schema.header + spliced(schema.body(case.value or b""), span, text), case.headers
