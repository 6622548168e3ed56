"""Judging a run directory: whether it is as it was closed, then its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from necp_validate.claims.files import stored_claims
from necp_validate.claims.repeats import require_repeats
from necp_validate.claims.run import Judgement, judge_record
from necp_validate.core import Example, Finding, Verdict
from necp_validate.record import read_record
from necp_validate.record.closing import Changes, changes_since

_NAME = "changed-record"
_NAMED_AT_MOST = 3


def judge_run(run_dir: Path, *, repeats: Sequence[Path] = ()) -> Judgement:
    """Judge a stored run by the claims of its scenario and by those in its directory.

    Args:
        run_dir: the run directory.
        repeats: earlier runs of the same, for claims that must hold in N of M.

    Raises:
        UsageError: this is no run directory, it judges a claim that does not exist, or a repeat is of something else.
        SuiteError: a file in it is damaged.
    """
    record = read_record(run_dir)
    require_repeats(run_dir, repeats)
    found = judge_record(record, stored_claims(run_dir), repeats=[read_record(one) for one in repeats])
    return replace(found, findings=(_unchanged(run_dir, repeats), *found.findings))


def _unchanged(run_dir: Path, repeats: Sequence[Path]) -> Finding:
    """Files of a run, or of its repeats, that are not as they were when it was closed."""
    examples: list[Example] = []
    texts: list[str] = []
    for one in (run_dir, *repeats):
        changes = changes_since(one)
        which = "this run" if one is run_dir else one.name
        if changes is None:
            examples.append(Example(where=which, detail="it has no manifest.json"))
            texts.append(f"{which} was never closed: whether it was changed since it was recorded is not known")
        elif changes:
            examples += _examples(which, changes)
            texts.append(f"{which} {_words(changes)}")
    if texts:
        summary = "; ".join(texts)
        return Finding(
            name=_NAME, verdict=Verdict.UNKNOWN, count=len(examples), summary=summary, examples=tuple(examples)
        )
    summary = "every file of the record is as it was when the run was closed"
    return Finding(name=_NAME, verdict=Verdict.PASS, count=0, summary=summary, sees="1 byte of another content")


def _kinds(changes: Changes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (
        ("changed", changes.changed),
        ("missing", changes.missing),
        ("added", changes.added),
        ("cut off in the middle of a row", changes.torn),
    )


def _examples(which: str, changes: Changes) -> list[Example]:
    return [Example(where=f"{which}: {path}", detail=what) for what, paths in _kinds(changes) for path in paths]


def _words(changes: Changes) -> str:
    texts = []
    for what, paths in _kinds(changes):
        if paths:
            more = f" and {len(paths) - _NAMED_AT_MOST} more" if len(paths) > _NAMED_AT_MOST else ""
            texts.append(f"{what} {', '.join(paths[:_NAMED_AT_MOST])}{more}")
    since = changes.changed or changes.missing or changes.added
    return ("was changed since it was closed: " if since else "is not whole: ") + "; ".join(texts)
