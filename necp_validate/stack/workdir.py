"""Working directories of stacks, and the removal of those whose owner could not do it any more."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.disks import unmount_below
from necp_validate.stack.local_links import host_program
from necp_validate.stack.packet_filter import PacketFilter
from necp_validate.stack.player_links import players_filter_id
from necp_validate.stack.process import birth_of
from necp_validate.stack.root import root_shell

_PREFIX = "necp-stack-"
_OWNER = "owner.json"


def new_directory(given: Path | None = None) -> Path:
    """Make a working directory and note this process as its owner.

    Args:
        given: parent folder; the system's temporary folder if None.
    """
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=given))
    own(path)
    return path


def own(path: Path) -> None:
    """Note this process as the owner of a working directory."""
    owner = {"pid": os.getpid(), "birth": birth_of(os.getpid())}
    (path / _OWNER).write_text(json.dumps(owner), encoding="utf-8")


def disown(path: Path) -> None:
    """Let a working directory stay when its owner ends: a detached stack is ended by its state file."""
    (path / _OWNER).unlink(missing_ok=True)


def stack_id(path: Path) -> str:
    """Return the id of the stack that works in a directory: what is random in its name."""
    return path.name.removeprefix(_PREFIX)


def sweep(parent: Path | None = None) -> list[Path]:
    """Remove working directories whose owner was killed, and faults that it left; return them."""
    removed = []
    for path in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, StackError):
            if path.stat().st_uid == os.getuid() and _orphaned(path / _OWNER):
                _release(path)
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def _release(path: Path) -> None:
    """Remove mounts below a directory, and the rules of its stack."""
    if os.geteuid() != 0:
        return
    unmount_below(path, root_shell)
    if host_program():
        for name in (stack_id(path), players_filter_id(stack_id(path))):
            PacketFilter(root_shell, name, host_program()).remove()


def _orphaned(owner: Path) -> bool:
    try:
        noted = json.loads(owner.read_text(encoding="utf-8"))
        return bool(birth_of(int(noted["pid"])) != noted["birth"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
