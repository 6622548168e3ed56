"""What fuzzing alone reaches of validation and handlers, measured with coverage.py in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import necp_validate

MEASURED = (
    "events/base.py",
    "events/envelope.py",
    "events/registry.py",
    "events/tail.py",
    "events/combat.py",
    "events/economy.py",
    "events/social.py",
    "events/system.py",
    "events/ledger.py",
    "events/receipts.py",
    "reference/eventcore/handling.py",
    "reference/eventcore/combat.py",
    "reference/eventcore/economy.py",
    "reference/eventcore/ledger.py",
    "reference/eventcore/market.py",
    "reference/eventcore/social.py",
    "reference/eventcore/system.py",
    "reference/eventcore/receipting.py",
)
"""Validation and handlers.

Not measured: the loops around them (intake, transactions, deliveries, recovery, breaker: they are about Kafka, and have
tests on real brokers), `audit` (has tests of its own), and of `events` what no event goes through: the table of topics,
the export of schemas, the samplers, the expected totals.
"""

AT_LEAST_PERCENT = 95.0
EVENTS = 4_000
PACKAGE = Path(necp_validate.__file__).parent


@pytest.mark.slow
def test_fuzzing_alone_reaches_validation_and_handlers(tmp_path: Path) -> None:
    """Lines and branches together; the figure by file is printed."""
    measure = [sys.executable, "-m", "coverage"]
    env = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}
    include = ",".join(str(PACKAGE / name) for name in MEASURED)
    fuzz = [str(Path(__file__).with_name("fuzz_handlers.py")), str(EVENTS), "1"]
    run = subprocess.run(
        [*measure, "run", "--branch", f"--include={include}", *fuzz],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    print(run.stdout, run.stderr)
    assert run.returncode == 0, run.stdout + run.stderr
    subprocess.run([*measure, "json", "-q", "-o", str(tmp_path / "coverage.json")], env=env, check=True)
    found = json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))
    for name, file in found["files"].items():
        summary = file["summary"]
        missing = ", ".join(map(str, file["missing_lines"])) or "nothing"
        print(f"{summary['percent_covered']:6.1f}%  {name}  missing lines: {missing}")
    percent = found["totals"]["percent_covered"]
    print(f"{percent:6.1f}%  together")
    assert len(found["files"]) == len(MEASURED)
    assert percent >= AT_LEAST_PERCENT
