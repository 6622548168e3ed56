"""Faults of the docker stack, on real brokers in containers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fault_cases import QUICK, FaultCases
from running import NEEDS_DOCKER, running

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.protocol import Stack

pytestmark = [
    *NEEDS_DOCKER,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to hold packets back, and to reach frozen containers"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    with running(DockerStack(log_dir=tmp_path_factory.mktemp("logs"), overrides=QUICK)) as stack:
        yield stack
    assert not stack.layout.directory.exists()


class TestDocker(FaultCases):
    @staticmethod
    def log_of(stack: Stack, broker: int) -> str:
        assert isinstance(stack, DockerStack)
        return (stack.logs / f"broker-{broker}.log").read_text()
