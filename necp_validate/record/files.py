"""Reading whole files of a run directory, and the error for one that is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from necp_validate.core import SuiteError
from necp_validate.record.codec import DecodeError, from_plain

T = TypeVar("T")


def whole_lines(path: Path) -> list[str]:
    """The lines of a text file without a torn last one; none if there is no such file.

    Raises:
        SuiteError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
        return content[: content.rfind(b"\n") + 1].decode().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"is damaged: {error}") from error


def read_rows(path: Path, cls: type[T]) -> tuple[T, ...]:
    """The rows of a file of one JSON object a line, in their order; none if there is no such file.

    Raises:
        SuiteError: it is damaged; only its last line may be torn.
    """
    rows = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            rows.append(from_plain(cls, json.loads(line)))
        except (DecodeError, ValueError) as error:
            raise damaged(path, f"line {number} is damaged: {error}") from error
    return tuple(rows)


def damaged(path: Path, problem: str) -> SuiteError:
    """The error for a file that is there but cannot be used; guessing around it could turn a loss into a pass."""
    return SuiteError(
        f"{path} {problem}",
        hint="restore the file from a copy, or repeat the run; without it nothing can be said of this run",
    )
