"""Strategies for what an Avro schema allows; logical types as the numbers and texts that they are written as."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from necp_validate.fuzz.avro_spans import type_of

_DAY_MS: Final = 86_400_000
_FIRST_MS: Final = -62_135_596_800_000 + _DAY_MS
_LAST_MS: Final = 253_402_300_799_000 - _DAY_MS
"""The years 1 to 9999 less a day at either end, which some zone of time would push out."""

RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "date": (_FIRST_MS // _DAY_MS, _LAST_MS // _DAY_MS),
    "time-millis": (0, _DAY_MS - 1),
    "time-micros": (0, _DAY_MS * 1_000 - 1),
    "timestamp-millis": (_FIRST_MS, _LAST_MS),
    "timestamp-micros": (_FIRST_MS * 1_000, _LAST_MS * 1_000),
    "local-timestamp-millis": (_FIRST_MS, _LAST_MS),
    "local-timestamp-micros": (_FIRST_MS * 1_000, _LAST_MS * 1_000),
}
_PLAIN: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=64),
    "string": st.text(max_size=64),
}
_NAMED: Final = ("record", "error", "enum", "fixed")
_MAX_ITEMS: Final = 5


def from_avro(schema: Any, names: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Strategy for data that fastavro writes with this schema, its logical types taken out.

    Args:
        schema: parsed.
        names: named types by full name.
    """
    known: dict[str, st.SearchStrategy[Any]] = {}

    def build(node: Any) -> st.SearchStrategy[Any]:
        if isinstance(node, str) and node in names:
            return named(node)
        kind = type_of(node)
        if kind == "union":
            return st.one_of([_tagged(branch, build(branch)) for branch in node])
        if kind in _NAMED:
            return named(node["name"])
        if kind == "array":
            return st.lists(build(node["items"]), max_size=_MAX_ITEMS)
        if kind == "map":
            return st.dictionaries(st.text(max_size=16), build(node["values"]), max_size=_MAX_ITEMS)
        if isinstance(node, Mapping):
            restricted = _logical(node)
            return (named(kind) if kind in names else _PLAIN[kind]) if restricted is None else restricted
        return _PLAIN[kind]

    def named(name: str) -> st.SearchStrategy[Any]:
        if name not in known:
            known[name] = st.deferred(lambda: _named(names[name], build))
        return known[name]

    return build(schema)


def _named(node: Mapping[str, Any], build: Callable[[Any], st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if node["type"] == "enum":
        return st.sampled_from(node["symbols"])
    if node["type"] == "fixed":
        restricted = _logical(node)
        return st.binary(min_size=node["size"], max_size=node["size"]) if restricted is None else restricted
    return st.fixed_dictionaries({field["name"]: build(field["type"]) for field in node["fields"]})


def _tagged(branch: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Say which branch of a union is meant, in fastavro's tuple notation."""
    kind = type_of(branch)
    tag = branch["name"] if kind in _NAMED else kind
    return values.map(lambda value: (tag, value))


def _logical(node: Mapping[str, Any]) -> st.SearchStrategy[Any] | None:
    """Strategy for a logical type, as what it is written as; None if it restricts nothing."""
    logical, kind = str(node.get("logicalType", "")), node["type"]
    if logical in RANGES and kind in ("int", "long"):
        return st.integers(*RANGES[logical])
    if logical == "uuid" and kind == "string":
        return st.uuids().map(str)
    if logical == "uuid" and kind == "fixed":
        return st.uuids().map(lambda value: value.bytes)
    if logical == "decimal" and kind in ("bytes", "fixed"):
        top = 10 ** node["precision"] - 1
        if kind == "fixed":
            top = min(top, (1 << (8 * node["size"] - 1)) - 1)
            return st.integers(-top, top).map(lambda number: number.to_bytes(node["size"], "big", signed=True))
        return st.integers(-top, top).map(_as_bytes)
    return None


def logical_problem(node: Mapping[str, Any], raw: bytes, number: int | None) -> str:
    """Say what is wrong with a logical type's value; "" if nothing is.

    Args:
        node: schema of the value.
        raw: its bytes without a length.
        number: its number, if it is written as one.
    """
    logical = str(node.get("logicalType", ""))
    if logical in RANGES and number is not None:
        low, high = RANGES[logical]
        return "" if low <= number <= high else f"{number} is no {logical}"
    if logical == "uuid" and node["type"] == "string":
        try:
            uuid.UUID(raw.decode())
        except ValueError:
            return "no UUID"
    if logical == "decimal" and node["type"] in ("bytes", "fixed"):
        digits = len(str(abs(int.from_bytes(raw, "big", signed=True))))
        return "" if digits <= node["precision"] else f"{digits} digits where {node['precision']} are allowed"
    return ""


def _as_bytes(number: int) -> bytes:
    return number.to_bytes((8 + (number + (number < 0)).bit_length()) // 8, "big", signed=True)
