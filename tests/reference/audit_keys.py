"""A system handler with keys of its own, for tests that are not about the audit trail."""

from __future__ import annotations

import tempfile
from pathlib import Path

from necp_validate.reference.audit import Keyring, Trail
from necp_validate.reference.eventcore.system import SystemHandler


def system_handler() -> SystemHandler:
    """Make one; its keyring is removed with the folder that the tests' temporary files are in."""
    folder = Path(tempfile.mkdtemp(prefix="necp-audit-keys-"))
    keyring = Keyring.create(folder / "keyring")
    (folder / "keyring").unlink()  # it stays open, and nothing stays behind
    folder.rmdir()
    return SystemHandler(Trail(keyring, "core-0"))
