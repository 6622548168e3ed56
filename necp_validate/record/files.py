"""Reading whole files of a run directory, and the error for one that is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from necp_validate.core import SuiteError
from necp_validate.record.codec import from_json, from_text_row

T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T | None:
    """Read a JSON file; None if there is none.

    Raises:
        SuiteError: it is damaged; the message names file and field.
    """
    try:
        return from_json(kind, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"is damaged: {error}") from error


def whole_lines(path: Path) -> list[str]:
    """The lines of a text file without a torn last one; none if there is no such file.

    Raises:
        SuiteError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
        return content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"is damaged: {error}") from error


def read_rows(path: Path, kind: type[T], given: Mapping[str, str]) -> list[T]:
    """The rows of a file, in their order; none if there is no such file.

    Args:
        path: one JSON object a line, or plain CSV where it is named so.
        kind: dataclass of a row.
        given: values of fields that are not in the file.

    Raises:
        SuiteError: it is damaged; only its last line may be torn.
    """
    header, lines, rows = [], whole_lines(path), []
    if path.suffix == ".csv":
        header, lines = lines[:1], lines[1:]
    for number, line in enumerate(lines, start=1 + len(header)):
        try:
            if header:
                rows.append(from_text_row(kind, {**_cells(header[0], line), **given}))
            else:
                rows.append(from_json(kind, line, given))
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"line {number} is damaged: {error}") from error
    return rows


def _cells(header: str, line: str) -> dict[str, str]:
    columns, cells = header.split(","), line.split(",")
    if len(set(columns)) < len(columns) or len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells in the columns {header}")
    return dict(zip(columns, cells, strict=True))


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a numpy archive, by name.

    Raises:
        SuiteError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # of a file that rotted, archive, compression and numpy each raise what they like
        raise damaged(path, f"is damaged: {error or type(error).__name__}") from error


def damaged(path: Path, problem: str) -> SuiteError:
    """The error for a file that is there but cannot be used; guessing around it could turn a loss into a pass."""
    return SuiteError(
        f"{path} {problem}",
        hint="restore the file from a copy, or repeat the run; without it nothing can be said of this run",
    )
