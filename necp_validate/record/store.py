"""Parts of a record: where each lies in a run directory, what it holds, and how it is written and read.

A part that was never written is absent: ``None``, or empty where it is a collection. A part that is there but damaged
is an error, because guessing around it could turn a loss into a pass. Only the last line of an appended file may be
torn.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from necp_validate.core import SuiteError
from necp_validate.core.histogram import HdrHistogram
from necp_validate.record.codec import DecodeError
from necp_validate.record.files import damaged, read_arrays, read_json, read_rows
from necp_validate.record.writer import Appender, CsvRows, JsonLines, write_json, write_npz

T = TypeVar("T")
R = TypeVar("R")
LatencyMap: TypeAlias = dict[tuple[str, str, str], HdrHistogram]
"""Histograms by phase name, domain and kind (e2e, ack, late, at_once)."""


class Part(ABC, Generic[T]):
    """One part of a record.

    Args:
        path: in the run directory; it contains ``{worker}`` where each worker writes a file of its own.
        absent: what the part is while nothing was written.
    """

    def __init__(self, path: str, absent: Callable[[], T]) -> None:
        self.path = path
        self.absent = absent

    def attribute(self) -> T:
        """Declare the attribute of a record that holds this part."""
        made: T = dataclasses.field(default_factory=self.absent, metadata={"part": self})
        return made

    def file(self, run_dir: Path, worker: str = "") -> Path:
        """The file of the part, or of one worker's share of it."""
        return run_dir / self.path.format(worker=worker)

    def files(self, run_dir: Path) -> dict[str, Path]:
        """The files that are there, by worker and in their order; ``""`` where workers have no file of their own."""
        before, between, after = self.path.partition("{worker}")
        if not between:
            return {"": run_dir / self.path} if (run_dir / self.path).exists() else {}
        found = sorted(run_dir.glob(f"{before}*{after}"))
        return {path.name.removeprefix(before.rpartition("/")[2]).removesuffix(after): path for path in found}

    @abstractmethod
    def read(self, run_dir: Path) -> T:
        """Read the part, the files of all workers together.

        Raises:
            SuiteError: a file is damaged; the message names it.
        """


class Document(Part[R | None]):
    """One JSON object."""

    def __init__(self, path: str, kind: type[R]) -> None:
        super().__init__(path, lambda: None)
        self.kind = kind

    def write(self, run_dir: Path, value: R) -> None:
        """Replace the file as one step.

        Raises:
            SuiteError: the disk is full or the place not writable; the previous file is untouched.
        """
        write_json(self.file(run_dir), value)

    def read(self, run_dir: Path) -> R | None:
        """Read the object; None if it was not written."""
        return read_json(self.file(run_dir), self.kind)


class Listing(Part[tuple[R, ...]]):
    """One JSON list of objects.

    Args:
        path: as for every part.
        kind: dataclass of an object.
        check: raises `DecodeError` where the objects do not go together.
    """

    def __init__(self, path: str, kind: type[R], *, check: Callable[[tuple[R, ...]], None] | None = None) -> None:
        super().__init__(path, tuple)
        self.kind = kind
        self.check = check

    def write(self, run_dir: Path, values: Iterable[R]) -> None:
        """Replace the file as one step; raises as `Document.write` does."""
        write_json(self.file(run_dir), list(values))

    def read(self, run_dir: Path) -> tuple[R, ...]:
        """Read the objects; none if there is no file."""
        values: tuple[R, ...] = read_json(self.file(run_dir), tuple[self.kind, ...]) or ()  # type: ignore[name-defined]
        try:
            if self.check is not None:
                self.check(values)
        except DecodeError as error:
            raise damaged(self.file(run_dir), f"is damaged: {error}") from error
        return values


class PerWorker(Part[tuple[R, ...]]):
    """A JSON object of each worker, which names its worker."""

    def __init__(self, path: str, kind: type[R]) -> None:
        super().__init__(path, tuple)
        self.kind = kind

    def write(self, run_dir: Path, value: R) -> None:
        """Replace the worker's file as one step; raises as `Document.write` does."""
        named: Any = value
        write_json(self.file(run_dir, named.worker), value)

    def read(self, run_dir: Path) -> tuple[R, ...]:
        """Read the objects of all workers, by the names of their files."""
        found = [(path, read_json(path, self.kind)) for path in self.files(run_dir).values()]
        for path, value in found:
            if value is None:
                raise SuiteError(f"{path} vanished while the run was read", hint="run the command again")
        return tuple(value for _, value in found if value is not None)


