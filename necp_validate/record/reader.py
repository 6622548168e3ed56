"""Reading a run directory back: whatever is there, merged over the load workers.

A part that was never written is ``None`` or empty: the checks then say *unknown*. A part that is there but
damaged is an error, because guessing around it could turn a loss into a pass. Only the last line of an
appended file may be torn.
"""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from necp_validate.core import SuiteError, UsageError
from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import layout
from necp_validate.record.alerts import MonitoringRecord, read_transitions
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.codec import DecodeError, from_plain, from_text_row
from necp_validate.record.drills import read_drills
from necp_validate.record.experiments import read_outcomes
from necp_validate.record.faults import read_faults
from necp_validate.record.files import damaged, whole_lines
from necp_validate.record.fuzz import FuzzRecord
from necp_validate.record.gateway import GatewayRecord
from necp_validate.record.limits import read_breakers, read_floods
from necp_validate.record.model import (
    BrokerSample,
    CoreShutdown,
    Drain,
    GatewaySample,
    GroupSample,
    HostSample,
    IsrSample,
    LagSample,
    LeaderSample,
    LoadRecord,
    Phase,
    RunInfo,
    ServiceShutdown,
    TimelineRow,
)
from necp_validate.record.players import PlayersRecord, PlayersRow
from necp_validate.record.readback import Readback
from necp_validate.record.record import History, LatencyMap
from necp_validate.record.security import read_rounds
from necp_validate.record.workers import WorkerRecord

T = TypeVar("T")


def read_history(run_dir: Path | str) -> History:
    """Read all that a run directory holds.

    Raises:
        UsageError: this is not a run directory.
        SuiteError: a file is damaged; the message names it.
    """
    run_dir = Path(run_dir)
    run = read_info(run_dir)
    timeline = [row for path in _workers(run_dir, layout.TIMELINE) for row in _read_timeline(path)]
    return History(
        run=run,
        run_dir=run_dir,
        phases=_read_json(run_dir / layout.PHASES, tuple[Phase, ...]) or (),
        workers=read_workers(run_dir),
        loads=tuple(_required(path, LoadRecord) for path in _workers(run_dir, layout.LOAD)),
        players=tuple(_required(path, PlayersRecord) for path in _workers(run_dir, layout.PLAYERS)),
        players_latency=_read_latency(run_dir, layout.PLAYERS_LATENCY),
        players_timeline=tuple(sorted(_read_players_timeline(run_dir), key=lambda row: row.t)),
        latency=_read_latency(run_dir, layout.LATENCY),
        timeline=tuple(sorted(timeline, key=lambda row: (row.t, row.domain))),
        drain=_read_json(run_dir / layout.DRAIN, Drain),
        readback=_read_json(run_dir / layout.READBACK, Readback),
        core_shutdown=_read_json(run_dir / layout.CORE_SHUTDOWN, CoreShutdown),
        gateway_record=_read_json(run_dir / layout.GATEWAY, GatewayRecord),
        collector_record=_read_json(run_dir / layout.COLLECTOR, CollectorRecord),
        audit=_read_json(run_dir / layout.AUDIT, AuditRecord),
        fuzz=_read_json(run_dir / layout.FUZZ, FuzzRecord),
        gateway_shutdown=_read_json(run_dir / layout.GATEWAY_SHUTDOWN, ServiceShutdown),
        faults=read_faults(run_dir),
        experiments=read_outcomes(run_dir),
        security=read_rounds(run_dir),
        alerts=read_transitions(run_dir),
        monitoring=_read_json(run_dir / layout.MONITORING, MonitoringRecord),
        drill_loads=tuple(_required(path, LoadRecord) for path in _workers(run_dir, layout.DRILL)),
        floods=read_floods(run_dir),
        breakers=read_breakers(run_dir),
        drills=read_drills(run_dir),
        host=_read_csv(run_dir / layout.HOST_METRICS, HostSample),
        brokers=_read_csv(run_dir / layout.BROKER_METRICS, BrokerSample),
        lag=_read_csv(run_dir / layout.LAG_METRICS, LagSample),
        isr=_read_csv(run_dir / layout.ISR_METRICS, IsrSample),
        groups=_read_csv(run_dir / layout.GROUP_METRICS, GroupSample),
        leaders=_read_csv(run_dir / layout.LEADER_METRICS, LeaderSample),
        gateway=_read_csv(run_dir / layout.GATEWAY_METRICS, GatewaySample),
    )


