"""A broker in a container may end, for want of its disk, between the look at it and the command to it.

The container is a stand-in: a real one cannot be made to end at that very moment.
"""

from __future__ import annotations

from typing import Any

import pytest

from necp_validate.core import StackError
from necp_validate.stack.disks import Disk
from necp_validate.stack.docker import DockerStack


class Container:
    """Has a shell until it is used; then it has ended, or not."""

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends
        self._running = True

    def has_shell(self) -> bool:
        return self._running

    def alive(self) -> bool:
        return self._running

    def shell(self, _script: str) -> tuple[int, str]:
        self._running = not self._ends
        raise StackError("the container takes no command: it is not running")


def stack_with(container: Any, monkeypatch: pytest.MonkeyPatch) -> DockerStack:
    stack = DockerStack()
    stack._brokers = {1: container}
    stack._disks = {1: Disk(container.shell, "/data", "test")}
    monkeypatch.setattr(stack, "_why_no_disks", lambda: "")
    return stack


def test_the_disk_of_a_broker_that_has_just_ended_needs_no_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_with(Container(ends=True), monkeypatch).free_disk(1)


def test_a_disk_that_cannot_be_mended_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match="takes no command"):
        stack_with(Container(ends=False), monkeypatch).free_disk(1)
