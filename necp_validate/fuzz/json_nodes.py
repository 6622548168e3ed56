"""Walking a JSON Schema: references, and which part of a schema speaks about which part of a document."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str | int, ...]
IsValid = Callable[[Mapping[str, Any], Any], bool]

_ANNOTATIONS: Final = {"title", "description", "examples", "default", "deprecated", "$comment", "readOnly", "writeOnly"}
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONES: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
                "additionalItems", "unevaluatedProperties", "unevaluatedItems")  # fmt: skip
UNROLLED: Final = 2
"""How often a schema that contains itself is followed into itself."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a document and one schema that speaks about it."""

    path: Path
    schema: Mapping[str, Any]
    value: Any


def resolve(root: Any, reference: str) -> Any:
    """Find what a local reference points to.

    Raises:
        LookupError: it leads out of the document, or nowhere.
    """
    if not reference.startswith("#"):
        raise LookupError(f"{reference} leads out of the document")
    node = root
    for part in reference[1:].split("/")[1:]:
        name = urllib.parse.unquote(part).replace("~1", "/").replace("~0", "~")
        try:
            node = node[int(name)] if isinstance(node, list) else node[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise LookupError(f"{reference} leads nowhere: there is no {name!r}") from None
    return node


def children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly within a schema, with the keyword that each stands under."""
    for keyword in _MAPS:
        for child in schema.get(keyword, {}).values():
            yield keyword, child
    for keyword in _LISTS:
        for child in schema.get(keyword, ()):
            yield keyword, child
    for keyword in _ONES:
        child = schema.get(keyword)
        yield from ((keyword, one) for one in (child if isinstance(child, list) else [child]) if one is not None)


def rewrite(schema: Any, change: Callable[[dict[str, Any]], Any]) -> Any:
    """Copy a schema with every schema in it changed, from the innermost outwards."""
    if not isinstance(schema, Mapping):
        return schema
    copy = dict(schema)
    for keyword in _MAPS:
        if isinstance(copy.get(keyword), Mapping):
            copy[keyword] = {name: rewrite(child, change) for name, child in copy[keyword].items()}
    for keyword in (*_LISTS, *_ONES):
        if isinstance(copy.get(keyword), list):
            copy[keyword] = [rewrite(child, change) for child in copy[keyword]]
        elif isinstance(copy.get(keyword), Mapping):
            copy[keyword] = rewrite(copy[keyword], change)
    return change(copy)


def bundle(root: Any, schema: Any) -> dict[str, Any]:
    """Copy a part of a document so that it stands alone: what it refers to comes along in ``$defs``.

    Raises:
        LookupError: a reference leads out of the document, or nowhere.
    """
    parts: dict[str, Any] = {}
    names: dict[str, str] = {}

    def move(node: dict[str, Any]) -> dict[str, Any]:
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        if reference not in names:
            name = reference.rstrip("/").rpartition("/")[2] or "root"
            while name in parts:
                name += "_"
            names[reference], parts[name] = name, True
            parts[name] = rewrite(_plain(resolve(root, reference)), move)
        return {**node, "$ref": f"#/$defs/{names[reference].replace('~', '~0').replace('/', '~1')}"}

    whole = rewrite(_plain(schema), move)
    if not isinstance(whole, dict):
        whole = {} if whole is True else {"not": {}}
    return {**whole, "$defs": parts} if parts else whole


def _plain(schema: Any) -> Any:
    """Leave out what references are never looked up in, once they all lead into ``$defs``."""
    if not isinstance(schema, Mapping):
        return schema
    return {name: value for name, value in schema.items() if name not in ("$id", "$defs", "definitions")}


def unrolled(root: Mapping[str, Any]) -> Any:
    """Copy a schema for generators that know neither references nor the words that came after draft 7.

    A schema that contains itself is followed :data:`UNROLLED` times and allows nothing below.
    """
    depth: dict[str, int] = {}

    def expand(node: dict[str, Any]) -> Any:
        if "prefixItems" in node:
            node["additionalItems"] = node.pop("items", True)
            node["items"] = node.pop("prefixItems")
        if "dependentRequired" in node or "dependentSchemas" in node:
            node["dependencies"] = {**node.pop("dependentRequired", {}), **node.pop("dependentSchemas", {})}
        reference = node.pop("$ref", None)
        node.pop("$defs", None)
        if reference is None:
            return node
        if depth.get(reference, 0) > UNROLLED:
            return False
        depth[reference] = depth.get(reference, 0) + 1
        target = rewrite(resolve(root, reference), expand)
        depth[reference] -= 1
        rest = {name: value for name, value in node.items() if name not in _ANNOTATIONS}
        return {"allOf": [target, rest]} if rest else target

    top = {name: value for name, value in root.items() if name not in ("$defs", "$schema")}
    return rewrite(top, expand)


def sites(root: Mapping[str, Any], document: Any, is_valid: IsValid) -> Iterator[Site]:
    """Every place of a valid document with each schema that speaks about it.

    Args:
        root: the schema, self-contained.
        document: valid against it.
        is_valid: tells which alternatives of ``anyOf`` and ``oneOf`` a part of the document has taken.
    """

    def walk(schema: Any, value: Any, path: Path, through: frozenset[str]) -> Iterator[Site]:
        if not isinstance(schema, Mapping):
            return
        yield Site(path, schema, value)
        reference = schema.get("$ref")
        if reference is not None and reference not in through:
            yield from walk(resolve(root, reference), value, path, through | {reference})
        for part in schema.get("allOf", ()):
            yield from walk(part, value, path, through)
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            if is_valid(part, value):
                yield from walk(part, value, path, through)
        if isinstance(value, dict):
            known = schema.get("properties", {})
            for name, child in value.items():
                part = known.get(name, None if schema.get("patternProperties") else schema.get("additionalProperties"))
                yield from walk(part, child, (*path, name), frozenset())
        elif isinstance(value, list):
            first = schema.get("prefixItems", ())
            rest = schema.get("items")
            if isinstance(rest, list):
                first, rest = rest, schema.get("additionalItems")
            for number, child in enumerate(value):
                part = first[number] if number < len(first) else rest
                yield from walk(part, child, (*path, number), frozenset())

    yield from walk(root, document, (), frozenset())


def replaced(document: Any, path: Path, value: Any) -> Any:
    """Copy a document with another value at one place."""
    if not path:
        return value
    first, *rest = path
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[first] = replaced(document[first], tuple(rest), value)
    return copy
