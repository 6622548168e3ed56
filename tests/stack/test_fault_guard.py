"""Faults are undone however the command that injected them ends: real rules and mounts, sleepers for brokers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from necp_validate.core import StackError
from necp_validate.stack.config import BrokerSettings
from necp_validate.stack.disks import can_mount
from necp_validate.stack.local import LocalStack
from necp_validate.stack.local_links import group_of, host_program
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.root import root_shell
from necp_validate.stack.state import attach, down, save_state
from necp_validate.stack.waiting import wait_until
from necp_validate.stack.workdir import new_directory, stack_id, sweep

pytestmark = pytest.mark.skipif(
    not (host_program() and can_mount(root_shell)), reason="needs root, iptables and the right to mount"
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
BREAK = """
import sys, time
from pathlib import Path
from necp_validate.stack import attach
stack = attach(Path(sys.argv[1]))
try:
    stack.cut("broker-1", "clients")
    stack.slow("broker-3", delay_ms=0, loss=0.5)
    stack.fill_disk(1)
    stack.read_only_disk(3)
    stack.pause_broker(2)
    print("broken", flush=True)
    time.sleep(60)
finally:
    stack.stop()
"""
BROKEN = [
    "broker 2 is paused",
    "cut broker-1 clients",
    "loss broker-3 0.5",
    "broker 1's disk is full",
    "broker 3's disk is read-only",
]


@pytest.fixture
def state_file(tmp_path: Path) -> Iterator[Path]:
    """A detached stack whose brokers sleep."""
    directory = new_directory(tmp_path)
    (directory / "owner.json").unlink()
    settings, processes = [], []
    for broker in (1, 2, 3):
        data = directory / f"broker-{broker}" / "data"
        data.mkdir(parents=True)
        (data / "kept").write_text("kept")
        log = tmp_path / f"broker-{broker}.log"
        process = ManagedProcess.spawn(SLEEP, log=log, group=group_of(broker))
        processes.append(process)
        settings.append(
            BrokerSettings(
                id=broker,
                bind="127.0.0.1",
                internal_host="127.0.0.1",
                external_host="127.0.0.1",
                internal_port=19000 + 10 * broker + 3,
                external_port=19000 + 10 * broker + 4,
                controller_port=19000 + 10 * broker + 2,
                log_dir=str(data),
                store="/store.pem",
                ca="/ca.pem",
            )
        )
    noted = [{"broker": n, "pid": p.pid, "birth": p.birth, "log": str(p.log)} for n, p in enumerate(processes, start=1)]
    layout = {"directory": str(directory), "settings": [asdict(s) for s in settings], "passwords": {}}
    stack = LocalStack.from_state(
        {
            "layout": layout,
            "kafka_version": "4.4.0",
            "logs": str(tmp_path),
            "heap_mib": [256, 512],
            "grouped": True,
            "processes": noted,
        }
    )
    file = tmp_path / "stack.json"
    save_state(stack, "local", file, ready=True)
    yield file
    down(file)
    for process in processes:
        process.kill()
    assert left(directory) == []


def left(directory: Path) -> list[str]:
    """Return the rules and mounts of a stack."""
    rules = subprocess.run([f"{host_program()}-save"], capture_output=True, text=True, check=True).stdout
    lines = [*rules.splitlines(), *Path("/proc/self/mounts").read_text().splitlines()]
    return [line for line in lines if stack_id(directory) in line]


def break_it(state_file: Path) -> subprocess.Popen[str]:
    """Inject faults from another process; come back when they are in force."""
    suite = subprocess.Popen([sys.executable, "-c", BREAK, str(state_file)], stdout=subprocess.PIPE, text=True)
    assert suite.stdout is not None
    assert suite.stdout.readline() == "broken\n"
    return suite


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_faults_end_with_the_command_that_made_them(state_file: Path, number: signal.Signals) -> None:
    found = attach(state_file)
    assert isinstance(found, LocalStack)
    with break_it(state_file) as suite:
        assert found.remaining_faults() == BROKEN
        suite.send_signal(number)
    wait_until(lambda: found.remaining_faults() == [], timeout_s=15, message="faults are left")
    assert left(found.layout.directory) == []
    assert all(found.broker_alive(broker.id) for broker in found.brokers())
    assert (found.layout.home(1) / "data" / "kept").read_text() == "kept"


def test_what_even_the_guard_could_not_undo_ends_with_down(state_file: Path) -> None:
    found = attach(state_file)
    assert isinstance(found, LocalStack)
    with break_it(state_file) as suite:
        guards = psutil.Process(suite.pid).children()
        for process in (*guards, suite):
            process.kill()
    assert guards
    assert found.remaining_faults() == BROKEN
    assert down(state_file)
    assert left(found.layout.directory) == []
    assert not found.layout.directory.exists()


def test_what_a_killed_suite_left_is_swept_by_the_next_one(tmp_path: Path, state_file: Path) -> None:
    found = attach(state_file)
    assert isinstance(found, LocalStack)
    directory = found.layout.directory
    found.cut("broker-1", "broker-2")
    found.fill_disk(1)
    (directory / "owner.json").write_text(f'{{"pid": {os.getpid()}, "birth": 1}}')
    assert sweep(tmp_path) == [directory]
    assert left(directory) == []
    assert not directory.exists()


def test_a_full_disk_is_full_and_then_as_it_was(state_file: Path) -> None:
    found = attach(state_file)
    assert isinstance(found, LocalStack)
    data = found.layout.home(2) / "data"
    found.fill_disk(2)
    with pytest.raises(OSError, match="No space left on device"):
        (data / "new").write_text("new")
    assert (data / "kept").read_text() == "kept"
    found.free_disk(2)
    (data / "new").write_text("new")
    found.read_only_disk(2)
    with pytest.raises(OSError, match="Read-only file system"):
        (data / "newer").write_text("newer")
    with pytest.raises(StackError, match="is read-only already"):
        found.fill_disk(2)
    found.writable_disk(2)
    assert sorted(path.name for path in data.iterdir()) == ["kept", "new"]
    shutil.rmtree(data)


def test_faults_of_an_earlier_command_are_kept_when_one_is_added(state_file: Path) -> None:
    earlier, later = attach(state_file), attach(state_file)
    earlier.cut("broker-1", "broker-2")
    later.cut("broker-2", "broker-1")
    assert later.remaining_faults() == ["cut broker-1 broker-2", "cut broker-2 broker-1"]
    later.stop()
    assert earlier.remaining_faults() == []
    earlier.stop()
