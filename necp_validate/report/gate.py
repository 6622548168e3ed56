"""The gate: the exit code that CI acts on, from the record itself."""

from __future__ import annotations

from pathlib import Path

from necp_validate.claims.stored import judge_run
from necp_validate.core import UsageError
from necp_validate.record.codec import DecodeError
from necp_validate.report.verdict import RunVerdict, conclude, read_verdict


def gate(run_dir: Path) -> RunVerdict:
    """Judge a stored run again: what its ``verdict.json`` says counts for nothing, but for the repeats that it names.

    Raises:
        UsageError: this is no run directory, or a repeat is of something else.
        SuiteError: a file in it is damaged.
    """
    repeats = _repeats(run_dir)
    return conclude(run_dir, judge_run(run_dir, repeats=repeats), repeats)


def _repeats(run_dir: Path) -> list[Path]:
    try:
        return [(run_dir / one).resolve() for one in read_verdict(run_dir).repeats]
    except (UsageError, DecodeError):
        return []  # it was never judged, or the file is no verdict: claims that need repeats are unknown then
