"""Writing a run directory so that it can be read at any moment, also after a crash or on a full disk.

Whole files are written beside their place and renamed onto it: a reader sees the old or the new one, never
half. Rows are appended; what a failed write left behind is cut off, so only the last line can ever be torn.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

from necp_validate.core import SuiteError
from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import layout
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.codec import to_plain
from necp_validate.record.fuzz import FuzzRecord
from necp_validate.record.gateway import GatewayRecord
from necp_validate.record.model import CoreShutdown, Drain, LoadRecord, Phase, RunInfo, ServiceShutdown
from necp_validate.record.players import PlayersRecord, PlayersRow
from necp_validate.record.readback import Readback

LatencyKey: TypeAlias = tuple[str, str, str]
"""Phase, domain and kind (e2e, ack, late)."""

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


class _Appender:
    """Appends whole lines; after a failure the file ends with the last whole line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._size = self._end_of_last_line()
            self._file.truncate(self._size)
        except OSError as error:
            raise _not_written(path, error) from error

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

    def append(self, lines: bytes) -> None:
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonLines(_Appender):
    """An append-only file of one JSON object a line, on disk when ``write`` returns."""

    def __enter__(self) -> JsonLines:
        return self

    def write(self, *rows: Any) -> None:
        """Append rows (mappings or dataclasses of the model).

        Raises:
            SuiteError: the disk is full; the rows before stay readable.
        """
        lines = (json.dumps(to_plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        self.append("".join(lines).encode())


class CsvRows(_Appender):
    """An append-only CSV file of numbers and plain words; the header is written once.

    Args:
        path: the file.
        columns: names, or a flat dataclass of the model whose fields are the columns.
    """

    def __init__(self, path: Path, columns: Iterable[str] | type[Any]) -> None:
        super().__init__(path)
        if isinstance(columns, type):
            columns = [field.name for field in dataclasses.fields(columns)]
        self.columns = tuple(columns)
        if self._size == 0:
            self.append((",".join(self.columns) + "\n").encode())

    def __enter__(self) -> CsvRows:
        return self

    def write(self, *rows: Any) -> None:
        """Append rows (mappings or dataclasses); ``None`` and missing columns become empty.

        Raises:
            SuiteError: the disk is full; the rows before stay readable.
            ValueError: a text holds a comma, a quote or a line break.
        """
        self.append("".join(self._line(to_plain(row)) for row in rows).encode())

    def _line(self, row: Mapping[str, Any]) -> str:
        texts = []
        for column in self.columns:
            value = row.get(column)
            text = "" if value is None else str(value)
            if any(mark in text for mark in ',"\r\n'):
                raise ValueError(f"{self.path.name}: {column}={text!r} does not fit a plain CSV")
            texts.append(text)
        return ",".join(texts) + "\n"


class HistoryWriter:
    """Writes the parts of one run directory under their agreed names.

    Args:
        run_dir: ``reports/runs/<id>``; created with the first file.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def save_run(self, run: RunInfo) -> None:
        """Write ``run.json``."""
        write_json(self.run_dir / layout.RUN, run)

    def save_phases(self, phases: Iterable[Phase]) -> None:
        """Write ``history/phases.json``."""
        write_json(self.run_dir / layout.PHASES, list(phases))

    def save_load(self, record: LoadRecord) -> None:
        """Write ``history/load-<worker>.json``."""
        write_json(self.run_dir / layout.LOAD.format(worker=record.worker), record)

    def save_drill(self, record: LoadRecord) -> None:
        """Write ``history/drill-<worker>.json``."""
        write_json(self.run_dir / layout.DRILL.format(worker=record.worker), record)

    def save_latency(self, worker: str, histograms: Mapping[LatencyKey, HdrHistogram]) -> None:
        """Write ``history/latency-<worker>.npz``."""
        self._save_histograms(layout.LATENCY.format(worker=worker), histograms)

    def save_players(self, record: PlayersRecord) -> None:
        """Write ``history/players-<worker>.json``."""
        write_json(self.run_dir / layout.PLAYERS.format(worker=record.worker), record)

    def save_players_latency(self, worker: str, histograms: Mapping[LatencyKey, HdrHistogram]) -> None:
        """Write ``history/players-latency-<worker>.npz``, by phase, kind of action and kind of latency."""
        self._save_histograms(layout.PLAYERS_LATENCY.format(worker=worker), histograms)

    def players_timeline(self, worker: str) -> CsvRows:
        """Open ``history/players-timeline-<worker>.csv`` for rows of :class:`PlayersRow`."""
        columns = [column.name for column in dataclasses.fields(PlayersRow) if column.name != "worker"]
        return CsvRows(self.run_dir / layout.PLAYERS_TIMELINE.format(worker=worker), columns)

    def _save_histograms(self, name: str, histograms: Mapping[LatencyKey, HdrHistogram]) -> None:
        arrays: dict[str, Any] = {}
        for key, histogram in histograms.items():
            column = "|".join(key)
            arrays[column] = histogram.counts
            arrays[f"{column}|negative"] = np.int64(histogram.negative)
        write_npz(self.run_dir / name, arrays)

    def timeline(self, worker: str) -> JsonLines:
        """Open ``history/timeline-<worker>.jsonl`` for rows of :class:`TimelineRow`."""
        return JsonLines(self.run_dir / layout.TIMELINE.format(worker=worker))

    def save_drain(self, drain: Drain) -> None:
        """Write ``history/drain.json``."""
        write_json(self.run_dir / layout.DRAIN, drain)

    def save_readback(self, readback: Readback) -> None:
        """Write ``history/readback.json``."""
        write_json(self.run_dir / layout.READBACK, readback)

    def save_core_shutdown(self, shutdown: CoreShutdown) -> None:
        """Write ``history/core-shutdown.json``."""
        write_json(self.run_dir / layout.CORE_SHUTDOWN, shutdown)

    def save_gateway(self, record: GatewayRecord) -> None:
        """Write ``history/gateway.json``."""
        write_json(self.run_dir / layout.GATEWAY, record)

    def save_collector(self, record: CollectorRecord) -> None:
        """Write ``history/collector.json``."""
        write_json(self.run_dir / layout.COLLECTOR, record)

    def save_audit(self, record: AuditRecord) -> None:
        """Write ``history/audit.json``."""
        write_json(self.run_dir / layout.AUDIT, record)

    def save_fuzz(self, record: FuzzRecord) -> None:
        """Write ``history/fuzz.json``."""
        write_json(self.run_dir / layout.FUZZ, record)

    def save_gateway_shutdown(self, shutdown: ServiceShutdown) -> None:
        """Write ``history/gateway-shutdown.json``."""
        write_json(self.run_dir / layout.GATEWAY_SHUTDOWN, shutdown)

    def metrics(self, name: str, columns: Iterable[str] | type[Any]) -> CsvRows:
        """Open one of the metrics files, by its place in :mod:`layout`, e.g. ``layout.HOST_METRICS``."""
        return CsvRows(self.run_dir / name, columns)


def _not_written(path: Path, error: OSError) -> SuiteError:
    return SuiteError(
        f"could not write {path}: {error.strerror or error}",
        hint="what was written before is still readable; free space or fix the permissions, then run again",
    )
