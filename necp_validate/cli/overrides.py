"""What several commands let one override in a scenario."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def overrides_of(
    pairs: Sequence[str] | None, *, stack: str | None, target: str | None, claims: Path | None
) -> list[str]:
    """Return the overrides of a scenario that a command's options ask for.

    Args:
        pairs: each ``--set KEY=VALUE``.
        stack: ``--stack``.
        target: ``--target``, which implies an external stack.
        claims: ``--claims``.
    """
    overrides = list(pairs or [])
    if target:
        overrides += [f"target={json.dumps(target)}", f"stack={stack or 'external'}"]
    elif stack:
        overrides.append(f"stack={stack}")
    if claims:
        overrides.append(f"claims={json.dumps(str(claims))}")
    return overrides
