"""Faults of the local stack, on real brokers; and nothing of them left on the host, however it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_cases import QUICK, FaultCases, seen_by, wait_all_in_sync

from necp_validate.stack.delays import can_delay
from necp_validate.stack.disks import can_mount
from necp_validate.stack.local import LocalStack
from necp_validate.stack.local_links import host_program
from necp_validate.stack.protocol import Stack
from necp_validate.stack.provision import admin_client
from necp_validate.stack.readiness import wait_ready
from necp_validate.stack.root import root_shell
from necp_validate.stack.workdir import stack_id

ABLE = host_program() and can_mount(root_shell) and can_delay(root_shell, host_program())
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(not ABLE, reason="needs root, iptables, NFQUEUE and the right to mount"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    parent = tmp_path_factory.mktemp("stack")
    stack = LocalStack(parent=parent, log_dir=tmp_path_factory.mktemp("logs"), overrides=QUICK)
    try:
        stack.start(print)
        yield stack
        stack.cut("broker-1", "broker-2")
        stack.fill_disk(3)
        assert left(stack.layout.directory)
    finally:
        stack.stop()
    assert left(stack.layout.directory) == []


def left(directory: Path) -> list[str]:
    """Return the rules and mounts of a stack."""
    rules = subprocess.run([f"{host_program()}-save"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text()
    name = f"{stack_id(directory)}"
    return [line for line in (*rules.splitlines(), *mounts.splitlines()) if name in line]


class TestLocal(FaultCases):
    @staticmethod
    def log_of(stack: Stack, broker: int) -> str:
        assert isinstance(stack, LocalStack)
        return (stack.logs / f"broker-{broker}.log").read_text()

    def test_leaders_that_moved_while_a_stack_came_up_are_given_back(self, stack: Stack) -> None:
        """On a busy machine a broker may be fenced meanwhile; the brokers alone would take five minutes."""
        assert isinstance(stack, LocalStack)
        stack.kill_broker(2)
        stack.start_broker(2)
        wait_all_in_sync(stack)
        assert not any(partition.leader == 2 for partition in seen_by(stack, 1))
        admin = admin_client(stack.internal_client_config())
        brokers = list(stack.layout.settings)
        wait_ready(admin, stack.layout.client_config_at, brokers, timeout_s=30, check=stack.check_alive)
        assert any(partition.leader == 2 for partition in seen_by(stack, 1))
