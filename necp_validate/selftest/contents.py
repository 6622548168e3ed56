"""The contents of a run directory, part by part, so that another run can differ from a sound one in a few things."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from necp_validate.record.closing import close
from necp_validate.record.store import Document, Histograms, Listing, Part, PerWorker, Rows

Contents: TypeAlias = dict[Part[Any], Any]
"""What lies in each part: a document's object, a list of rows or objects, or, where each worker has a file of rows or
histograms, that by worker. A part that is not there has no file."""


def write_run(contents: Mapping[Part[Any], Any], run_dir: Path) -> None:
    """Write a run directory with the writers of real runs, and close it."""
    for part, value in contents.items():
        _write(part, value, run_dir)
    close(run_dir)


def write_like(contents: Contents, run_dir: Path, *, sound: Contents, sound_dir: Path) -> None:
    """Write a run directory that differs from another one in some parts; the files of all others are shared.

    Args:
        contents: of the run.
        run_dir: where it goes.
        sound: contents of the other one.
        sound_dir: where that is.
    """
    for part, value in contents.items():
        if part in sound and _same(value, sound[part]):
            for path in part.files(sound_dir).values():
                target = run_dir / path.relative_to(sound_dir)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
        else:
            _write(part, value, run_dir)
    close(run_dir)


def _same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)


def _write(part: Part[Any], value: Any, run_dir: Path) -> None:
    match part:
        case Document() | Listing():
            part.write(run_dir, value)
        case PerWorker():
            for one in value:
                part.write(run_dir, one)
        case Rows() if "{worker}" in part.path:
            for worker, rows in value.items():
                part.append(run_dir, *rows, worker=worker)
        case Rows() if value:
            part.append(run_dir, *value)
        case Histograms():
            for worker, histograms in value.items():
                part.write(run_dir, worker, histograms)


def rows_in(value: Any) -> Iterable[Any]:
    """The rows of a part, of all workers together."""
    return [row for rows in value.values() for row in rows] if isinstance(value, dict) else value
