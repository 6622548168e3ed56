"""The manifest of a closed run (``manifest.json``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A digest of every file that judging reads.

    Args:
        files: digest (``sha256:...``) by path in the run directory.
    """

    files: dict[str, str]
