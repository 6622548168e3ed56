"""The gate: the exit code that CI acts on."""

from __future__ import annotations

from pathlib import Path

from necp_validate.report.verdict import read_verdict


def gate(run_dir: Path) -> int:
    """Exit code of a stored verdict: 0 pass, 1 fail, 3 unknown.

    Raises:
        UsageError: the run has no verdict yet.
    """
    return read_verdict(run_dir).verdict.exit_code
