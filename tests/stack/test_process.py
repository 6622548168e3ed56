"""Children end with their owner, however it ends, unless they are meant to stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from necp_validate.stack.process import ManagedProcess, birth_of, tail
from necp_validate.stack.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: parent-death signal")


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _owner(tmp_path: Path, *, detached: bool) -> tuple[subprocess.Popen[str], int]:
    """Start an owner in a process of its own; it starts a child, says its id and waits."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom necp_validate.stack.process import ManagedProcess\n"
        f"child = ManagedProcess.spawn({SLEEP!r}, log=Path({str(tmp_path / 'log')!r}), detached={detached})\n"
        "print(child.pid, flush=True)\ntime.sleep(300)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_with_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    owner, child = _owner(tmp_path, detached=False)
    with owner:
        owner.send_signal(number)
    wait_until(lambda: _gone(child), timeout_s=10, message="the child did not end")


def test_detached_child_outlives_its_owner(tmp_path: Path) -> None:
    owner, child = _owner(tmp_path, detached=True)
    with owner:
        owner.kill()
    try:
        assert not _gone(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[ManagedProcess] = []
    thread = threading.Thread(target=lambda: started.append(ManagedProcess.spawn(SLEEP, log=tmp_path / "log")))
    thread.start()
    thread.join()
    (child,) = started
    try:
        assert not child.wait(0.3)
        assert child.alive()
    finally:
        child.kill()
    assert not child.alive()
    assert child.exit_code == -signal.SIGKILL


def test_terminate_says_whether_it_ended_by_itself(tmp_path: Path) -> None:
    obedient = ManagedProcess.spawn(SLEEP, log=tmp_path / "a")
    wait_until(lambda: "time" in " ".join(psutil.Process(obedient.pid).cmdline()), timeout_s=5, message="no start")
    assert obedient.terminate(10)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    stubborn = ManagedProcess.spawn([sys.executable, "-c", f"{deaf}; time.sleep(300)"], log=tmp_path / "b")
    wait_until(lambda: "deaf" in stubborn.log_tail(), timeout_s=10, message="no start")
    assert not stubborn.terminate(0.2)
    assert not stubborn.alive()


def test_a_process_is_not_taken_for_a_later_one_with_its_id(tmp_path: Path) -> None:
    pid, birth = os.getpid(), birth_of(os.getpid())
    assert birth is not None
    assert ManagedProcess(pid, birth, tmp_path / "log").alive()
    impostor = ManagedProcess(pid, birth - 60, tmp_path / "log")
    assert not impostor.alive()
    impostor.kill()


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    child = ManagedProcess.spawn(["/does/not/exist"], log=tmp_path / "log")
    assert child.wait(10)
    assert child.exit_code != 0
    assert "FileNotFoundError" in child.log_tail()


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{number}\n" for number in range(1000)))
    assert tail(log, 2) == "998\n999"
    assert tail(tmp_path / "none") == ""


def test_the_birth_of_a_process_does_not_change_and_ends_with_it(tmp_path: Path) -> None:
    child = ManagedProcess.spawn(SLEEP, log=tmp_path / "log")
    assert birth_of(child.pid) == child.birth
    child.kill()
    assert birth_of(child.pid) is None


def test_a_command_that_no_process_can_have_is_an_error_where_it_was_given_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="null byte"):
        ManagedProcess.spawn(["a\0b"], log=tmp_path / "log")
    process = ManagedProcess.spawn(
        [sys.executable, "-c", "print('last words'); raise SystemExit(3)"], log=tmp_path / "log"
    )
    assert process.wait(10)
    assert process.early_end() == "it ended with exit code 3: last words"


def test_a_process_that_runs_has_not_ended_early(tmp_path: Path) -> None:
    process = ManagedProcess.spawn(SLEEP, log=tmp_path / "log")
    try:
        assert process.early_end() == ""
    finally:
        process.kill()
