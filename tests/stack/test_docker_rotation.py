"""Passwords, certificates and allowances that change in the running docker stack."""

from __future__ import annotations

import pytest
from rotation_cases import RotationCases
from running import NEEDS_DOCKER

from necp_validate.stack.docker import DockerStack

pytestmark = NEEDS_DOCKER


@pytest.fixture
def stack(docker_stack: DockerStack) -> DockerStack:
    return docker_stack


class TestDocker(RotationCases):
    """With brokers in containers."""
