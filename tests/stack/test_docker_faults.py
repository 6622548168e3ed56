"""Faults of the docker stack, on real brokers in containers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fault_cases import QUICK, FaultCases

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker
from necp_validate.stack.protocol import Stack

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to hold packets back, and to reach frozen containers"),
    pytest.mark.skipif(why_not_docker() is not None, reason=f"needs Docker: {why_not_docker()}"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    stack = DockerStack(log_dir=tmp_path_factory.mktemp("logs"), overrides=QUICK)
    try:
        stack.start(print)
        yield stack
    finally:
        stack.stop()
    assert not stack.layout.directory.exists()


class TestDocker(FaultCases):
    @staticmethod
    def log_of(stack: Stack, broker: int) -> str:
        assert isinstance(stack, DockerStack)
        return (stack.logs / f"broker-{broker}.log").read_text()
