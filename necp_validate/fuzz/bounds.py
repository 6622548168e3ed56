"""A bound of a JSON Schema, exactly met and just exceeded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from necp_validate.fuzz.json_nodes import Site

_NEVER: Final = "\u0007 never meant"
_FORMATS: Final = frozenset({"date-time", "date", "time", "email", "ipv4", "ipv6", "uuid", "uri", "hostname"})


def met(site: Site) -> Iterator[Any]:
    """Values that stand exactly at a bound of the site's schema; other keywords may still refuse them."""
    schema, value = site.schema, site.value
    yield from schema.get("enum", ())
    if "const" in schema:
        yield schema["const"]
    if _is_number(value):
        yield from _numbers(schema, outside=False)
    elif isinstance(value, str):
        for bound in ("minLength", "maxLength"):
            if bound in schema:
                yield _as_long_as(value, schema[bound])
    elif isinstance(value, list):
        for bound in ("minItems", "maxItems"):
            if bound in schema and (value or not schema[bound]):
                yield _as_many_as(value, schema[bound])


def exceeded(site: Site) -> Iterator[Any]:
    """Values just outside a constraint of the site's schema; another keyword may still allow them elsewhere."""
    schema, value = site.schema, site.value
    if "enum" in schema:
        yield from (_NEVER, None, 10**6)
    if "const" in schema:
        yield f"{schema['const']}x" if isinstance(schema["const"], str) else _NEVER
    if _is_number(value):
        yield from _numbers(schema, outside=True)
    elif isinstance(value, str):
        yield from _texts(schema, value)
    elif isinstance(value, list):
        yield from _lists(schema, value)
    elif isinstance(value, dict):
        if len(value) >= schema.get("maxProperties", math.inf):
            yield {**value, **{f"x_{number}": None for number in range(schema["maxProperties"] + 1 - len(value))}}
        if schema.get("minProperties", 0) > 0:
            yield dict(list(value.items())[: schema["minProperties"] - 1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(schema: Mapping[str, Any], *, outside: bool) -> Iterator[Any]:
    """Numbers at, or one step outside of, each bound."""
    whole = schema.get("type") == "integer"
    bound: Any
    for keyword, sign in (("minimum", 1), ("maximum", -1)):
        bound = schema.get(keyword)
        if _is_number(bound):
            edge = (math.ceil(bound) if sign > 0 else math.floor(bound)) if whole else bound
            yield _step(edge, -sign, whole) if outside else edge
    for keyword, sign in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        bound = schema.get(keyword)
        if _is_number(bound):
            edge = (math.floor(bound) if sign > 0 else math.ceil(bound)) if whole else bound
            yield edge if outside else _step(edge, sign, whole)
    if outside and _is_number(schema.get("multipleOf")):
        yield (
            schema["multipleOf"] / 2
            if not whole or schema["multipleOf"] != int(schema["multipleOf"])
            else (schema["multipleOf"] + 1)
        )


def _step(number: Any, sign: int, whole: bool) -> Any:
    if whole or isinstance(number, int):
        return number + sign
    return math.nextafter(number, math.inf * sign)


def _texts(schema: Mapping[str, Any], value: str) -> Iterator[str]:
    if schema.get("minLength", 0) > 0:
        yield _as_long_as(value, schema["minLength"] - 1)
    if "maxLength" in schema:
        yield _as_long_as(value, schema["maxLength"] + 1)
    if "pattern" in schema:
        yield from (text for text in ("", _NEVER, value + _NEVER, value[1:]) if not _matches(schema["pattern"], text))
    if schema.get("format") in _FORMATS:
        yield _NEVER


def _lists(schema: Mapping[str, Any], value: list[Any]) -> Iterator[list[Any]]:
    if schema.get("minItems", 0) > 0:
        yield _as_many_as(value, schema["minItems"] - 1)
    if "maxItems" in schema:
        yield _as_many_as(value or [None], schema["maxItems"] + 1)
    if schema.get("uniqueItems") and value:
        yield [*value, value[0]]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # a pattern of another dialect: the oracle decides
        return False


def _as_long_as(text: str, length: int) -> str:
    return (text + "a" * (length - len(text)))[:length]


def _as_many_as(items: list[Any], count: int) -> list[Any]:
    return (items + [items[-1]] * (count - len(items)))[:count] if items else []
