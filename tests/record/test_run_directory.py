"""A run directory is written as it is read, at any moment, also after a crash and on a full disk."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from necp_validate.core import SuiteError, UsageError
from necp_validate.record import (
    CoreShutdown,
    Drain,
    HdrHistogram,
    HistoryWriter,
    HostSample,
    IntervalSet,
    LoadRecord,
    PartitionRead,
    Phase,
    PhaseCounts,
    Readback,
    ReceiptsRecord,
    RunInfo,
    Sighting,
    StreamRead,
    StreamRecord,
    TimelineRow,
    layout,
    read_history,
    write_json,
)
from necp_validate.record.writer import CsvRows, JsonLines

RUN = RunInfo(id="r1", scenario="smoke", scale=0.5, seed=7, config={"thresholds": {"drain_s": 3}})
PHASE = Phase(name="steady", kind="steady", start_us=10, end_us=2_000_010, target_eps={"combat": 100.0})


def load_record(worker: str) -> LoadRecord:
    stream = StreamRecord(
        stream="0a1b2c3d",
        domain="combat",
        topic="game.combat.events",
        key="match-0001",
        sent=10,
        acked=IntervalSet([(0, 6), (8, 9)]),
        unknown=IntervalSet([(7, 7)]),
        digest=2**64 - 1,
        max_acked_offset=8,
    )
    return LoadRecord(
        worker=worker,
        streams=(stream,),
        guarantees={"combat": {"acks": "all"}},
        planted={"combat": {"cheat": 2}},
        phases={"steady": {"combat": PhaseCounts(scheduled=10, sent=10, acked=9)}},
        max_gap_ms={"steady": {"combat": 12.5}},
        examples=("timed out",),
    )


READBACK = Readback(
    events_read=9,
    partitions=(
        PartitionRead(topic="t", partition=0, low=0, high=9, read=9, offsets=IntervalSet([(0, 8)])),
        PartitionRead(topic="t", partition=1, low=0, high=0, read=0),
    ),
    streams={"0a1b2c3d": StreamRead(read=IntervalSet([(0, 6), (8, 9)]), digest=3, partitions=(0,))},
    examples=(Sighting(check="duplicate", detail="again", topic="t", partition=0, offset=4),),
    receipts=(ReceiptsRecord(topic="t", partition=0, accounted=IntervalSet([(0, 8)]), processed=9),),
    dead_letters={"t.dlt": 0},
)


@pytest.fixture
def writer(tmp_path: Path) -> HistoryWriter:
    writer = HistoryWriter(tmp_path / "runs" / "r1")
    writer.save_run(RUN)
    return writer


def test_every_part_is_read_as_it_was_written(writer: HistoryWriter) -> None:
    drain = Drain(phase_end_us=5, lag_at_end=3, drained_us=7, drain_s=0.5)
    shutdown = CoreShutdown(exit_code=0, seconds=1.5, healthy_before=True)
    host = HostSample(t=1.5, cpu_busy_pct=50.0)
    row = TimelineRow(t=1.0, domain="combat", phase="steady", sent=5, processed=5, e2e_p99_ms=1.5)
    writer.save_phases([PHASE])
    writer.save_load(load_record("w0"))
    writer.save_drain(drain)
    writer.save_readback(READBACK)
    writer.save_core_shutdown(shutdown)
    with writer.timeline("w0") as timeline, writer.metrics(layout.HOST_METRICS, HostSample) as metrics:
        timeline.write(row)
        metrics.write(host)
    history = read_history(writer.run_dir)
    assert (RUN, (PHASE,), (load_record("w0"),)) == (history.run, history.phases, history.loads)
    assert (drain, READBACK, shutdown) == (history.drain, history.readback, history.core_shutdown)
    assert (replace(row, worker="w0"),) == history.timeline
    assert (host,) == history.host
    assert history.threshold("drain_s", 10.0) == 3.0
    assert history.threshold("longest_gap_ms", 5.0) == 5.0


def test_what_is_missing_is_empty(writer: HistoryWriter) -> None:
    history = read_history(writer.run_dir)
    assert (history.drain, history.readback, history.core_shutdown) == (None, None, None)
    assert () == history.loads == history.phases == history.timeline == history.brokers
    assert history.latency == {}
    assert history.counts("steady") == PhaseCounts()
    assert history.histogram("steady", "e2e").total == 0


def test_several_workers_are_merged(writer: HistoryWriter) -> None:
    for number, worker in enumerate(("w0", "w1"), start=1):
        histogram = HdrHistogram()
        histogram.record_many(np.full(number, 500, dtype=np.int64))
        histogram.record(-3)
        writer.save_load(load_record(worker))
        writer.save_latency(worker, {("steady", "combat", "e2e"): histogram})
        with writer.timeline(worker) as timeline:
            timeline.write(TimelineRow(t=float(number), domain="combat"))
    history = read_history(writer.run_dir)
    merged = history.histogram("steady", "e2e", ["combat"])
    assert (merged.total, merged.negative) == (3, 2)
    assert history.histogram("steady", "e2e", ["social"]).total == 0
    assert history.counts("steady") == PhaseCounts(scheduled=20, sent=20, acked=18)
    assert history.planted("cheat", "combat") == 4
    assert [row.worker for row in history.timeline] == ["w0", "w1"]


def test_a_torn_last_line_is_ignored_and_cut_off_when_the_file_is_continued(writer: HistoryWriter) -> None:
    path = writer.run_dir / layout.TIMELINE.format(worker="w0")
    with writer.timeline("w0") as timeline:
        timeline.write({"t": 1, "domain": "combat"}, {"t": 2, "domain": "combat"})
    with path.open("a") as file:
        file.write('{"t": 3, "dom')
    assert [row.t for row in read_history(writer.run_dir).timeline] == [1.0, 2.0]
    with writer.timeline("w0") as timeline:
        timeline.write({"t": 4, "domain": "combat"})
    assert [row.t for row in read_history(writer.run_dir).timeline] == [1.0, 2.0, 4.0]


def test_a_torn_last_row_of_metrics_is_ignored(writer: HistoryWriter) -> None:
    path = writer.run_dir / layout.HOST_METRICS
    with writer.metrics(layout.HOST_METRICS, HostSample) as metrics:
        metrics.write({"t": 1, "cpu_busy_pct": None}, {"t": 2.5, "cpu_busy_pct": 7})
    with path.open("a") as file:
        file.write("3,9")
    samples = read_history(writer.run_dir).host
    assert [(sample.t, sample.cpu_busy_pct) for sample in samples] == [(1.0, None), (2.5, 7.0)]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("history/load-w0.json", '{"worker": "w0"}', "streams: is missing"),
        ("history/load-w0.json", '{"worker"', "is damaged"),
        ("history/drain.json", '{"phase_end_us": "soon", "lag_at_end": 1}', "phase_end_us: expected an int"),
        ("history/phases.json", '[{"name": "a", "kind": 1}]', r"\[0\].kind: expected a text"),
        ("history/phases.json", '{"name": "a"}', "expected a list"),
        (
            "history/readback.json",
            '{"events_read": 1, "partitions": [], "streams": {"a": {"read": [[3, 1]]}}}',
            "streams.a.read: expected intervals",
        ),
        ("history/timeline-w0.jsonl", "{}\n", "line 1 is damaged: t: is missing"),
        ("history/timeline-w0.jsonl", "nonsense\n", "line 1 is damaged"),
        ("metrics/host.csv", "t,cpu_busy_pct\n1,a lot\n", "line 2 is damaged: cpu_busy_pct: expected"),
        ("history/latency-w0.npz", "PK nonsense", "is damaged"),
        ("run.json", "[]", "expected an object"),
    ],
)
def test_a_damaged_file_is_named(writer: HistoryWriter, name: str, content: str, place: str) -> None:
    path = writer.run_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(SuiteError, match=place) as caught:
        read_history(writer.run_dir)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("arrays", [{"steady": np.zeros(3)}, {"a|b|e2e": np.zeros(3, dtype=np.int64)}])
def test_a_strange_array_is_damage(writer: HistoryWriter, arrays: dict[str, Any]) -> None:
    (writer.run_dir / "history").mkdir()
    np.savez(writer.run_dir / "history/latency-w0.npz", **arrays)
    with pytest.raises(SuiteError, match="latency-w0"):
        read_history(writer.run_dir)


def test_a_folder_without_a_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run directory"):
        read_history(tmp_path)


def test_unknown_keys_are_ignored(writer: HistoryWriter) -> None:
    """A newer writer stays readable."""
    write_json(writer.run_dir / layout.RUN, {"id": "x", "scenario": "s", "scale": 1, "seed": 0, "novelty": 3})
    assert read_history(writer.run_dir).run.id == "x"


def full_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_the_previous_file_stays(writer: HistoryWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(SuiteError, match="No space left") as caught:
        writer.save_run(replace(RUN, status="finished"))
    assert caught.value.hint
    monkeypatch.undo()
    assert read_history(writer.run_dir).run.status == "running"
    assert [path.name for path in writer.run_dir.iterdir()] == ["run.json"]


def test_half_a_row_on_a_full_disk_is_cut_off(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "rows.jsonl")
    lines.write({"a": 1})
    raw = lines._file

    class Half:
        def write(self, data: bytes) -> int:
            raw.write(data[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name: str) -> Any:
            return getattr(raw, name)

    lines._file = Half()  # type: ignore[assignment]
    with pytest.raises(SuiteError, match="No space left"):
        lines.write({"b": 2})
    lines._file = raw
    lines.write({"c": 3})
    lines.close()
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == [
        {"a": 1},
        {"c": 3},
    ]


def test_csv_refuses_what_would_break_its_rows(tmp_path: Path) -> None:
    with CsvRows(tmp_path / "a.csv", ["t", "name"]) as rows, pytest.raises(ValueError, match="name='a,b'"):
        rows.write({"t": 1, "name": "a,b"})


def test_a_row_of_not_a_number_is_refused(tmp_path: Path) -> None:
    """JSON has no NaN; a writer that made one would leave a file that others cannot read."""
    with JsonLines(tmp_path / "a.jsonl") as rows, pytest.raises(ValueError, match="JSON compliant"):
        rows.write({"t": float("nan")})
