"""Progress: lines in a log, a live view on a terminal, the same facts in both."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from necp_validate.cli.live import RunProgress
from necp_validate.scenario.events import (
    LoadTick,
    PhaseStarted,
    ReadbackTick,
    RunEvent,
    RunStarted,
    StackReady,
    StageFinished,
    StageStarted,
    WarningRaised,
)


def tick(t_s: float) -> LoadTick:
    return LoadTick(
        t_s=t_s,
        phase="steady",
        phase_elapsed_s=t_s - 10,
        scheduled_eps={"combat": 20_000, "economy": 5_000},
        acked_eps={"combat": 19_990, "economy": 4_998},
        processed_eps={"combat": 19_980, "economy": 4_990},
        e2e_p50_ms={"combat": 6.0, "economy": 14.0},
        e2e_p99_ms={"combat": 16.1, "economy": 37.1},
        late_p99_ms=0.6,
        lag=1_234,
        failed=0,
        host_busy_pct=71.0,
        web_url="http://127.0.0.1:8089",
    )


EVENTS: tuple[RunEvent, ...] = (
    RunStarted(
        run_id="r",
        run_dir=Path("reports/runs/r"),
        scenario="peak-200",
        phases=(("warmup", "warmup", 10.0), ("steady", "steady", 60.0)),
    ),
    StageStarted(stage="stack"),
    StageStarted(stage="stack", detail="starting brokers"),
    StackReady(kind="local", brokers=3, seconds=17.0, detail="Kafka 4.4.0"),
    StageFinished(stage="stack", seconds=19.4),
    StageStarted(stage="load"),
    PhaseStarted(name="steady", kind="steady", duration_s=60, target_eps={"combat": 20_000, "economy": 5_000}),
    *(tick(float(second)) for second in range(10, 31)),
    WarningRaised(message="the disk is nearly full"),
    StageFinished(stage="load", seconds=70.0),
    StageStarted(stage="readback"),
    ReadbackTick(read=500, total=1_000, events_per_s=90_000),
)


def watched(*, terminal: bool, until: int = len(EVENTS)) -> tuple[RunProgress, str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    with RunProgress(console) as progress:
        for event in EVENTS[:until]:
            progress(event)
        if terminal:
            console.print(progress.__rich__())
    return progress, out.getvalue()


def test_a_log_gets_a_line_per_stage_and_every_ten_seconds_of_load() -> None:
    progress, text = watched(terminal=False)
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if line.startswith("…")] == [
        "… bringing the stack up",
        "… loading",
        "… reading everything back",
    ]
    assert len([line for line in lines if "steady: scheduled" in line]) == 3
    assert "0:10 steady: scheduled 25,000, acked 24,988, processed 24,970 events/s, P99 37.1 ms" in text
    assert "warning: the disk is nearly full" in text
    assert progress.run_dir == Path("reports/runs/r")


def test_a_terminal_shows_rates_latency_lag_and_the_web_page() -> None:
    in_load = next(i for i, event in enumerate(EVENTS) if isinstance(event, WarningRaised))
    _, text = watched(terminal=True, until=in_load)
    for word in ("19,990", "16.1 ms", "lag 1,234", "host busy 71%", "http://127.0.0.1:8089", "0:30 / 1:10"):
        assert word in text


def test_a_terminal_shows_how_far_the_reader_is() -> None:
    _, text = watched(terminal=True)
    assert "500 of 1,000 records" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_every_event_is_taken_before_any_other(terminal: bool) -> None:
    """Events may come in any order (a stage may fail early): none of them may break the view."""
    for event in EVENTS:
        with RunProgress(Console(file=io.StringIO(), force_terminal=terminal)) as progress:
            progress(event)
