"""A detached stack is found again by its state file, and ended by it: exactly its own processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.core import StackError
from necp_validate.stack.local import LocalStack
from necp_validate.stack.process import ManagedProcess, birth_of
from necp_validate.stack.state import attach, default_state_file, down, save_state, up

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ManagedProcess]:
    process = ManagedProcess.spawn(SLEEP, log=tmp_path / "broker-1.log")
    yield process
    process.kill()


@pytest.fixture
def stack(tmp_path: Path, broker: ManagedProcess) -> LocalStack:
    """A stack of one process that only looks like a broker."""
    directory = tmp_path / "work"
    directory.mkdir()
    return LocalStack.from_state(
        {
            "layout": {
                "directory": str(directory),
                "settings": [
                    {
                        "id": 1,
                        "bind": "127.0.0.1",
                        "internal_host": "127.0.0.1",
                        "external_host": "127.0.0.1",
                        "internal_port": 19003,
                        "external_port": 19004,
                        "controller_port": 19002,
                        "log_dir": "/data",
                        "store": "/store.pem",
                        "ca": "/ca.pem",
                    }
                ],
                "passwords": {"combat-service": "secret"},
            },
            "kafka_version": "4.4.0",
            "logs": str(tmp_path),
            "heap_mib": [256, 512],
            "processes": [
                {
                    "broker": 1,
                    "pid": broker.pid,
                    "birth": broker.birth,
                    "log": str(tmp_path / "broker-1.log"),
                }
            ],
        }
    )


def test_attached_stack_is_the_same_and_stop_leaves_it_alone(
    tmp_path: Path, stack: LocalStack, broker: ManagedProcess
) -> None:
    file = tmp_path / "state" / "stack.json"
    save_state(stack, "local", file, ready=True)
    assert file.stat().st_mode & 0o777 == 0o600
    found = attach(file)
    assert found.brokers() == stack.brokers()
    assert found.client_config("combat-service") == stack.client_config("combat-service")
    found.stop()
    assert broker.alive()


def test_down_ends_the_processes_and_removes_the_files(
    tmp_path: Path, stack: LocalStack, broker: ManagedProcess
) -> None:
    file = tmp_path / "stack.json"
    save_state(stack, "local", file, ready=True)
    assert down(file)
    assert not broker.alive()
    assert not file.exists()
    assert not (tmp_path / "work").exists()
    assert not down(file)


def test_down_spares_a_process_that_only_has_the_same_id(tmp_path: Path, stack: LocalStack) -> None:
    file = tmp_path / "stack.json"
    save_state(stack, "local", file, ready=True)
    content = json.loads(file.read_text())
    birth = birth_of(os.getpid())
    assert birth is not None
    content["stack"]["processes"][0] |= {"pid": os.getpid(), "birth": birth - 60}
    file.write_text(json.dumps(content))
    assert down(file)


def test_a_dead_broker_is_told(tmp_path: Path, stack: LocalStack, broker: ManagedProcess) -> None:
    broker.log.write_text("java.io.IOException: No space left on device\n")
    broker.kill()
    with pytest.raises(StackError, match=r"broker 1 died(.|\n)*hint: there is no space left"):
        stack.start(lambda _: None)


def test_no_stack_is_a_clear_word(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no stack is up"):
        attach(tmp_path / "none.json")


def test_a_half_started_stack_cannot_be_used_but_ended(
    tmp_path: Path, stack: LocalStack, broker: ManagedProcess
) -> None:
    file = tmp_path / "stack.json"
    save_state(stack, "local", file, ready=False)
    with pytest.raises(StackError, match="never completely brought up"):
        attach(file)
    assert down(file)
    assert not broker.alive()


def test_a_second_stack_is_refused(tmp_path: Path, stack: LocalStack) -> None:
    file = tmp_path / "stack.json"
    save_state(stack, "local", file, ready=True)
    with pytest.raises(StackError, match="a stack is up already"):
        up(lambda _: stack, "local", lambda _: None, file)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "backend": "moon", "stack": {}, "ready": true}'])
def test_a_file_that_is_no_state_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(content)
    with pytest.raises(StackError, match="is not a state file"):
        attach(file)


def test_the_state_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NECP_STATE_DIR", str(tmp_path))
    assert default_state_file() == tmp_path / "stack.json"
