"""Writing a run directory so that it can be read at any moment, also after a crash or on a full disk.

Whole files are written beside their place and renamed onto it: a reader sees the old or the new one, never
half. Rows are appended; what a failed write left behind is cut off, so only the last line can ever be torn.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np

from necp_validate.core import SuiteError
from necp_validate.record.codec import to_plain

R = TypeVar("R")
_TAIL_BYTES = 1 << 16


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file as one step.

    Raises:
        SuiteError: the disk is full or the place not writable; the previous file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        try:
            temporary.unlink(missing_ok=True)
        except OSError as second:
            error.add_note(f"and the half-written {temporary.name} could not be removed: {second}")
        raise _not_written(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as one step; ``value`` may be a dataclass of the model or hold some."""
    write_bytes(path, json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False).encode() + b"\n")


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Replace a compressed numpy archive as one step."""
    buffer = io.BytesIO()
    members: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(buffer, **members)
    write_bytes(path, buffer.getvalue())


class Appender(ABC, Generic[R]):
    """An append-only file of rows, on disk when ``write`` returns; after a failure it ends with its last whole line.

    Args:
        path: the file.
        left_out: fields of a row that are not written.
    """

    def __init__(self, path: Path, left_out: Collection[str] = ()) -> None:
        self.path = path
        self.left_out = frozenset(left_out)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._size = self._end_of_last_line()
            self._file.truncate(self._size)
        except OSError as error:
            raise _not_written(path, error) from error

    def write(self, *rows: R) -> None:
        """Append rows.

        Raises:
            SuiteError: the disk is full; the rows before stay readable.
            ValueError: a row holds what the file's form cannot.
        """
        self._append("".join(self._line(to_plain(row)) for row in rows).encode())

    @abstractmethod
    def _line(self, row: Mapping[str, Any]) -> str:
        """One row as a whole line."""

    def _end_of_last_line(self) -> int:
        end = self._file.tell()
        with self.path.open("rb") as file:
            while end > 0:
                start = max(end - _TAIL_BYTES, 0)
                file.seek(start)
                at = file.read(end - start).rfind(b"\n")
                if at >= 0:
                    return start + at + 1
                end = start
        return 0

    def _append(self, lines: bytes) -> None:
        try:
            written = 0
            while written < len(lines):
                written += self._file.write(lines[written:])
        except OSError as error:
            self._file.truncate(self._size)
            raise _not_written(self.path, error) from error
        self._size += len(lines)

    def close(self) -> None:
        """Close the file; it can be opened again and continued."""
        self._file.close()

    def __enter__(self) -> Appender[R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonLines(Appender[R]):
    """One JSON object a line."""

    def _line(self, row: Mapping[str, Any]) -> str:
        kept = {name: value for name, value in row.items() if name not in self.left_out}
        return json.dumps(kept, ensure_ascii=False, allow_nan=False) + "\n"


class CsvRows(Appender[R]):
    """CSV of numbers and plain words, with a header; ``None`` becomes empty.

    Args:
        path: the file.
        kind: dataclass of a row, whose fields are the columns.
        left_out: fields that are no columns.
    """

    def __init__(self, path: Path, kind: type[R], left_out: Collection[str] = ()) -> None:
        super().__init__(path, left_out)
        fields: tuple[Any, ...] = dataclasses.fields(kind)  # type: ignore[arg-type]  # a dataclass
        self.columns = tuple(field.name for field in fields if field.name not in self.left_out)
        if self._size == 0:
            self._append((",".join(self.columns) + "\n").encode())

    def _line(self, row: Mapping[str, Any]) -> str:
        texts = []
        for column in self.columns:
            value = row[column]
            text = "" if value is None else str(value)
            if any(mark in text for mark in ',"\r\n'):
                raise ValueError(f"{self.path.name}: {column}={text!r} does not fit a plain CSV")
            texts.append(text)
        return ",".join(texts) + "\n"


def _not_written(path: Path, error: OSError) -> SuiteError:
    return SuiteError(
        f"could not write {path}: {error.strerror or error}",
        hint="what was written before is still readable; free space or fix the permissions, then run again",
    )
