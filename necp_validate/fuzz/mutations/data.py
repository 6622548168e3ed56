"""Mutations of a JSON value: one place in it is spoilt, the rest stays valid and, in our envelope, sealed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

from necp_validate.fuzz.bounds import exceeded
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.json_nodes import Path, Site, replaced
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.json_text import Fragment, render
from necp_validate.fuzz.schema import MAX_RECORD_BYTES, Record

_OTHERS: Final[tuple[Any, ...]] = (None, True, 7, 0.5, "seven", [], [1], {}, {"unexpected": True}, "1")
_HUGE: Final = (b"9" * 20, b"18446744073709551616", b"-9223372036854775809", b"1e400", b"-1e999", b"9" * 5000)
_NANS: Final = (b"NaN", b"Infinity", b"-Infinity", b"nan", b"-NaN")
_NOT_TEXT: Final = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82")
_DEPTHS: Final = (100, 300, 20_000, 100_000)
_VERSIONS: Final = frozenset({"v", "version", "schemaversion", "specversion", "eventversion"})


def removed(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Remove one field that is required."""
    document = schema.decode(case.value or b"")
    places = [
        (site.path, site.value, name)
        for site in schema.sites(document)
        if isinstance(site.value, dict)
        for name in site.schema.get("required", ())
        if name in site.value
    ]
    if not places:
        return None
    path, value, gone = rng.choice(places)
    return _changed(schema, case, document, path, {name: one for name, one in value.items() if name != gone})


def retyped(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Replace one value by one of a type that no schema there allows."""
    document = schema.decode(case.value or b"")
    speaking = [site for site in schema.sites(document) if {"type", "enum", "const"} & set(site.schema)]
    if not speaking:
        return None
    site = rng.choice(speaking)
    fitting = [other for other in _OTHERS if not schema.is_valid(site.schema, other)]
    return _changed(schema, case, document, site.path, rng.choice(fitting)) if fitting else None


def negated(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Put one value just outside of a constraint."""
    found = negations(schema, case)
    return rng.choice(found) if found else None


def negations(schema: JsonSchema, case: Case) -> list[Record]:
    """Every way to put one value just outside of a constraint."""
    document = schema.decode(case.value or b"")
    return [
        _changed(schema, case, document, site.path, value)
        for site in schema.sites(document)
        for value in exceeded(site)
    ]


def unknown(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Add a field that the schema does not know."""
    document = schema.decode(case.value or b"")
    objects = _objects(schema.sites(document))
    if not objects:
        return None
    path, value = rng.choice(objects)
    name = f"x_{rng.randrange(1000)}"
    extra: dict[str, Any] = {name: rng.choice((1, None, "text", {}))}
    # First or in between: last in our envelope it would only ever damage the tail.
    mixed = {**extra, **value} if rng.random() < 0.3 else {**dict(list(value.items())[:1]), **extra, **value}
    return _changed(schema, case, document, path, mixed)


def duplicated(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Write one field twice, the second time with the same or another value; parsers differ in which they take."""
    document = schema.decode(case.value or b"")
    objects = [(path, value) for path, value in _objects(schema.sites(document)) if value]
    if not objects:
        return None
    path, value = rng.choice(objects)
    name = rng.choice(list(value))
    again = value[name] if rng.random() < 0.5 else rng.choice(_OTHERS)
    first, second = (value[name], again) if rng.random() < 0.5 else (again, value[name])
    twice = Fragment(b"%b,%b:%b" % (render(first), render(name), render(second)))
    return _changed(schema, case, document, path, {**value, name: twice})


def versioned(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Claim a version that nobody has."""
    document = schema.decode(case.value or b"")
    places = [
        ((*path, name), one)
        for path, value in _objects(schema.sites(document))
        for name, one in value.items()
        if name.lower().replace("_", "").replace("-", "") in _VERSIONS and not isinstance(one, (dict, list))
    ]
    if not places:
        return None
    path, value = rng.choice(places)
    if isinstance(value, str):
        return _changed(schema, case, document, path, rng.choice(("999.0", "", "-1", "latest")))
    return _changed(schema, case, document, path, rng.choice((0, -1, 97, 10**9, None, "2", True)))


def huge(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Replace a number by one beyond 64 bits or beyond any double."""
    return _number_replaced(schema, case, rng, _HUGE)


def not_a_number(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Replace a number by what some parsers take although it is not JSON."""
    return _number_replaced(schema, case, rng, _NANS)


def nested(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Replace a value by very many levels of it."""
    document = schema.decode(case.value or b"")
    depth = rng.choice(_DEPTHS)
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    closed = rng.random() < 0.8
    text = opening * depth + b"1" + (closing * depth if closed else b"")
    return _changed(schema, case, document, _some_path(document, rng), Fragment(text))


def not_text(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Put bytes that are not UTF-8 into a string, a name, or between two values."""
    document = schema.decode(case.value or b"")
    damage = rng.choice(_NOT_TEXT)
    texts = [site.path for site in schema.sites(document) if isinstance(site.value, str) and site.path]
    if texts and rng.random() < 0.8:
        return _changed(schema, case, document, rng.choice(texts), Fragment(b'"a%b"' % damage))
    return _changed(schema, case, document, _some_path(document, rng), Fragment(b"1" + damage))


def oversized(schema: JsonSchema, case: Case, rng: random.Random) -> Record | None:
    """Make one value enormous: mostly one that still fits into a record, sometimes one that does not."""
    document = schema.decode(case.value or b"")
    length = MAX_RECORD_BYTES + rng.randrange(1, 1000) if rng.random() < 0.2 else rng.choice((60_000, 200_000))
    texts = [site.path for site in schema.sites(document) if isinstance(site.value, str) and site.path]
    path = rng.choice(texts) if texts else _some_path(document, rng)
    return _changed(schema, case, document, path, "x" * length)


def _number_replaced(schema: JsonSchema, case: Case, rng: random.Random, texts: tuple[bytes, ...]) -> Record | None:
    document = schema.decode(case.value or b"")
    numbers = [
        site.path
        for site in schema.sites(document)
        if isinstance(site.value, (int, float)) and not isinstance(site.value, bool)
    ]
    return _changed(schema, case, document, rng.choice(numbers), Fragment(rng.choice(texts))) if numbers else None


def _objects(sites: Iterable[Site]) -> list[tuple[Path, Mapping[str, Any]]]:
    return list({site.path: (site.path, site.value) for site in sites if isinstance(site.value, dict)}.values())


def _some_path(document: Any, rng: random.Random) -> Path:
    """Some place in a document, at the top or one or two levels below; in our envelope never its tail."""
    path: Path = ()
    while isinstance(document, (dict, list)) and document and len(path) < 3 and (not path or rng.random() < 0.7):
        step = rng.choice(list(document)[:4]) if isinstance(document, dict) else rng.randrange(len(document))
        path, document = (*path, step), document[step]
    return path


def _changed(schema: JsonSchema, case: Case, document: Any, path: Path, value: Any) -> Record:
    return case.key, schema.encode(replaced(document, path, value)), case.headers
