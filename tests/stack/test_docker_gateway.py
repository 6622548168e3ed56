"""The gateway on the docker stack."""

from __future__ import annotations

import os

import pytest
from gateway_cases import GatewayCases
from running import NEEDS_DOCKER

from necp_validate.stack.docker import DockerStack

pytestmark = [
    *NEEDS_DOCKER,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to hold packets back"),
]


@pytest.fixture
def stack(docker_stack: DockerStack) -> DockerStack:
    return docker_stack


class TestDockerGateway(GatewayCases):
    pass
