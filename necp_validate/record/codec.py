"""Between the dataclasses of the model and plain JSON values, driven by the type annotations.

Unknown keys are ignored, so a newer writer stays readable; a missing key takes the field's default, or is an
error where there is none.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from necp_validate.core.intervals import IntervalSet

T = TypeVar("T")
Decode: TypeAlias = Callable[[Any], Any]


class DecodeError(ValueError):
    """A value does not have the type its field asks for.

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
    """Turn a model value (dataclass, interval set, tuple, mapping ...) into what ``json`` can write."""
    if isinstance(value, IntervalSet):
        return value.to_list()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[T], value: Any) -> T:
    """Build ``cls`` (a dataclass, a container or a plain type) from decoded JSON.

    Raises:
        DecodeError: the value does not fit; the path names the place.
    """
    wanted: Any = cls
    result: T = _decoder(wanted)(value)
    return result


def from_text_row(cls: type[T], row: Mapping[str, str | None]) -> T:
    """Build a flat dataclass from the texts of a CSV row; an empty text is ``None``.

    Raises:
        DecodeError: a column is missing or not a number where one is due.
    """
    wanted: Any = cls
    hints: dict[str, Any] = _hints(wanted)
    values: dict[str, Any] = {}
    for name, text in row.items():
        if name not in hints or text is None:
            continue
        if text == "":
            values[name] = None
        elif hints[name] in (str, str | None):
            values[name] = text
        else:
            try:
                number = float(text)
            except ValueError:
                raise DecodeError(f"expected a number, found {text!r}", name) from None
            values[name] = int(number) if number.is_integer() else number
    return from_plain(cls, values)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _decoder(tp: Any) -> Decode:
    if tp is Any:
        return _as_is
    if tp is IntervalSet:
        return _interval_set
    if dataclasses.is_dataclass(tp):
        return _dataclass(tp)
    origin = get_origin(tp)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in get_args(tp) if arg is not type(None)]
        return _optional(_decoder(inner[0]))
    if origin is tuple:
        return _sequence(_decoder(get_args(tp)[0]))
    if origin is dict:
        return _mapping(_decoder(get_args(tp)[1]))
    if tp in _PLAIN:
        return _PLAIN[tp]
    raise TypeError(f"the history model has no decoder for {tp!r}")


def _as_is(value: Any) -> Any:
    return value


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise DecodeError(f"expected an integer, found {_short(value)}")


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise DecodeError(f"expected a number, found {_short(value)}")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise DecodeError(f"expected a text, found {_short(value)}")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise DecodeError(f"expected true or false, found {_short(value)}")


_PLAIN: dict[Any, Decode] = {int: _integer, float: _number, str: _text, bool: _boolean}


def _interval_set(value: Any) -> IntervalSet:
    try:
        return IntervalSet((_integer(first), _integer(last)) for first, last in value)
    except (TypeError, ValueError) as error:
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
    missing_is_error = {
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }

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
            elif name in missing_is_error:
                raise DecodeError("is missing", name)
        return cls(**values)

    return decode


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
