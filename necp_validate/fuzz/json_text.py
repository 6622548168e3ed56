"""JSON as text: written with deliberate defects, read more strictly than the standard library does."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

MAX_DEPTH: Final = 512
_TOKEN: Final = secrets.token_hex(16)


class Malformed(ValueError):
    """The bytes are not the text of one JSON document (RFC 8259, names unique as in RFC 7493)."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Bytes that go into the text as they are, where a value stands; they need not be JSON."""

    text: bytes


def render(document: Any) -> bytes:
    """Write a document without spaces, its names in their order; a :class:`Fragment` is copied."""
    fragments: list[Fragment] = []

    def stand_in(value: object) -> str:
        if not isinstance(value, Fragment):
            raise TypeError(f"{type(value).__name__} has no form in JSON")
        fragments.append(value)
        return f"{_TOKEN}-{len(fragments) - 1}-"

    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=stand_in).encode()
    for number, fragment in enumerate(fragments):
        text = text.replace(b'"%b-%d-"' % (_TOKEN.encode(), number), fragment.text)
    return text


def parse(value: bytes, *, fraction_is_float: bool = False) -> Any:
    """Read the text of one document.

    Args:
        value: the text.
        fraction_is_float: ``1.0`` is no integer, as in formats that keep the two apart; JSON Schema takes it for one.

    Raises:
        Malformed: it is not UTF-8, not JSON, has a name twice in one object, a number that no double can hold, half of
            a surrogate pair, or more than :data:`MAX_DEPTH` levels.
    """
    try:
        text = value.decode()
        found = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_Float if fraction_is_float else _finite,
        )
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise Malformed(f"more than {MAX_DEPTH} levels") from None
    except Malformed:
        raise
    except ValueError as error:  # UnicodeError, JSONDecodeError, and integers of too many digits
        raise Malformed(str(error)) from None
    if _deeper_than(found, MAX_DEPTH):
        raise Malformed(f"more than {MAX_DEPTH} levels")
    return found


class _Float(float):
    """A number that was written with a fraction or an exponent."""

    def __new__(cls, text: str) -> _Float:
        return super().__new__(cls, _finite(text))

    def is_integer(self) -> bool:
        return False


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Malformed(f"no double holds {text[:40]}")
    return number


def _no_constant(text: str) -> None:
    raise Malformed(f"{text} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"{twice!r} is there twice")
    return found


def _deeper_than(document: Any, levels: int) -> bool:
    level = [document]
    while level and levels >= 0:
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        levels -= 1
    return bool(level)
