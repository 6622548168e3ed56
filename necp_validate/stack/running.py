"""One broker of a stack, whatever it runs in."""

from __future__ import annotations

from typing import Protocol


class Running(Protocol):
    """One broker's process or container."""

    @property
    def pid(self) -> int | None:
        """Its process on this host; None if it does not run."""

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None if it has not, or if that cannot be told."""

    @property
    def container(self) -> str | None:
        """Its container's name, if it has one."""

    def alive(self) -> bool:
        """Tell whether it runs (a frozen one does)."""

    def kill(self) -> None:
        """End it without warning and wait until it is gone."""

    def terminate(self, timeout_s: float) -> bool:
        """Ask it to end, kill it after the timeout; tell whether it ended by itself."""

    def pause(self) -> None:
        """Freeze it."""

    def resume(self) -> None:
        """Let it go on."""

    def paused(self) -> bool:
        """Tell whether it is frozen."""
