"""Events of our own registry, judged without the decoder: by the exported JSON Schema and the rules of the envelope."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final
from zlib import crc32

from hypothesis import strategies as st

from necp_validate.core import UsageError
from necp_validate.events.registry import EventType, event_types
from necp_validate.events.schema import schema_name, schemas
from necp_validate.events.tail import TAIL_LENGTH, event_id
from necp_validate.fuzz.json_nodes import bundle
from necp_validate.fuzz.json_schema import JsonSchema, generator
from necp_validate.fuzz.json_text import Malformed, parse, render
from necp_validate.fuzz.schema import Record

_TAIL: Final = re.compile(rb',"ts":\d{16},"id":"[0-9a-f]{8}-\d{12}","crc":"[0-9a-f]{8}"}\Z')
_ORDER: Final = ["type", "v", "key", "data", "ts", "id", "crc"]
_SEQ_MAX: Final = 10**12 - 1


class RegistrySchema(JsonSchema):
    """One version of one event type of the registry.

    Args:
        kind: the event type.
        exported: schemas by name, as :func:`necp_validate.events.schema.schemas` gives them.
    """

    def __init__(self, kind: EventType, exported: Mapping[str, Any]) -> None:
        root = {"$defs": dict(exported)}
        name = schema_name(kind)
        super().__init__(name, bundle(root, exported[name]), topic=kind.domain.topic)
        self.kind = kind
        self.name = kind.name
        self.version = kind.version

    @property
    def has_key(self) -> bool:
        """The key is the event's."""
        return True

    def documents(self) -> st.SearchStrategy[Any]:
        """Whole envelopes; the checksum is put right when they are encoded."""
        # The envelope is put together here: the schema's patterns would cost more than all the rest.
        return st.builds(
            envelope,
            st.just(self.kind.name),
            st.just(self.kind.version),
            _part(self, "key"),
            _part(self, "data"),
            st.integers(10**15, 10**16 - 1),
            st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}"),
            st.integers(0, _SEQ_MAX),
        )

    def encode(self, document: Any) -> bytes:
        """Write an envelope; the checksum is made to match wherever there is a tail at all."""
        return sealed(render(document))

    def decode(self, value: bytes) -> Any:
        """Read an envelope strictly; an integer is written without a fraction."""
        return parse(value, fraction_is_float=True)

    def round_trip(self, document: Any) -> str:
        """Compare all but the checksum, which is computed when the envelope is encoded."""
        value = self.encode(document)
        if self.encode(self.decode(value)) != value:
            return f"encoded again it is another value: {value[:300]!r}"
        back = self.decode(value) | {"crc": document["crc"]}
        return "" if back == document else f"came back as {back!r:.300}, was {document!r:.300}"

    def judge_value(self, value: bytes) -> str:
        """Say what is wrong with a value: its tail, checksum, order of fields, or anything in them."""
        if not _TAIL.search(value):
            return "no tail of fixed width"
        if b"%08x" % crc32(value[:-18]) != value[-10:-2]:
            return "the checksum is wrong"
        problem = super().judge_value(value)
        if problem:
            return problem
        if list(self.decode(value)) != _ORDER or not value.startswith(self.kind.prefix + b',"key":"'):
            return "the envelope is not in the canonical form"
        return ""

    def judge_key(self, key: bytes | None, value: bytes) -> str:
        """The record's key must be the event's."""
        return "" if key == self.decode(value)["key"].encode() else "the record's key is not the event's"

    def records(self) -> st.SearchStrategy[Record]:
        """Whole records."""
        return self.documents().map(lambda document: (document["key"].encode(), self.encode(document), ()))


def envelope(type_name: str, version: int, key: str, data: Any, ts_us: int, stream: str, seq: int) -> dict[str, Any]:
    """Put an envelope together, with a checksum that is still to be computed."""
    identity = event_id(stream, seq)
    return {"type": type_name, "v": version, "key": key, "data": data, "ts": ts_us, "id": identity, "crc": "00000000"}


def sealed(text: bytes) -> bytes:
    """Put the checksum right if there is a tail of fixed width; anything else stays as it is."""
    if len(text) <= TAIL_LENGTH or not _TAIL.search(text):
        return text
    return b'%b%08x"}' % (text[:-10], crc32(text[:-18]))


@cache
def _parts() -> dict[tuple[str, int, str], st.SearchStrategy[Any]]:
    return {}


def _part(schema: RegistrySchema, name: str) -> st.SearchStrategy[Any]:
    place = (schema.name, schema.version, name)
    if place not in _parts():
        part = {**schema.schema["properties"][name], "$defs": schema.schema.get("$defs", {})}
        _parts()[place] = generator(schema.name, part)
    return _parts()[place]


@cache
def registry_schemas() -> Mapping[tuple[str, int], RegistrySchema]:
    """Schemas of the registry by type and version."""
    return schemas_of(event_types(), schemas())


def schemas_of(kinds: Iterable[EventType], exported: Mapping[str, Any]) -> dict[tuple[str, int], RegistrySchema]:
    """Schemas by type and version, from the export that they are judged by."""
    return {(kind.name, kind.version): RegistrySchema(kind, exported) for kind in kinds}


def registry_schema(type_name: str, version: int) -> RegistrySchema:
    """The schema of one version of a type.

    Raises:
        UsageError: there is none.
    """
    try:
        return registry_schemas()[type_name, version]
    except KeyError:
        known = ", ".join(sorted({f"{name} v{number}" for name, number in registry_schemas()}))
        raise UsageError(f"the registry has no {type_name} v{version}; known: {known}") from None


__all__ = ["Malformed", "RegistrySchema", "envelope", "registry_schema", "registry_schemas", "schemas_of", "sealed"]
