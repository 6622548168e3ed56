"""Whole files that a command is asked to write."""

from __future__ import annotations

from pathlib import Path

from necp_validate.core import UsageError


def write_text(path: Path, text: str) -> None:
    """Write a whole file in one step.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f"{path.suffix}.tmp")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="choose another place") from error
