"""What differs between two JSON Schemas, field by field, in the words of constraints; annotations do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from necp_validate.fuzz.json_nodes import resolve

_IGNORED: Final = {
    "title", "description", "examples", "default", "deprecated", "$comment", "$schema", "$defs", "x-domain",
    "properties", "required", "items", "prefixItems",
}  # fmt: skip


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each difference as ``field: what``; fields by their path in a document."""
    return list(_compare(old, new, old, new, "", frozenset()))


def _compare(
    old_root: Mapping[str, Any], new_root: Mapping[str, Any], old: Any, new: Any, path: str, seen: frozenset[str]
) -> Iterator[str]:
    reference = f"{old.get('$ref')} {new.get('$ref')}" if isinstance(old, Mapping) and isinstance(new, Mapping) else ""
    if reference in seen:
        return
    old, new = _followed(old_root, old), _followed(new_root, new)
    here = path or "the whole"
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        if old != new:
            yield f"{here}: {old!r} became {new!r}"
        return
    seen = seen | {reference} if "#" in reference else seen
    for keyword in sorted({*old, *new} - _IGNORED):
        if old.get(keyword) != new.get(keyword):
            yield f"{here}: {keyword} {_told(old.get(keyword))} became {_told(new.get(keyword))}"
    had, has = old.get("properties", {}), new.get("properties", {})
    must, must_now = set(old.get("required", ())), set(new.get("required", ()))
    for name in [*had, *(name for name in has if name not in had)]:
        field = f"{path}.{name}" if path else name
        if name not in has:
            yield f"{field}: {'required field' if name in must else 'field'} removed"
        elif name not in had:
            yield f"{field}: {'required field' if name in must_now else 'field'} added"
        else:
            if (name in must) != (name in must_now):
                yield f"{field}: {'required became optional' if name in must else 'optional became required'}"
            yield from _compare(old_root, new_root, had[name], has[name], field, seen)
    for keyword in ("items", "prefixItems"):
        before, after = old.get(keyword), new.get(keyword)
        if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from _compare(old_root, new_root, one, other, f"{path}[{number}]", seen)
        elif before is not None and after is not None and not isinstance(before, list) and not isinstance(after, list):
            yield from _compare(old_root, new_root, before, after, f"{path}[]", seen)
        elif before != after:
            yield f"{here}: {keyword} {_told(before)} became {_told(after)}"


def _followed(root: Mapping[str, Any], node: Any) -> Any:
    steps = 0
    while isinstance(node, Mapping) and "$ref" in node and steps < 20:
        node, steps = resolve(root, node["$ref"]), steps + 1
    return node


def _told(value: Any) -> str:
    return "unset" if value is None else f"{value!r:.80}"
