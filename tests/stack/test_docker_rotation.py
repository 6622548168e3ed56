"""Passwords, certificates and allowances that change in the running docker stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rotation_cases import RotationCases
from running import NEEDS_DOCKER, running

from necp_validate.stack.docker import DockerStack

pytestmark = NEEDS_DOCKER


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    with running(DockerStack(log_dir=tmp_path_factory.mktemp("logs"))) as stack:
        yield stack
    assert not stack.layout.directory.exists()


class TestDocker(RotationCases):
    """With brokers in containers."""
