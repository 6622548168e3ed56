"""Follows log files that others append to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

READ_BYTES: Final = 1 << 20
"""The most that is read of a file at once."""


class Following:
    """Reads whole lines of the files of a folder, from their present ends on; files that appear later from their start.

    Args:
        folder: the folder.
        pattern: names of the files.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern
        self._at = {path: _size(path) for path in folder.glob(pattern)}

    def lines(self) -> list[str]:
        """What has been appended since the last time; a line that has no end yet comes later."""
        found: list[str] = []
        for path in sorted(self._folder.glob(self._pattern)):
            at = self._at.get(path, 0)
            if _size(path) < at:
                at = 0  # somebody has begun the file anew
            try:
                with path.open("rb") as file:
                    file.seek(at)
                    content = file.read(READ_BYTES)
            except OSError:
                continue
            end = content.rfind(b"\n") + 1
            if end == 0 and len(content) == READ_BYTES:
                end = READ_BYTES  # no line of a log is that long; waiting for its end would be for ever
            self._at[path] = at + end
            found += content[:end].decode(errors="replace").splitlines()
        return found

    @property
    def behind_bytes(self) -> int:
        """What has been appended and not been read."""
        return sum(max(_size(path) - self._at.get(path, 0), 0) for path in self._folder.glob(self._pattern))


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (a file may be gone by now)
    except OSError:
        return 0
