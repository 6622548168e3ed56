"""The gateway on the docker stack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest
from gateway_cases import GatewayCases
from running import NEEDS_DOCKER, running

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_guard import LABEL

pytestmark = [
    *NEEDS_DOCKER,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to hold packets back"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    with running(DockerStack(log_dir=tmp_path_factory.mktemp("logs"))) as stack:
        yield stack
    filters = {"label": f"{LABEL}={stack._id}"}
    assert docker.from_env().containers.list(all=True, filters=filters, ignore_removed=True) == []


class TestDockerGateway(GatewayCases):
    pass
