"""Errors in a scenario file: the file, the line, the key, what is valid there, and the likely intention."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean

Key = str | int

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGN = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")
_LISTED_AT_MOST = 15
_UNCOUNTABLE = 2**63
_SYNTAX_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a scenario's text came from, so that an error can name the place.

    Args:
        name: the file as the user knows it.
        text: its whole text.
    """

    name: str
    text: str

    def at(self, path: Sequence[Key], *, value: object = None) -> str:
        """``file:line`` of a key, or of the nearest enclosing table, or the bare file name.

        A value looks further down: an array may be written over several lines.
        """
        start = find_line(self.text, path)
        if start is not None and isinstance(value, str):
            for number, content in enumerate(self.text.splitlines()[start - 1 :], start=start):
                if f'"{value}"' in content:
                    return f"{self.name}:{number}"
        for length in range(len(path), 0, -1):
            line = find_line(self.text, path[:length])
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


def dotted(path: Sequence[Key]) -> str:
    """A key path as a person writes it: ``phases[1].kind``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def find_line(text: str, path: Sequence[Key]) -> int | None:
    """The 1-based line on which a key or table of a TOML text stands; None where it cannot be told.

    Args:
        text: the TOML text.
        path: names of tables and keys; an integer counts the entries of an array of tables from 0.
    """
    wanted = tuple(path)
    here: tuple[Key, ...] = ()
    seen: dict[tuple[Key, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names: tuple[Key, ...] = _split(header[2])
            if header[1] == "[[":
                seen[names] = seen.get(names, -1) + 1
                here = (*names, seen[names])
            else:
                here = _inside_latest(names, seen)
            if here == wanted or (header[1] == "[[" and names == wanted):
                return number
        elif (assign := _ASSIGN.match(line)) and (*here, *_split(assign[1])) == wanted:
            return number
    return None


def _split(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def _inside_latest(names: tuple[Key, ...], seen: dict[tuple[Key, ...], int]) -> tuple[Key, ...]:
    """``[phases.extra]`` after ``[[phases]]`` belongs to the latest entry of the array."""
    for length in range(len(names), 0, -1):
        if names[:length] in seen:
            return (*names[:length], seen[names[:length]], *names[length:])
    return names


def _hint(given: object, valid: Sequence[str], what: str) -> str:
    guess = did_you_mean(given, valid)
    if guess and len(valid) > _LISTED_AT_MOST:
        return f'did you mean "{guess}"?'
    listed = f"{what}: {', '.join(valid)}"
    return f'did you mean "{guess}"? {listed}' if guess else listed


def unknown_key(source: Source, path: Sequence[Key], valid: Sequence[str]) -> UsageError:
    """A key or table that no scenario has."""
    table = dotted(path[:-1])
    inside = f" in [{table}]" if table else ""
    return UsageError(f'{source.at(path)}: unknown key "{path[-1]}"{inside}', hint=_hint(path[-1], valid, "valid keys"))


def invalid_choice(source: Source, path: Sequence[Key], given: object, valid: Sequence[str]) -> UsageError:
    """A value outside a closed list."""
    return UsageError(
        f'{source.at(path, value=given)}: {dotted(path)} has "{given}"',
        hint=_hint(given, valid, "valid values"),
    )


def invalid_value(source: Source, path: Sequence[Key], problem: str, hint: str | None = None) -> UsageError:
    """A value of the wrong type or out of its range."""
    return UsageError(f"{source.at(path)}: {dotted(path)}: {problem}", hint=hint)


def refuse_uncountable(value: object, source: Source, path: tuple[Key, ...] = ()) -> None:
    """Do nothing if no number in a value, at any depth, is beyond what clocks and counters hold.

    Raises:
        UsageError: one is infinite, not a number, or 2^63 and more; the message names its place.
    """
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        refuse_uncountable(inner, source, (*path, key))
    if isinstance(value, (int, float)) and not abs(value) < _UNCOUNTABLE:
        raise invalid_value(source, path, "must be a finite number of less than 2^63")


def syntax_error(source: Source, message: str) -> UsageError:
    """The text is not TOML; the parser's own place is kept."""
    place = _SYNTAX_PLACE.search(message)
    line = f":{place[1]}" if place and place[1] else ""
    return UsageError(
        f"{source.name}{line}: not valid TOML: {_SYNTAX_PLACE.sub('', message)}",
        hint='strings need quotes, a table is "[name]", one phase is "[[phases]]"',
    )
