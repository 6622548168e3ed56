"""What failed of the suite itself during a run (``history/suite-failures.jsonl``): a thread, a process, a probe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFailure:
    """A part of the suite that ended early, or could not do its work.

    Args:
        t_us: when (epoch microseconds).
        component: what it was, e.g. ``monitor of host and brokers``.
        problem: what happened, in one line.
        parts: names of the parts of the record that it would have written: what rests on them is unknown.
    """

    t_us: int
    component: str
    problem: str
    parts: tuple[str, ...]