def read_info(run_dir: Path | str) -> RunInfo:
    """Read what was run, and nothing of what came of it.

    Raises:
        UsageError: this is not a run directory.
        SuiteError: the file is damaged.
    """
    run_dir = Path(run_dir)
    if not (run_dir / layout.RUN).is_file():
        raise UsageError(
            f"{run_dir} is not a run directory: it holds no {layout.RUN}",
            hint="give the directory of one run, e.g. reports/runs/<id>",
        )
    run = _read_json(run_dir / layout.RUN, RunInfo)
    if run is None:
        raise SuiteError(f"{run_dir / layout.RUN} vanished while it was read", hint="run the command again")
    return run


def read_workers(run_dir: Path | str) -> tuple[WorkerRecord, ...]:
    """Read who sent the load; nothing where one process did it all.

    Raises:
        SuiteError: the file is damaged.
    """
    return _read_json(Path(run_dir) / layout.WORKERS, tuple[WorkerRecord, ...]) or ()


def _workers(run_dir: Path, pattern: str) -> list[Path]:
    return sorted(run_dir.glob(pattern.format(worker="*")))


def _required(path: Path, cls: type[T]) -> T:
    value = _read_json(path, cls)
    if value is None:
        raise SuiteError(f"{path} vanished while the run was read", hint="run the command again")
    return value


def _read_json(path: Path, cls: type[T]) -> T | None:
    try:
        return from_plain(cls, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror or error}") from error
    except (DecodeError, ValueError) as error:
        raise damaged(path, f"is damaged: {error}") from error


def _read_timeline(path: Path) -> list[TimelineRow]:
    worker = path.stem.removeprefix("timeline-")
    rows = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            rows.append(replace(from_plain(TimelineRow, json.loads(line)), worker=worker))
        except (DecodeError, ValueError) as error:
            raise damaged(path, f"line {number} is damaged: {error}") from error
    return rows


def _read_players_timeline(run_dir: Path) -> list[PlayersRow]:
    rows = []
    for path in _workers(run_dir, layout.PLAYERS_TIMELINE):
        worker = path.stem.removeprefix("players-timeline-")
        rows += [replace(row, worker=worker) for row in _read_csv(path, PlayersRow)]
    return rows


def _read_csv(path: Path, cls: type[T]) -> tuple[T, ...]:
    rows = []
    for number, row in enumerate(csv.DictReader(whole_lines(path)), start=2):
        try:
            rows.append(from_text_row(cls, row))
        except DecodeError as error:
            raise damaged(path, f"line {number} is damaged: {error}") from error
    return tuple(rows)


def _read_latency(run_dir: Path, pattern: str) -> LatencyMap:
    merged: LatencyMap = {}
    for path in _workers(run_dir, pattern):
        for key, histogram in _read_histograms(path).items():
            merged.setdefault(key, HdrHistogram()).merge(histogram)
    return merged


def _read_histograms(path: Path) -> LatencyMap:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, f"is damaged: {error}") from error
    histograms: LatencyMap = {}
    for name, counts in arrays.items():
        parts = name.split("|")
        if parts[-1] == "negative":
            continue
        if len(parts) != 3:
            raise damaged(path, f"is damaged: array {name!r} is not named <phase>|<domain>|<kind>")
        try:
            negative = int(arrays.get(f"{name}|negative", 0))
            histograms[parts[0], parts[1], parts[2]] = HdrHistogram.from_array(counts, negative=negative)
        except (TypeError, ValueError) as error:
            raise damaged(path, f"is damaged: array {name!r}: {error}") from error
    return histograms
