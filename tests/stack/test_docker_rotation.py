"""Passwords, certificates and allowances that change in the running docker stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rotation_cases import RotationCases

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(why_not_docker() is not None, reason=f"needs Docker: {why_not_docker()}"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    stack = DockerStack(log_dir=tmp_path_factory.mktemp("logs"))
    try:
        stack.start(print)
        yield stack
    finally:
        stack.stop()
    assert not stack.layout.directory.exists()


class TestDocker(RotationCases):
    """With brokers in containers."""
