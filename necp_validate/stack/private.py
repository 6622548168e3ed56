"""Files with secrets in them: only their owner may read them, and nobody reads half of one."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    write_whole(path, content, mode=0o600)


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Put a file in the place of another: whoever reads meanwhile has the one or the other.

    Args:
        path: where.
        content: all of it.
        mode: who may read it, from the beginning.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)
