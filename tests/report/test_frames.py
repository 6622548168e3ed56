"""Frames: workers merged, missing figures missing, percentiles only where samples carry them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate

from necp_validate.record import HdrHistogram, read_record
from necp_validate.report.frames import ALL, load_run, percentile_rows, records, throughput_rows, to_frames


def rows_of(frame, **wanted: str) -> list[dict]:
    return [row for row in records(frame) if all(row[key] == value for key, value in wanted.items())]


def test_time_counts_from_the_first_phase(sound: Path) -> None:
    run = load_run(sound)
    assert run.phases[0].start_s == 0
    assert run.timeline is not None
    assert (run.timeline.t_s.min(), run.timeline.t_s.max()) == (1, 45)
    assert run.domains == ("combat", "economy", "social", "system")


def test_workers_are_summed_and_the_worst_latency_is_kept(sound: Path) -> None:
    lines = (sound / "history/timeline-w0.jsonl").read_text().splitlines()
    slower = [{**json.loads(line), "e2e_p99_ms": 9999.0} for line in lines]
    (sound / "history/timeline-w1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in slower))
    first = json.loads(lines[0])
    timeline = load_run(sound).timeline
    assert timeline is not None
    row = rows_of(timeline[timeline.t_s == 1], domain=first["domain"])[0]
    assert row["acked_eps"] == 2 * first["acked"]
    assert row["e2e_p99_ms"] == 9999.0


def test_what_nobody_measured_is_not_zero(sound: Path) -> None:
    lines = (sound / "history/timeline-w0.jsonl").read_text().splitlines()
    blind = [{**json.loads(line), "processed": None, "rejected": None, "dead_lettered": None} for line in lines]
    (sound / "history/timeline-w0.jsonl").write_text("".join(json.dumps(row) + "\n" for row in blind))
    timeline = load_run(sound).timeline
    assert timeline is not None
    assert timeline.ended_eps.isna().all()


def test_a_torn_last_line_is_left_out(sound: Path) -> None:
    whole = load_run(sound)
    with (sound / "history/timeline-w0.jsonl").open("a") as file:
        file.write('{"t": 1790000099, "dom')
    with (sound / "metrics/host.csv").open("a") as file:
        file.write("1790000099,1")
    torn = load_run(sound)
    assert whole.timeline is not None
    assert torn.timeline is not None
    assert len(torn.timeline) == len(whole.timeline)


@pytest.mark.parametrize(
    ("samples", "p99", "p999"), [(999, False, False), (1_000, True, False), (9_999, True, False), (10_000, True, True)]
)
def test_percentiles_need_samples(sound: Path, samples: int, p99: bool, p999: bool) -> None:
    histogram = HdrHistogram()
    histogram.record(2_000, samples)
    history = read_record(sound)
    run = to_frames(replace(history, loads=(), latency={("steady", "combat", "e2e"): histogram}))
    row = rows_of(percentile_rows(run), phase="steady", domain="combat")[0]
    assert row["samples"] == samples
    assert (not math.isnan(row["p99"]), not math.isnan(row["p999"])) == (p99, p999)


def test_an_event_without_an_end_is_slower_than_any_other(tmp_path: Path) -> None:
    """Half of the events were never seen handled: the median is known, the 95th percentile is never."""
    run_dir = fabricate(tmp_path, Recipe())
    history = read_record(run_dir)
    acked = history.counts("steady", ["social"]).acked
    histogram = HdrHistogram()
    histogram.record(2_000, acked // 2 + 1)
    run = to_frames(replace(history, latency={("steady", "social", "e2e"): histogram}))
    row = rows_of(percentile_rows(run), phase="steady", domain="social")[0]
    assert row["unfinished"] == acked - acked // 2 - 1
    assert row["p50"] == pytest.approx(2, rel=0.01)
    assert row["p95"] == math.inf


def test_negative_samples_are_counted(sound: Path) -> None:
    rows = rows_of(percentile_rows(load_run(sound)), phase="steady")
    assert {row["domain"]: row["negative"] for row in rows}["system"] == 3
    assert {row["domain"]: row["negative"] for row in rows}[ALL] == 3


def test_rates_are_per_phase_and_the_sum_is_there(sound: Path) -> None:
    rows = {row["domain"]: row for row in rows_of(throughput_rows(load_run(sound)), phase="steady")}
    assert rows["combat"]["planned_eps"] == pytest.approx(2_000)
    assert rows["combat"]["acked_eps"] == pytest.approx(2_000, rel=0.02)
    assert rows[ALL]["scheduled"] == sum(rows[domain]["scheduled"] for domain in rows if domain != ALL)
    assert 0.98 < rows[ALL]["share"] <= 1


def test_a_late_row_counts_more_seconds_but_shows_no_higher_rate(sound: Path) -> None:
    """On a starved host the row of second 3 may never come; row 4 then counts both."""
    rows = [json.loads(line) for line in (sound / "history/timeline-w0.jsonl").read_text().splitlines()]
    combat = [row for row in rows if row["domain"] == "combat"][20:25]
    combat[3]["acked"] += combat[2]["acked"]
    (sound / "history/timeline-w0.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in combat if row is not combat[2])
    )
    timeline = load_run(sound).timeline
    assert timeline is not None
    assert timeline.acked_eps.max() == pytest.approx(2_000, rel=0.02)
