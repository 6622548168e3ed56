"""Records in which nothing is but what a test gives: no events, no anomalies, nothing that went wrong."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from necp_validate.core.intervals import IntervalSet
from necp_validate.record.values import ReadableAs

T = TypeVar("T")
_START_S = 1_790_000_000
_EMPTY: dict[Any, Any] = {int: 0, float: 0.0, str: "", bool: False}


def neutral(kind: type[T], /, **given: Any) -> T:
    """Build a record; fields that are not given are empty, zero, a moment of the run, or not recorded."""
    return _build(kind, given, recorded=False)


def full(kind: type[T], /, **given: Any) -> T:
    """The same, with everything recorded that can be."""
    return _build(kind, given, recorded=True)


def _build(kind: type[T], given: dict[str, Any], *, recorded: bool) -> T:
    hints = get_type_hints(kind, include_extras=True)
    fields: tuple[Any, ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    left = {field.name: _value(hints[field.name], recorded) for field in fields if field.name not in given}
    return kind(**left, **given)


def _value(hint: Any, recorded: bool) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if type(None) in args:
        return _value(args[0], recorded) if recorded else None
    if origin is Annotated and isinstance(args[1], ReadableAs):
        return {}
    if origin is Annotated:
        moment = args[1].low > 1
        return args[0](_START_S * (10**6 if args[0] is int else 1)) if moment else args[0](0)
    if hint is IntervalSet:
        return IntervalSet()
    if dataclasses.is_dataclass(hint):
        return _build(hint, {}, recorded=recorded)  # type: ignore[arg-type]
    return _EMPTY[hint] if hint in _EMPTY else (origin or hint)()
