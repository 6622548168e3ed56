"""What experiments see of the load: rates of the last seconds, and the rate planned before."""

from __future__ import annotations

import json
import time
from pathlib import Path

from necp_validate.chaos.timeline import planned_before_eps, recent_eps


def test_rates_are_of_the_last_seconds_of_all_workers_and_domains(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    now = round(time.time())
    for worker in ("w0", "w1"):
        rows = [
            {"t": t + 0.001, "domain": domain, "acked": 100 if t < now - 10 else 5, "e2e_p50_ms": None}
            for t in range(now - 20, now + 1)
            for domain in ("combat", "economy")
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows) + '{"t": 1, "torn'
        (tmp_path / "history" / f"timeline-{worker}.jsonl").write_text(text, encoding="utf-8")
    assert recent_eps(tmp_path, 3)["acked"] == 20.0
    assert recent_eps(tmp_path, 3)["failed"] == 0.0


def test_without_rows_there_are_no_rates(tmp_path: Path) -> None:
    assert recent_eps(tmp_path, 3) == {}


def test_the_rate_before_is_that_of_the_phase_before(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    now_us = time.time_ns() // 1000
    phases = [
        {"name": "before", "end_us": now_us - 1_000_000, "target_eps": {"combat": 20.0, "economy": 5.0}},
        {"name": "fault", "end_us": now_us + 9_000_000, "target_eps": {"combat": 160.0, "economy": 40.0}},
    ]
    (tmp_path / "history" / "phases.json").write_text(json.dumps(phases), encoding="utf-8")
    assert planned_before_eps(tmp_path) == 25.0
