"""The gateway on the docker stack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest
from gateway_cases import GatewayCases

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker
from necp_validate.stack.docker_guard import LABEL

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to hold packets back"),
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
    filters = {"label": f"{LABEL}={stack._id}"}
    assert docker.from_env().containers.list(all=True, filters=filters, ignore_removed=True) == []


class TestDockerGateway(GatewayCases):
    pass
