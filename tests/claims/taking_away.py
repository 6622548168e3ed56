"""Everything that a recorded run holds, taken away one thing at a time: each file, each field, each kind of row."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from necp_validate.claims.files import SOURCE
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.stored import judge_run
from necp_validate.core import SuiteError, Verdict
from necp_validate.record.closing import close
from necp_validate.record.record import Record
from necp_validate.record.store import Rows, parts_of

KINDS = ("domain", "broker", "group", "topic", "when", "kind", "name", "fault", "experiment", "principal", "instance")
"""Fields that say of which kind a row is."""


RECORDED_NOT_JUDGED = {
    r"history/due.json: half of committed_within_s": "in less than 30 s, lag is not held against latency",
    r"history/due.json: half of brokers": "the brokers of the stack, in run.json, are due as well",
    r"history/load-\w+.json: (half of )?guarantees": "it can only allow an anomaly, which is then one",
    r"history/load-\w+.json: half of expected_totals": "nothing is dealt or moved by social and system events",
    r"history/load-\w+.json: (half of )?(outcome_)?gaps(, .*)?": "a silence of a partition has no second account",
    r"history/load-\w+.json: (half of )?(errors|examples|trips)": "shown beside a verdict",
    r"history/load-\w+.json: (half of )?unmatched_receipts": "drain.json is made of it",
    r"history/load-\w+.json: half of last_ended_us": "of the phases, the busiest alone is held against drain.json",
    r"history/load-\w+.json: ends_from_future": "the arrival of such outcomes counts in place of their own time",
    r"history/\w+(-\w+)?.json: (cpu_s|max_rss_bytes|elapsed_s|events_per_s)": "what the suite itself took",
    r"history/drain.json: drained_us": "the same as drain_s after the end of the phase",
    r"history/readback.json: (others|examples)": "others write to topics of the user's own alone; examples are shown",
    r"history/readback.json: half of totals": "the totals of social and system are empty",
}
"""What makes no difference to any verdict when it is taken away from a sound run, as patterns, and why."""


def not_judged(what: str) -> bool:
    """Whether it is among those that are recorded and not judged."""
    return any(re.fullmatch(pattern, what) for pattern in RECORDED_NOT_JUDGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAway:
    """One thing that is not there any more.

    Args:
        what: its file, and what of it.
        remove: takes it away from a copy of the run.
    """

    what: str
    remove: Callable[[Path], None]


def verdicts(run_dir: Path) -> dict[str, Verdict]:
    """Of the whole run, every check and every claim."""
    found = judge_run(run_dir)
    named = {one.name: one.verdict for one in found.findings} | {one.id: one.verdict for one in found.claims}
    return {"run": found.verdict, **named}


def without(run_dir: Path, folder: Path, taken: TakenAway) -> dict[str, Verdict]:
    """Verdicts on a copy without something, which is closed as if it had been recorded so.

    Raises:
        SuiteError: without it, a file is damaged.
    """
    copy = folder / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run_dir, copy, ignore=shutil.ignore_patterns("logs", "*.html", "*.md", "*.xml"))
    taken.remove(copy)
    close(copy)
    return verdicts(copy)


def with_claims_on_every_metric(run_dir: Path, folder: Path) -> Path:
    """A copy of a run that is judged by a claim on each metric that holds whatever its figure is."""
    copy = folder / "whole"
    shutil.copytree(run_dir, copy)
    rows = [
        f'[[claims]]\nid = "any-{name.replace("_", "-")}"\nmetric = "{name}"\ncomparison = ">="\n'
        f'threshold = "0 {next(iter(measure.dimension.units))}"\n'
        for name, measure in MEASURES.items()
    ]
    (copy / SOURCE).write_text("\n".join(rows), "utf-8")
    close(copy)
    return copy


def unnoticed(run_dir: Path, folder: Path) -> list[str]:
    """What can be taken away from a run without any verdict changing, or with the run passing all the same.

    Args:
        run_dir: of a sound run.
        folder: where copies go.
    """
    whole = with_claims_on_every_metric(run_dir, folder)
    sound = verdicts(whole)
    found = []
    for taken in everything(whole):
        try:
            left = without(whole, folder, taken)
        except SuiteError:
            continue  # a file without it is damaged: exit code 4
        if left == sound or left["run"] is Verdict.PASS:
            found.append(taken.what)
    return found


def everything(run_dir: Path) -> Iterator[TakenAway]:
    """All that can be taken away from a run, but for ``run.json`` without which there is none."""
    parts = {part.path: part for part in parts_of(Record).values()}
    for part in parts.values():
        for worker, path in part.files(run_dir).items():
            name = path.relative_to(run_dir).as_posix()
            if name == "run.json":
                continue
            yield TakenAway(what=name, remove=_unlink(name))
            if isinstance(part, Rows):
                yield from _kinds_of_rows(name, part, run_dir, worker)
            elif path.suffix == ".json":
                yield from _fields(name, json.loads(path.read_text("utf-8")))


def _unlink(name: str) -> Callable[[Path], None]:
    return lambda run_dir: (run_dir / name).unlink()


def _kinds_of_rows(name: str, part: Rows[Any], run_dir: Path, worker: str) -> Iterator[TakenAway]:
    rows: list[Any] = list(part.read_of(run_dir, worker))
    for field in KINDS:
        values = dict.fromkeys(getattr(row, field, None) for row in rows)
        if None in values or len(values) < 2:
            continue
        for value in values:
            kept = [row for row in rows if getattr(row, field) != value]
            yield TakenAway(what=f"{name}: {field} {value}", remove=_rewrite(name, part, worker, kept))
    if len(rows) > 3:
        yield TakenAway(what=f"{name}: second half", remove=_rewrite(name, part, worker, rows[: len(rows) // 2]))


def _rewrite(name: str, part: Rows[Any], worker: str, rows: list[Any]) -> Callable[[Path], None]:
    def remove(run_dir: Path) -> None:
        (run_dir / name).unlink()
        part.append(run_dir, *rows, worker=worker)

    return remove


def _fields(name: str, document: Any) -> Iterator[TakenAway]:
    if isinstance(document, list):
        for at in range(len(document)):
            yield TakenAway(what=f"{name}: entry {at}", remove=_edit(name, _entry(at)))
        return
    for field, value in document.items():
        if value is None:
            continue  # it was not recorded
        yield TakenAway(what=f"{name}: {field}", remove=_edit(name, _popped(field)))
        rows = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        if len(rows) > 1:
            yield TakenAway(what=f"{name}: half of {field}", remove=_edit(name, _half(field)))
        if isinstance(value, dict):
            continue
        for kind in KINDS:
            values = dict.fromkeys(row.get(kind) for row in rows if isinstance(row, dict))
            if None not in values and len(values) > 1:
                for one in values:
                    what = f"{name}: {field}, {kind} {one}"
                    yield TakenAway(what=what, remove=_edit(name, _without_kind(field, kind, one)))


def _edit(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def remove(run_dir: Path) -> None:
        document = json.loads((run_dir / name).read_text("utf-8"))
        change(document)
        (run_dir / name).write_text(json.dumps(document) + "\n", "utf-8")

    return remove


def _entry(at: int) -> Callable[[Any], None]:
    return lambda document: document.pop(at)


def _popped(field: str) -> Callable[[Any], None]:
    return lambda document: document.pop(field)


def _without_kind(field: str, kind: str, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document[field] = [row for row in document[field] if row[kind] != value]

    return change


def _half(field: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        value = document[field]
        kept = (len(value) + 1) // 2
        document[field] = value[:kept] if isinstance(value, list) else dict(list(value.items())[:kept])

    return change
