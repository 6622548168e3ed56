"""A process in a network namespace of its own: reaches the bridge and nothing else, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from necp_validate.core import StackError, UsageError
from necp_validate.stack import namespaces
from necp_validate.stack.namespaces import WorkerNetwork, require_namespaces, spawn_in_namespace
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.root import root_shell
from necp_validate.stack.waiting import wait_until


def can_make_bridges() -> bool:
    """Tried in a namespace of its own, which is gone afterwards."""
    if os.geteuid() != 0:
        return False
    return root_shell("unshare --net --mount ip link add probe type bridge")[0] == 0


needs_bridges = pytest.mark.skipif(not can_make_bridges(), reason="needs root, and a kernel that makes bridges")


@pytest.fixture
def network() -> Iterator[WorkerNetwork]:
    bridge = f"necptest{os.getpid() % 100_000}"
    prefix = f"10.214.{os.getpid() % 256}."
    code, output = root_shell(f"ip link add {bridge} type bridge && ip address add {prefix}1/24 dev {bridge}")
    assert code == 0, output
    root_shell(f"ip link set {bridge} up")
    yield WorkerNetwork(
        bridge=bridge, prefix=prefix, gateway=f"{prefix}1", hosts={"broker-1": f"{prefix}1"}, bootstrap="broker-1:9095"
    )
    root_shell(f"ip link delete {bridge}")


CALL = """
import socket, sys, time
deadline = time.monotonic() + 20
while True:
    try:
        with socket.create_connection(("broker-1", int(sys.argv[1])), timeout=1) as made:
            made.sendall(made.getsockname()[0].encode())
            break
    except OSError:
        assert time.monotonic() < deadline
        time.sleep(0.05)
time.sleep(600)
"""


@needs_bridges
def test_two_processes_reach_the_network_each_from_its_own_address(network: WorkerNetwork, tmp_path: Path) -> None:
    with socket.create_server((network.gateway, 0)) as server:
        server.settimeout(30)
        command = [sys.executable, "-c", CALL, str(server.getsockname()[1])]
        processes = [
            spawn_in_namespace(command, network, number, log=tmp_path / f"{number}.log", env=os.environ)
            for number in range(2)
        ]
        try:
            told = set()
            for _ in processes:
                connection, address = server.accept()
                with connection:
                    assert connection.recv(100).decode() == address[0]
                told.add(address[0])
            assert told == {f"{network.prefix}200", f"{network.prefix}201"}
            spaces = {Path(f"/proc/{process.pid}/ns/net").stat().st_ino for process in processes}
            assert len(spaces | {Path("/proc/self/ns/net").stat().st_ino}) == 3
        finally:
            links = [Path(f"/sys/class/net/necp{process.pid}") for process in processes]
            there = [link.exists() for link in links]
            for process in processes:
                process.kill()
    assert there == [True, True]
    wait_until(lambda: not any(link.exists() for link in links), timeout_s=30, backoff_s=0.05, message="links are left")


@needs_bridges
def test_a_bridge_that_is_not_there_is_named_and_no_process_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = WorkerNetwork(bridge="necpnone", prefix="10.9.9.", gateway="10.9.9.1", hosts={}, bootstrap="")
    spawn, spawned = ManagedProcess.spawn, list[ManagedProcess]()

    def remembering(*given: Any, **named: Any) -> ManagedProcess:
        spawned.append(spawn(*given, **named))
        return spawned[-1]

    monkeypatch.setattr(ManagedProcess, "spawn", remembering)
    with pytest.raises(StackError, match="cannot be linked to necpnone"):
        spawn_in_namespace(["sleep", "600"], nowhere, 0, log=tmp_path / "log", env=os.environ)
    (process,) = spawned
    assert not process.alive()
    link = Path(f"/sys/class/net/necp{process.pid}")  # the kernel removes it a moment after the process
    wait_until(lambda: not link.exists(), timeout_s=30, backoff_s=0.05, message="its link is left")


def test_without_root_it_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="need root"):
        require_namespaces()


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(namespaces, "_PROGRAMS", ("no-such-program",))
    with pytest.raises(UsageError, match="no-such-program"):
        require_namespaces()
