"""Events that an Avro schema describes, in Avro's binary encoding."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException, UnknownType
from hypothesis import strategies as st

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_spans import NotAvro, Span, spans, type_of, write_long
from necp_validate.fuzz.avro_strategies import RANGES, from_avro, logical_problem
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.schema import Record, Schema

_KEYS: Final = st.none() | st.binary(min_size=1, max_size=16)
_TEXTS: Final = ("bytes", "string")
_NAMED: Final = ("record", "error", "enum", "fixed")


class AvroSchema(Schema):
    """Events whose value is one datum, after an optional header.

    Args:
        schema: as in an ``.avsc`` file.
        name: of the event type; the record's own by default.
        topic: where its events go, if that is known.
        schema_id: number in a schema registry; puts Confluent's header before every value: a zero and four bytes.

    Raises:
        UsageError: it is no Avro schema.
    """

    form = "avro"

    def __init__(
        self, schema: Any, *, name: str | None = None, topic: str | None = None, schema_id: int | None = None
    ) -> None:
        self.names: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        try:
            self.parsed = fastavro.parse_schema(copy.deepcopy(schema), named_schemas=self.names)
            self.plain = fastavro.parse_schema(_without_logical(schema), named_schemas=plain)
        except (SchemaParseException, UnknownType, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{name or 'the file'} is no Avro schema: {type(error).__name__}: {error}") from error
        # A list of named types is a file of several, whose last is made of those before; any other is a union.
        if isinstance(self.parsed, list) and all(type_of(one) in _NAMED for one in self.parsed):
            self.parsed, self.plain = self.parsed[-1], self.plain[-1]
        found = self.parsed.get("name") if isinstance(self.parsed, Mapping) else self.parsed
        super().__init__(name or str(found), topic=topic)
        self.header = b"" if schema_id is None else b"\0" + schema_id.to_bytes(4, "big")

    @cached_property
    def _documents(self) -> st.SearchStrategy[Any]:
        return from_avro(self.parsed, self.names)

    def documents(self) -> st.SearchStrategy[Any]:
        """Valid data, logical types as the numbers and texts that they are written as."""
        return self._documents

    def encode(self, document: Any) -> bytes:
        """Write a datum with fastavro."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self.plain, document)
        return self.header + stream.getvalue()

    def decode(self, value: bytes) -> Any:
        """Read a datum with fastavro, logical types and all.

        Raises:
            NotAvro: it is none.
        """
        return self._read(value, self.parsed)

    def decode_plain(self, value: bytes) -> Any:
        """Read a datum with fastavro, logical types as what they are written as.

        Raises:
            NotAvro: it is none.
        """
        return self._read(value, self.plain)

    def _read(self, value: bytes, schema: Any) -> Any:
        stream = io.BytesIO(self.body(value))
        try:
            found = fastavro.schemaless_reader(stream, schema, None)
        except Exception as error:
            raise NotAvro(f"{type(error).__name__}: {error}") from error
        if stream.read(1):
            raise NotAvro("bytes are left at the end")
        return found

    def round_trip(self, document: Any) -> str:
        """Compare what was written with what is read, both without words on which branch of a union was taken."""
        value, wanted = self.encode(document), _untagged(document)
        back = self.decode_plain(value)
        self.decode(value)
        return "" if back == wanted else f"came back as {back!r:.300}, was {wanted!r:.300}"

    def body(self, value: bytes) -> bytes:
        """A value without its header.

        Raises:
            NotAvro: the header is not there, or another one.
        """
        if not value.startswith(self.header):
            raise NotAvro(f"it does not begin with the header {self.header.hex()}")
        return value[len(self.header) :]

    def spans(self, value: bytes) -> list[Span]:
        """Where each part of a value without its header is.

        Raises:
            NotAvro: it is no datum of the schema.
        """
        return spans(self.parsed, self.names, value)

    def judge_value(self, value: bytes) -> str:
        """Say what is wrong with a value: by the specification first, then by fastavro."""
        try:
            body = self.body(value)
            parts = self.spans(body)
            for span in parts:
                problem = _logical_problem(span, body)
                if problem:
                    return f"{'.'.join(map(str, span.path)) or 'the whole'}: {problem}"
            self.decode(value)
        except NotAvro as error:
            return f"no Avro: {error}"
        return ""

    def records(self) -> st.SearchStrategy[Record]:
        """Whole records; the schema says nothing about keys."""
        return st.tuples(_KEYS, self.documents().map(self.encode), st.just(()))

    def at_bounds(self, case: Case, rng: random.Random) -> list[Case]:
        """Variants of a valid case in which one number is as small or as large as its type allows."""
        body = self.body(case.value or b"")
        variants = [
            (case.key, self.header + spliced(body, span, text), case.headers)
            for span in self.spans(body)
            for text in _bounds(span)
            if text != body[span.start : span.end]
        ]
        rng.shuffle(variants)
        return [found for variant in variants if (found := self.case(variant)).valid]


def spliced(body: bytes, span: Span, text: bytes) -> bytes:
    """Replace the bytes of one part."""
    return body[: span.start] + text + body[span.end :]


def _untagged(document: Any) -> Any:
    if isinstance(document, tuple):
        return _untagged(document[1])
    if isinstance(document, list):
        return [_untagged(one) for one in document]
    if isinstance(document, dict):
        return {name: _untagged(one) for name, one in document.items()}
    return document


def _bounds(span: Span) -> list[bytes]:
    if span.logical in RANGES and span.type in ("int", "long"):
        return [write_long(bound) for bound in RANGES[span.logical]]
    if span.type == "int":
        return [write_long(-(2**31)), write_long(2**31 - 1)]
    if span.type == "long":
        return [write_long(-(2**63)), write_long(2**63 - 1)]
    if span.type == "enum":
        return [write_long(0), write_long(len(span.schema["symbols"]) - 1)]
    return [b"\0"] if span.type in (*_TEXTS, "array", "map") and not span.logical else []


def _logical_problem(span: Span, body: bytes) -> str:
    if not span.logical:
        return ""
    raw = body[span.start : span.end]
    if span.type in ("int", "long"):
        return logical_problem(span.schema, raw, read_long(raw))
    return logical_problem(span.schema, raw[len(write_long(read_long(raw))) :] if span.type in _TEXTS else raw, None)


def read_long(text: bytes) -> int:
    """Decode the number at the beginning."""
    number = shift = 0
    for byte in text:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return (number >> 1) ^ -(number & 1)


def _without_logical(schema: Any) -> Any:
    """Copy a schema without its logical types, so that fastavro writes numbers as they are."""
    if isinstance(schema, list):
        return [_without_logical(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: _without_logical(value) if name in ("type", "items", "values", "fields") else copy.deepcopy(value)
        for name, value in schema.items()
        if name != "logicalType" or "type" not in schema
    }
