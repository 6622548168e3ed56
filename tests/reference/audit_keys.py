"""A system handler with keys of its own, for tests that are not about the audit trail."""

from __future__ import annotations

import atexit
import tempfile
from itertools import count
from pathlib import Path

from necp_validate.reference.audit import Keyring, Trail
from necp_validate.reference.eventcore.system import SystemHandler

_FOLDER = tempfile.TemporaryDirectory(prefix="necp-audit-keys-")
_NUMBERS = count()
atexit.register(_FOLDER.cleanup)


def system_handler() -> SystemHandler:
    """Make one with a new keyring."""
    keyring = Keyring.create(Path(_FOLDER.name) / f"keyring-{next(_NUMBERS)}")
    return SystemHandler(Trail(keyring, "core-0"))
