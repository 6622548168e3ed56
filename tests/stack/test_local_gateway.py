"""The gateway on the local stack."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from gateway_cases import GatewayCases

from necp_validate.stack.local import LocalStack
from necp_validate.stack.local_links import host_program

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(not host_program(), reason="needs root and iptables: to lose datagrams"),
]


@pytest.fixture
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack


class TestLocalGateway(GatewayCases):
    pass


def test_it_ends_with_the_stack_and_leaves_nothing(tmp_path: Path) -> None:
    stack = LocalStack(parent=tmp_path)
    try:
        stack.start(print)
        gateway = stack.start_gateway("gateway-0", {})
        gateway.wait_ready(60)
        stack.slow("gateway", delay_ms=20, loss=0.1)
    finally:
        stack.stop()
    assert gateway.pid is not None
    assert not psutil.pid_exists(gateway.pid)
    assert stack.remaining_faults() == []
    assert list(tmp_path.glob("necp-stack-*")) == []
