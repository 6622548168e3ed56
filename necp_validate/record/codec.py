"""Between the dataclasses of a record and plain JSON values, driven by their type annotations.

What is read is held to them: a key that is missing is an error unless its field may be ``None``, which then means that
it was not recorded; defaults of Python are for those who build a record, never for those who read one. Numbers are
finite and within their bounds (``values``), and moments in their order. Unknown keys are ignored, so that a newer
writer stays readable.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from necp_validate.core.intervals import IntervalSet
from necp_validate.record.values import EPOCH_US, NOT_NEGATIVE, ORDERED, Bounds, ReadableAs

T = TypeVar("T")
Decode: TypeAlias = Callable[[Any], Any]


class DecodeError(ValueError):
    """A value is not what its field asks for.

    Args:
        problem: what was expected and what was found.
        path: where, e.g. ``streams[3].acked``.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path

    def inside(self, outer: str) -> DecodeError:
        """The same error seen from the enclosing value."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return DecodeError(self.problem, f"{outer}{joint}{self.path}")

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


def to_plain(value: Any) -> Any:
    """Turn a value of a record (dataclass, interval set, tuple, mapping ...) into what ``json`` can write."""
    if isinstance(value, IntervalSet):
        return value.to_list()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_json(cls: type[T], text: str | bytes, given: Mapping[str, Any] | None = None) -> T:
    """Build ``cls`` from JSON text.

    Args:
        cls: a dataclass, a container or a plain type.
        text: JSON without NaN and infinities, and without a key that is there twice.
        given: values of fields of a dataclass that are not in the text.

    Raises:
        ValueError: it is no such JSON.
        DecodeError: a value does not fit; the path names the place.
    """
    value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    return from_plain(cls, {**value, **given} if given and isinstance(value, Mapping) else value)


def from_plain(cls: type[T], value: Any) -> T:
    """Build ``cls`` (a dataclass, a container or a plain type) from decoded JSON.

    Raises:
        DecodeError: the value does not fit; the path names the place.
    """
    wanted: Any = cls
    result: T = _decoder(wanted)(value)
    return result


def from_text_row(cls: type[T], row: Mapping[str, str]) -> T:
    """Build a flat dataclass from the texts of a CSV row; an empty text is ``None``.

    Raises:
        DecodeError: a column is missing, or not a number where one is due.
    """
    wanted: Any = cls
    hints: dict[str, Any] = _hints(wanted)
    values = {name: _cell(hints[name], name, text) for name, text in row.items() if name in hints}
    return from_plain(cls, values)


def _cell(hint: Any, name: str, text: str) -> Any:
    if text == "" or hint in (str, str | None):
        return text or None
    try:
        number = float(text)
    except ValueError:
        raise DecodeError(f"expected a number, found {text!r}", name) from None
    return int(number) if number.is_integer() else number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DecodeError("is there twice", next(name for name in names if names.count(name) > 1))
    return found


def _constant(text: str) -> float:
    raise DecodeError(f"expected a number, found {text}")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _constant(text)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _decoder(tp: Any) -> Decode:
    if tp is Any:
        return _as_is
    if tp is IntervalSet:
        return _interval_set
    if dataclasses.is_dataclass(tp):
        return _dataclass(tp)
    if tp in (int, float):
        return _number(tp, NOT_NEGATIVE)
    if tp in _PLAIN:
        return _PLAIN[tp]
    origin, args = get_origin(tp), get_args(tp)
    if origin is Annotated:
        return _shown(args[1].kind) if isinstance(args[1], ReadableAs) else _number(args[0], args[1])
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return _optional(_decoder(inner))
    if origin is tuple:
        return _sequence(_decoder(args[0]))
    if origin is dict:
        return _mapping(_decoder(args[1]))
    raise TypeError(f"a record has no decoder for {tp!r}")


def _as_is(value: Any) -> Any:
    return value


def _shown(kind: Any) -> Decode:
    inner = _decoder(kind)

    def decode(value: Any) -> Any:
        inner(value)
        return value

    return decode


_LARGEST, _LARGEST_PLACE = 1e300, 2**63
"""Beyond this, sums of what is recorded are no numbers any more."""


def _number(kind: type[int] | type[float], bounds: Bounds) -> Decode:
    wanted = "an integer" if kind is int else "a number"
    what = bounds.what or ("0 or more" if bounds.low == 0 else "a number")

    def decode(value: Any) -> int | float | None:
        if isinstance(value, float):
            fits = value.is_integer() if kind is int else math.isfinite(value)
        else:
            fits = isinstance(value, int) and not isinstance(value, bool)
        if not fits or abs(value) > _LARGEST:
            raise DecodeError(f"expected {wanted}, found {_short(value)}")
        if value == bounds.none:
            return None
        if not bounds.low <= value <= bounds.high:
            raise DecodeError(f"expected {what}, found {_short(value)}")
        return kind(value)

    return decode


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise DecodeError(f"expected a text, found {_short(value)}")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise DecodeError(f"expected true or false, found {_short(value)}")


_PLAIN: dict[Any, Decode] = {str: _text, bool: _boolean}


def _interval_set(value: Any) -> IntervalSet:
    end = -1
    try:
        for first, last in value:
            if not (type(first) is type(last) is int and end < first <= last < _LARGEST_PLACE):
                raise DecodeError(f"expected intervals [[first, last], ...] in their order, found [{first}, {last}]")
            end = last
        return IntervalSet(value)
    except (TypeError, ValueError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"expected intervals [[first, last], ...]: {error}") from None


def _optional(inner: Decode) -> Decode:
    def decode(value: Any) -> Any:
        return None if value is None else inner(value)

    return decode


def _sequence(inner: Decode) -> Decode:
    def decode(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise DecodeError(f"expected a list, found {_short(value)}")
        items = []
        for i, item in enumerate(value):
            try:
                items.append(inner(item))
            except DecodeError as error:
                raise error.inside(f"[{i}]") from None
        return tuple(items)

    return decode


def _mapping(inner: Decode) -> Decode:
    def decode(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise DecodeError(f"expected an object, found {_short(value)}")
        items = {}
        for key, item in value.items():
            try:
                items[str(key)] = inner(item)
            except DecodeError as error:
                raise error.inside(str(key)) from None
        return items

    return decode


def _dataclass(cls: Any) -> Decode:
    hints = _hints(cls)
    decoders = {f.name: _decoder(hints[f.name]) for f in dataclasses.fields(cls)}
    may_be_missing = {name for name in decoders if type(None) in get_args(hints[name])}
    moments = {name for name in decoders if any(one.what == EPOCH_US.what for one in _bounds_in(hints[name]))}
    ordered = [pair for pair in ORDERED if moments.issuperset(pair)]

    def decode(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise DecodeError(f"expected an object, found {_short(value)}")
        values = {}
        for name, inner in decoders.items():
            if name in value:
                try:
                    values[name] = inner(value[name])
                except DecodeError as error:
                    raise error.inside(name) from None
            elif name in may_be_missing:
                values[name] = None
            else:
                raise DecodeError("is missing", name)
        for before, after in ordered:
            if values[before] is not None and values[after] is not None and values[before] > values[after]:
                raise DecodeError(f"is before {before}: {values[after]} < {values[before]}", after)
        return cls(**values)

    return decode


def _bounds_in(hint: Any) -> list[Bounds]:
    parts = [hint, *get_args(hint)]
    notes = [one for part in parts if get_origin(part) is Annotated for one in part.__metadata__]
    return [one for one in notes if isinstance(one, Bounds)]


def _short(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number of more than 300 digits"  # Python itself refuses to write one of 4,300
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
