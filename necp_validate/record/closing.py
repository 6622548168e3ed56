"""Closing a run by a manifest of all that judging reads, and finding what was changed since.

Who judges the run again can say what was changed since. It is no signature: who can change the files can write another
manifest, too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from necp_validate.core import SuiteError
from necp_validate.record import parts
from necp_validate.record.manifest import Manifest

FOLDERS = ("history", "metrics", "logs")
FILES = (parts.RUN.path, "claims.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What was done to a run since it was closed: paths in the run directory.

    Args:
        changed: whose content is another.
        missing: that are not there any more.
        added: that were not there.
    """

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added or self.torn)


def close(run_dir: Path) -> None:
    """Write the manifest, of all that is there.

    Raises:
        SuiteError: a file cannot be read, or the manifest not written.
    """
    files = {path: _digest(run_dir / path) for path in _covered(run_dir)}
    parts.MANIFEST.write(run_dir, Manifest(files=files))


def close_again(run_dir: Path, path: str) -> None:
    """Take the new content of one file into the manifest, if there is one: what else was changed stays changed.

    Args:
        run_dir: of the run.
        path: of the file in it.
    """
    manifest = parts.MANIFEST.read(run_dir)
    if manifest is not None:
        files = {**manifest.files, path: _digest(run_dir / path)}
        parts.MANIFEST.write(run_dir, replace(manifest, files=files))


def changes_since(run_dir: Path) -> Changes | None:
    """What was changed since the run was closed; None if it never was.

    Raises:
        SuiteError: a file cannot be read, or the manifest is damaged.
    """
    manifest = parts.MANIFEST.read(run_dir)
    if manifest is None:
        return None
    there = set(_covered(run_dir))
    return Changes(
        changed=tuple(path for path, was in manifest.files.items() if path in there and _digest(run_dir / path) != was),
        missing=tuple(path for path in manifest.files if path not in there),
        added=tuple(sorted(there - manifest.files.keys())),
        torn=tuple(path for path in sorted(there) if path.endswith((".jsonl", ".csv")) and _is_torn(run_dir / path)),
    )


def _is_torn(path: Path) -> bool:
    """Whether a file of rows has no row, or ends within one, as on a full disk."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _covered(run_dir: Path) -> Iterator[str]:
    for name in FILES:
        if (run_dir / name).is_file():
            yield name
    for folder in FOLDERS:
        for path in sorted((run_dir / folder).rglob("*")):
            half_written = path.name.startswith(".") and path.name.endswith(".tmp")
            if path.is_file() and not half_written:
                yield path.relative_to(run_dir).as_posix()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise SuiteError(f"{path} cannot be read: {error.strerror or error}") from error