class Rows(Part[tuple[R, ...]]):
    """Rows that are appended one by one: JSON lines, or plain CSV where the file is named so.

    Args:
        path: as for every part. A row that has an attribute ``worker`` gets it from the file's name.
        kind: dataclass of a row.
        order: key by which rows are sorted when they are read; None: as they lie in the files.
    """

    def __init__(self, path: str, kind: type[R], *, order: Callable[[R], Any] | None = None) -> None:
        super().__init__(path, tuple)
        self.kind = kind
        self.order = order

    def open(self, run_dir: Path, worker: str = "") -> Appender[R]:
        """Open the file for appending.

        Raises:
            SuiteError: it cannot be opened.
        """
        path, left_out = self.file(run_dir, worker), self.given(worker)
        return CsvRows(path, self.kind, left_out) if path.suffix == ".csv" else JsonLines(path, left_out)

    def append(self, run_dir: Path, *rows: R, worker: str = "") -> None:
        """Append rows; they are on disk when this returns.

        Raises:
            SuiteError: they could not be written; the rows before stay readable.
        """
        with self.open(run_dir, worker) as file:
            file.write(*rows)

    def read(self, run_dir: Path) -> tuple[R, ...]:
        """Read the rows of all workers in their order."""
        rows = [row for worker in self.files(run_dir) for row in self.read_of(run_dir, worker)]
        return tuple(rows if self.order is None else sorted(rows, key=self.order))

    def read_of(self, run_dir: Path, worker: str) -> list[R]:
        """Read the rows of one worker; none if it has no file.

        Raises:
            SuiteError: the file is damaged; only its last line may be torn.
        """
        return read_rows(self.file(run_dir, worker), self.kind, self.given(worker))

    def given(self, worker: str) -> dict[str, str]:
        """Values that are in the name of a file and not in its rows."""
        names: tuple[Any, ...] = dataclasses.fields(self.kind)  # type: ignore[arg-type]  # a dataclass
        of_worker = "{worker}" in self.path and "worker" in {field.name for field in names}
        return {"worker": worker} if of_worker else {}


class Histograms(Part[LatencyMap]):
    """HDR histograms by phase, domain and kind, a file of each worker, which are merged when they are read."""

    def __init__(self, path: str) -> None:
        super().__init__(path, dict)

    def write(self, run_dir: Path, worker: str, histograms: Mapping[tuple[str, str, str], HdrHistogram]) -> None:
        """Replace the worker's file as one step; raises as `Document.write` does."""
        arrays: dict[str, Any] = {}
        for key, histogram in histograms.items():
            column = "|".join(key)
            arrays[column] = histogram.counts
            arrays[f"{column}|negative"] = np.int64(histogram.negative)
        write_npz(self.file(run_dir, worker), arrays)

    def read(self, run_dir: Path) -> LatencyMap:
        """Read and merge the histograms of all workers."""
        merged: LatencyMap = {}
        for path in self.files(run_dir).values():
            for key, histogram in _histograms(path).items():
                merged.setdefault(key, HdrHistogram()).merge(histogram)
        return merged


def parts_of(record: type[Any]) -> dict[str, Part[Any]]:
    """The parts that a kind of record has, by attribute."""
    return {field.name: field.metadata["part"] for field in dataclasses.fields(record) if "part" in field.metadata}


def _histograms(path: Path) -> LatencyMap:
    arrays = read_arrays(path)
    histograms: LatencyMap = {}
    names = {name.removesuffix("|negative") for name in arrays}
    for name in sorted(names):
        parts = name.split("|")
        if len(parts) != 3:
            raise damaged(path, f"is damaged: array {name!r} is not named <phase>|<domain>|<kind>")
        try:
            counts, negative = arrays[name], int(arrays[f"{name}|negative"])
            histograms[parts[0], parts[1], parts[2]] = HdrHistogram.from_array(counts, negative=negative)
        except KeyError as error:
            raise damaged(path, f"is damaged: array {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise damaged(path, f"is damaged: array {name!r}: {error}") from error
    return histograms
