"""A stack for the tests of a module: up, and down again whatever happens; and what its tests need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker
from necp_validate.stack.local import LocalStack

S = TypeVar("S", LocalStack, DockerStack)

NEEDS_DOCKER = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(why_not_docker() is not None, reason=f"needs Docker: {why_not_docker()}"),
]


@contextmanager
def running(stack: S) -> Iterator[S]:
    """Bring a stack up, and down in the end."""
    try:
        stack.start(print)
        yield stack
    finally:
        stack.stop()
