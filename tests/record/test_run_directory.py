"""A run directory is written as it is read, at any moment, also after a crash and on a full disk."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral import neutral

from necp_validate.core import SuiteError, UsageError
from necp_validate.core.histogram import BUCKETS
from necp_validate.record import (
    CoreShutdown,
    Drain,
    HdrHistogram,
    HostSample,
    IntervalSet,
    LagSample,
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
    parts,
    read_record,
    write_json,
)
from necp_validate.record.codec import to_plain
from necp_validate.record.model import NO_EVENTS
from necp_validate.record.writer import CsvRows, JsonLines

START_S = 1_790_000_000
START_US = 1_790_000_000_000_000
RUN = neutral(RunInfo, id="r1", scenario="smoke", scale=0.5, seed=7, config={"thresholds": {"drain_s": 3}})
PHASE = neutral(
    Phase,
    name="steady",
    kind="steady",
    start_us=START_US + 10,
    end_us=START_US + 2_000_010,
    target_eps={"combat": 100.0},
)


def load_record(worker: str) -> LoadRecord:
    stream = neutral(
        StreamRecord,
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
    return neutral(
        LoadRecord,
        worker=worker,
        streams=(stream,),
        guarantees={"combat": {"acks": "all"}},
        planted={"combat": {"cheat": 2}},
        phases={
            "steady": {
                "combat": PhaseCounts(scheduled=10, sent=10, acked=9, failed=0, unknown=1, refused=0, unplaced=0)
            }
        },
        max_gap_ms={"steady": {"combat": 12.5}},
        examples=("timed out",),
    )


READBACK = neutral(
    Readback,
    events_read=9,
    partitions=(
        neutral(PartitionRead, topic="t", partition=0, low=0, high=9, read=9, offsets=IntervalSet([(0, 8)])),
        neutral(PartitionRead, topic="t", partition=1, low=0, high=0, read=0),
    ),
    streams={"0a1b2c3d": neutral(StreamRead, read=IntervalSet([(0, 6), (8, 9)]), digest=3, partitions=(0,))},
    examples=(neutral(Sighting, check="duplicate", detail="again", topic="t", partition=0, offset=4),),
    receipts=(neutral(ReceiptsRecord, topic="t", partition=0, accounted=IntervalSet([(0, 8)]), processed=9),),
    dead_letters={"t.dlt": 0},
)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "r1"
    parts.RUN.write(folder, RUN)
    return folder


def test_every_part_is_read_as_it_was_written(run_dir: Path) -> None:
    drain = Drain(phase_end_us=START_US, lag_at_end=3, drained_us=7, drain_s=0.5)
    shutdown = CoreShutdown(exit_code=0, seconds=1.5, healthy_before=True)
    host = HostSample(t=START_S + 1.5, cpu_busy_pct=50.0)
    row = neutral(TimelineRow, t=START_S, domain="combat", phase="steady", sent=5, processed=5, e2e_p99_ms=1.5)
    parts.PHASES.write(run_dir, [PHASE])
    parts.LOADS.write(run_dir, load_record("w0"))
    parts.DRAIN.write(run_dir, drain)
    parts.READBACK.write(run_dir, READBACK)
    parts.CORE_SHUTDOWN.write(run_dir, shutdown)
    with parts.TIMELINE.open(run_dir, "w0") as timeline, parts.HOST.open(run_dir) as metrics:
        timeline.write(row)
        metrics.write(host)
    history = read_record(run_dir)
    assert (RUN, (PHASE,), (load_record("w0"),)) == (history.run, history.phases, history.loads)
    assert (drain, READBACK, shutdown) == (history.drain, history.readback, history.core_shutdown)
    assert (replace(row, worker="w0"),) == history.timeline
    assert (host,) == history.host


def test_what_is_missing_is_empty(run_dir: Path) -> None:
    history = read_record(run_dir)
    assert (history.drain, history.readback, history.core_shutdown) == (None, None, None)
    assert () == history.loads == history.phases == history.timeline == history.brokers
    assert history.latency == {}
    assert history.counts("steady") == NO_EVENTS
    assert history.histogram("steady", "e2e").total == 0


def test_several_workers_are_merged(run_dir: Path) -> None:
    for number, worker in enumerate(("w0", "w1"), start=1):
        histogram = HdrHistogram()
        histogram.record_many(np.full(number, 500, dtype=np.int64))
        histogram.record(-3)
        parts.LOADS.write(run_dir, load_record(worker))
        parts.LATENCY.write(run_dir, worker, {("steady", "combat", "e2e"): histogram})
        with parts.TIMELINE.open(run_dir, worker) as timeline:
            timeline.write(neutral(TimelineRow, t=START_S + number, domain="combat"))
    history = read_record(run_dir)
    merged = history.histogram("steady", "e2e", ["combat"])
    assert (merged.total, merged.negative) == (3, 2)
    assert history.histogram("steady", "e2e", ["social"]).total == 0
    assert history.counts("steady") == PhaseCounts(
        scheduled=20, sent=20, acked=18, failed=0, unknown=2, refused=0, unplaced=0
    )
    assert history.planted("cheat", "combat") == 4
    assert [row.worker for row in history.timeline] == ["w0", "w1"]


def test_a_torn_last_line_is_ignored_and_cut_off_when_the_file_is_continued(run_dir: Path) -> None:
    path = parts.TIMELINE.file(run_dir, "w0")
    with parts.TIMELINE.open(run_dir, "w0") as timeline:
        timeline.write(
            neutral(TimelineRow, t=START_S + 1, domain="combat"), neutral(TimelineRow, t=START_S + 2, domain="combat")
        )
    with path.open("a") as file:
        file.write('{"t": 3, "dom')
    assert [row.t - START_S for row in read_record(run_dir).timeline] == [1, 2]
    with parts.TIMELINE.open(run_dir, "w0") as timeline:
        timeline.write(neutral(TimelineRow, t=START_S + 4, domain="combat"))
    assert [row.t - START_S for row in read_record(run_dir).timeline] == [1, 2, 4]


def test_a_torn_last_row_of_metrics_is_ignored(run_dir: Path) -> None:
    path = parts.HOST.file(run_dir)
    with parts.HOST.open(run_dir) as metrics:
        metrics.write(HostSample(t=START_S), HostSample(t=START_S + 1.5, cpu_busy_pct=7))
    with path.open("a") as file:
        file.write("3,9")
    samples = read_record(run_dir).host
    assert [(sample.t - START_S, sample.cpu_busy_pct) for sample in samples] == [(0.0, None), (1.5, 7.0)]


def drain(**texts: str) -> str:
    """A drain as JSON, with some of its values as they are written there."""
    values = {"phase_end_us": str(START_US), "lag_at_end": "1", "drained_us": "null", "drain_s": "null", **texts}
    return "{" + ", ".join(f'"{name}": {text}' for name, text in values.items()) + "}"


def phases(*spans: tuple[int, int]) -> str:
    """Phases from one second of the run to another."""
    made = [
        replace(PHASE, name=f"p{n}", start_us=START_US + a * 10**6, end_us=START_US + b * 10**6)
        for n, (a, b) in enumerate(spans)
    ]
    return json.dumps(to_plain(made))


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("history/load-w0.json", '{"worker": "w0"}', "streams: is missing"),
        ("history/load-w0.json", '{"worker"', "is damaged"),
        ("history/drain.json", '{"phase_end_us": "soon", "lag_at_end": 1}', "phase_end_us: expected an int"),
        ("history/drain.json", '{"phase_end_us": 5, "lag_at_end": 1}', "phase_end_us: expected a time in micro"),
        ("history/drain.json", drain(lag_at_end="NaN"), "expected a number, found NaN"),
        ("history/drain.json", drain(lag_at_end="-1"), "lag_at_end: expected 0 or more, found -1"),
        ("history/drain.json", drain(drain_s="1e999"), "expected a number, found 1e999"),
        ("history/drain.json", drain(lag_at_end='1, "lag_at_end": 2'), "lag_at_end: is there twice"),
        ("history/phases.json", phases((0, 2), (1, 3)), r"\[1\].start_us: is before the end of p0"),
        ("history/phases.json", phases((2, 1)), r"\[0\].end_us: is before start_us"),
        ("history/phases.json", '[{"name": "a", "kind": 1}]', r"\[0\].kind: expected a text"),
        ("history/phases.json", '{"name": "a"}', "expected a list"),
        (
            "history/readback.json",
            '{"events_read": 1, "partitions": [], "streams": {"a": {"read": [[3, 1]]}}}',
            "streams.a.read: expected intervals",
        ),
        (
            "history/readback.json",
            '{"events_read": 1, "partitions": [], "streams": {"a": {"read": [[-1, 1]]}}}',
            "streams.a.read: expected intervals",
        ),
        ("history/timeline-w0.jsonl", "{}\n", "line 1 is damaged: t: is missing"),
        ("history/timeline-w0.jsonl", "nonsense\n", "line 1 is damaged"),
        ("metrics/host.csv", "t,cpu_busy_pct\n1790000000,a lot\n", "line 2 is damaged: cpu_busy_pct: expected"),
        ("metrics/host.csv", "t,cpu_busy_pct\n1790000000,nan\n", "line 2 is damaged: cpu_busy_pct: expected a number"),
        ("metrics/host.csv", "t,cpu_busy_pct\n1790000000,101\n", "line 2 is damaged: cpu_busy_pct: expected a perc"),
        ("metrics/host.csv", "t,cpu_busy_pct\n1790000000\n", "line 2 is damaged: 1 cells in the columns"),
        ("metrics/host.csv", "t,t\n1790000000,1790000000\n", "line 2 is damaged: 2 cells in the columns t,t"),
        ("history/latency-w0.npz", "PK nonsense", "is damaged"),
        ("history/drain.json", "[" * 100_000, "is damaged"),
        ("run.json", '{"scale": 1' + "0" * 400 + "}", "is damaged"),
        ("run.json", "[]", "expected an object"),
    ],
)
def test_a_damaged_file_is_named(run_dir: Path, name: str, content: str, place: str) -> None:
    path = run_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(SuiteError, match=place) as caught:
        read_record(run_dir)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


def test_whatever_bytes_rot_in_an_archive_is_damage_or_changes_nothing(run_dir: Path, tmp_path: Path) -> None:
    """Also where the decompression fails before a checksum is looked at, and where it is another kind of file."""
    histogram = HdrHistogram()
    histogram.record_many(np.arange(1, 200_000, 7, dtype=np.int64))
    path = parts.LATENCY.file(tmp_path, "w0")
    parts.LATENCY.write(tmp_path, "w0", {("steady", "combat", "e2e"): histogram})
    whole, found = path.read_bytes(), 0
    for at in range(0, len(whole), max(len(whole) // 200, 1)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(SuiteError):  # any other error is none for a person, and fails this test
            parts.LATENCY.read(tmp_path)
            continue
        found += 1
    assert found > 50
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(SuiteError, match="is damaged"):
        parts.LATENCY.read(tmp_path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"steady": np.zeros(3)},
        {"a|b|e2e": np.zeros(3, dtype=np.int64), "a|b|e2e|negative": 0},
        {"a|b|e2e": np.zeros(BUCKETS, dtype=np.int64)},
        {"a|b|e2e|negative": 0},
        {"a|b|e2e": np.full(BUCKETS, -1, dtype=np.int64), "a|b|e2e|negative": 0},
        {"a|b|e2e": np.zeros(BUCKETS, dtype=np.int64), "a|b|e2e|negative": -1},
    ],
)
def test_a_strange_array_is_damage(run_dir: Path, arrays: dict[str, Any]) -> None:
    (run_dir / "history").mkdir()
    np.savez(run_dir / "history/latency-w0.npz", **arrays)
    with pytest.raises(SuiteError, match="latency-w0"):
        read_record(run_dir)


def test_a_folder_without_a_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run directory"):
        read_record(tmp_path)


def test_unknown_keys_are_ignored(run_dir: Path) -> None:
    """A newer writer stays readable."""
    write_json(parts.RUN.file(run_dir), {**to_plain(RUN), "novelty": 3})
    assert read_record(run_dir).run == RUN


def full_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_the_previous_file_stays(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(SuiteError, match="No space left") as caught:
        parts.RUN.write(run_dir, replace(RUN, status="finished"))
    assert caught.value.hint
    monkeypatch.undo()
    assert read_record(run_dir).run == RUN
    assert [path.name for path in run_dir.iterdir()] == ["run.json"]


def test_half_a_row_on_a_full_disk_is_cut_off(tmp_path: Path) -> None:
    lines: JsonLines[dict[str, int]] = JsonLines(tmp_path / "rows.jsonl")
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
    with CsvRows(tmp_path / "a.csv", LagSample) as rows, pytest.raises(ValueError, match="domain='a,b'"):
        rows.write(neutral(LagSample, domain="a,b"))


def test_a_row_of_not_a_number_is_refused(tmp_path: Path) -> None:
    """JSON has no NaN; a writer that made one would leave a file that others cannot read."""
    with JsonLines[dict[str, float]](tmp_path / "a.jsonl") as rows, pytest.raises(ValueError, match="JSON compliant"):
        rows.write({"t": float("nan")})
