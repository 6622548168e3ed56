"""What is measured of a program from outside, and what is made of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.measured import Sent, _follow
from benchmarks.peers import figures

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
HOLD = "held = bytearray(120_000_000)\n"


def follow(code: str) -> tuple[int, int, float]:
    return _follow(subprocess.Popen([sys.executable, "-S", "-c", code]))


def test_cpu_is_that_of_the_program_and_of_its_children() -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {BURN!r}], check=True)\n"
    assert follow("pass")[2] < 0.3 <= follow(BURN)[2]
    assert follow(child + BURN)[2] >= 0.6


def test_memory_is_the_most_that_the_program_had_and_not_what_this_process_has() -> None:
    """A program that holds its memory until it is seen: how often one looks does not decide."""
    held = bytearray(b"x" * 150_000_000)
    few, code, _ = follow("import sys; sys.exit(7)")
    many, _, _ = follow(HOLD + BURN)
    assert code == 7
    assert few < 100_000_000 < many
    assert held


def sent(records: int, cpu_s: float) -> Sent:
    return Sent(
        records=records, first_s=2.0, sending_s=records / 1000, cpu_s=cpu_s, broker_cpu_s=0.5, memory_bytes=50_000_000
    )


def test_an_event_costs_what_the_longer_run_took_more() -> None:
    made = figures(sent(1_000, cpu_s=1.01), sent(5_000, cpu_s=1.05))
    assert made["cpu_us_per_event"] == pytest.approx(10.0)
    assert made["with_start_us"] == pytest.approx(210.0)
    assert made["brokers_us"] == pytest.approx(100.0)
    assert (made["records"], made["per_s"], made["peak_memory_mb"]) == (5_000, 1_000, 50)
    assert made["first_record_after_s"] == 2.0
