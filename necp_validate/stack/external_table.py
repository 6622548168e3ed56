"""One table of a target's file: every complaint names file and key."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from necp_validate.core import UsageError


class Table:
    """One table of the file.

    Args:
        file: the file.
        name: of the table; empty for the file itself.
        values: what is in it.
        allowed: the keys that it may have; any if empty.

    Raises:
        UsageError: it is no table, or has another key.
    """

    def __init__(self, file: Path, name: str, values: object, allowed: Iterable[str]) -> None:
        self.file, self.name = file, name
        if not isinstance(values, dict):
            self.refuse(name or "the file", "must be a table")
        self.values: dict[str, Any] = values
        known = sorted(allowed)
        for key in values:
            if known and key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
                raise UsageError(f"{file}: unknown key {self.path(key)!r}{guess}")

    def path(self, key: str) -> str:
        """The key with the table's name before it."""
        return f"{self.name}.{key}" if self.name else key

    def refuse(self, what: str, why: str) -> NoReturn:
        """Complain."""
        raise UsageError(f"{self.file}: {what} {why}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text; it must be there if there is no default."""
        value = self.values.get(key, default)
        if value is None:
            self.refuse(f"{self.path(key)!r}", "is missing")
        if not isinstance(value, str):
            self.refuse(f"{self.path(key)!r}", f"must be a string, not {type(value).__name__}")
        return value

    def port(self, key: str, default: int) -> int:
        """A port number."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 16:
            self.refuse(f"{self.path(key)!r}", f"must be a port number, not {value!r}")
        return value

    def existing_file(self, key: str) -> str:
        """A file that is there, relative to the target's own."""
        path = self.file.parent / self.text(key)
        if not path.is_file():
            self.refuse(f"{self.path(key)!r}", f"names a file that is not there: {path}")
        return str(path)

    def secret(self) -> str:
        """A password, or what the variable holds that is named in its place."""
        if "password_env" not in self.values:
            return self.text("password")
        variable = self.text("password_env")
        if variable not in os.environ:
            self.refuse(f"{self.path('password_env')!r}", f"names a variable that is not set: {variable}")
        return os.environ[variable]

    def count(self, key: str, default: int) -> int:
        """A whole number from 1 on."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(f"{self.path(key)!r}", f"must be a whole number from 1 on, not {value!r}")
        return value

    def choice(self, key: str, known: Iterable[str], default: str) -> str:
        """One of a few words."""
        value, words = self.text(key, default), tuple(known)
        if value not in words:
            near = difflib.get_close_matches(value, words, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            self.refuse(f"{self.path(key)!r}", f"is {value!r}; known: {', '.join(words)}{guess}")
        return value
