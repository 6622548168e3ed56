"""A stack that outlives the command that brought it up: found again, and ended, by its state file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from necp_validate.core import StackError
from necp_validate.stack.private import write_private
from necp_validate.stack.protocol import Progress, Stack

_FORMAT = 1


class DetachableStack(Stack, Protocol):
    """A stack that another process can find again."""

    def state(self) -> dict[str, Any]:
        """Return what another process needs to attach to the stack, ready for JSON."""

    def destroy(self) -> None:
        """End every process and remove every file, of an attached stack too."""

    def on_launch(self, tell: Callable[[], None]) -> None:
        """Call this whenever a broker of an attached stack has been started: it is another process now."""


Restore = Callable[[Mapping[str, Any]], DetachableStack]


def default_state_file() -> Path:
    """Return where the state of the one detached stack is kept (``NECP_STATE_DIR``, else the user's state)."""
    named = os.environ.get("NECP_STATE_DIR")
    if named:
        return Path(named) / "stack.json"
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "necp-validate" / "stack.json"


def save_state(stack: DetachableStack, backend: str, path: Path, *, ready: bool) -> None:
    """Write the state file: atomically, and for its owner's eyes only, since it holds passwords.

    Args:
        stack: the detached stack.
        backend: what to restore it with, e.g. ``local``.
        path: the state file.
        ready: whether it was completely brought up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": _FORMAT, "backend": backend, "ready": ready, "stack": stack.state()}
    write_private(path, json.dumps(content, indent=1).encode())


def _restorers() -> dict[str, Restore]:
    from necp_validate.stack.local import LocalStack

    def docker(state: Mapping[str, Any]) -> DetachableStack:
        from necp_validate.stack.docker import DockerStack

        return DockerStack.from_state(state)

    return {"local": LocalStack.from_state, "docker": docker}


def restore(backend: str, state: Mapping[str, Any]) -> DetachableStack:
    """Return the stack that ``state`` was taken from.

    Args:
        backend: e.g. ``local``.
        state: what its ``state`` returned.
    """
    return _restorers()[backend](state)


def _read(path: Path) -> tuple[DetachableStack, bool]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise StackError(f"{path} was written by another version of necp-validate")
        return restore(content["backend"], content["stack"]), bool(content["ready"])
    except FileNotFoundError:
        raise StackError("no stack is up", hint=f"bring one up with `necp-validate up` (looked in {path})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} is not a state file: {error!r}", hint="remove it") from error


def attach(path: Path | None = None) -> DetachableStack:
    """Return the stack that an earlier command brought up.

    Its ``stop`` leaves the brokers alone: they are ended by ``down``.

    Args:
        path: its state file; the default one if None.

    Raises:
        StackError: there is none, or it was never completely brought up.
    """
    file = path or default_state_file()
    stack, ready = _read(file)
    if not ready:
        raise StackError(
            "the stack was never completely brought up", hint="end it with `necp-validate down`, start again"
        )
    stack.on_launch(lambda: save_state(stack, stack.describe().backend, file, ready=True))
    return stack


def down(path: Path | None = None) -> bool:
    """End a detached stack: exactly its processes, and its files.

    Args:
        path: its state file; the default one if None.

    Returns:
        False if there was none.
    """
    file = path or default_state_file()
    if not file.exists():
        return False
    stack, _ = _read(file)
    stack.destroy()
    file.unlink(missing_ok=True)
    return True


def up(
    make: Callable[[Callable[[], None]], DetachableStack],
    backend: str,
    progress: Progress,
    path: Path | None = None,
) -> DetachableStack:
    """Bring up a detached stack and note it in the state file.

    The file is there as soon as there are processes: a command that is killed half way leaves nothing that
    ``down`` could not end.

    Args:
        make: makes the stack; gets what the stack is to call when its processes have been started.
        backend: what to restore it with, e.g. ``local``.
        progress: receives a sentence for each stage.
        path: the state file; the default one if None.

    Raises:
        StackError: one is up already, or this one could not be brought up.
    """
    file = path or default_state_file()
    if file.exists():
        raise StackError(f"a stack is up already ({file})", hint="use it, or end it with `necp-validate down`")

    def launched() -> None:
        save_state(stack, backend, file, ready=False)

    stack = make(launched)
    try:
        stack.start(progress)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    save_state(stack, backend, file, ready=True)
    return stack
