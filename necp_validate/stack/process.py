"""Child processes that never outlive their owner, unless they are meant to."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import psutil

from necp_validate.stack.waiting import wait_until

_PAUSE_TIMEOUT_S = 5.0
# Runs in the child before the program itself: the kernel kills the process when its parent ends, however it ends.
# A separate interpreter and not ``preexec_fn``, which is unsafe (and warned about) in a process with threads.
_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(125)
os.execv(sys.argv[2], sys.argv[2:])
"""


_Job = tuple[Future[subprocess.Popen[bytes]], Sequence[str], Path, dict[str, str], int | None, bool]


class _Launcher:
    """Starts children from one thread that lives as long as the process.

    The kernel's parent-death signal follows the *thread* that created the child: a child started from a thread
    that ends would be killed with it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._jobs: queue.SimpleQueue[_Job]

    def launch(
        self, command: Sequence[str], log: Path, env: dict[str, str], group: int | None, listens: bool
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._owner != os.getpid():
                self._owner = os.getpid()
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._work, args=(self._jobs,), daemon=True, name="necp-launcher").start()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((future, command, log, env, group, listens))
        return future.result()

    @staticmethod
    def _work(jobs: queue.SimpleQueue[_Job]) -> None:
        while True:
            future, command, log, env, group, listens = jobs.get()
            try:
                future.set_result(_popen(command, log, env, group, listens))
            except Exception as error:  # noqa: BLE001  # raised where it was asked for; the thread is everybody's
                future.set_exception(error)


_LAUNCHER = _Launcher()


def _popen(
    command: Sequence[str], log: Path, env: dict[str, str], group: int | None, listens: bool
) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            group=group,
        )


class ManagedProcess:
    """A process that this suite started, now or in an earlier command.

    Args:
        pid: its id.
        birth: from ``birth_of``: with the id, what tells it from any other process.
        log: file that holds its output.
        popen: its handle, if it is a child of this process.
    """

    def __init__(self, pid: int, birth: float, log: Path, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.birth = birth
        self.log = log
        self.exit_code: int | None = None
        self._popen = popen
        self._cpu_s = 0.0
        self._process = psutil.Process(pid) if birth_of(pid) == birth else None

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        detached: bool = False,
        group: int | None = None,
        listens: bool = False,
    ) -> ManagedProcess:
        """Start a program in its own session, its output appended to a file.

        Args:
            command: program and arguments.
            log: file for its output.
            env: its whole environment; that of this process if None.
            detached: let it outlive this process; otherwise the kernel ends it together with this process.
            group: id of the group that it runs under; that of this process if None.
            listens: let its standard input be what ``tell`` says; otherwise there is none.

        Raises:
            OSError: the program cannot be started.
        """
        full_env = dict(os.environ if env is None else env)
        if detached or not sys.platform.startswith("linux"):
            popen = _popen(command, log, full_env, group, listens)
        else:
            guard = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
            popen = _LAUNCHER.launch(guard, log, full_env, group, listens)
        # A child that has ended already is still there to be asked, until it is waited for.
        return cls(popen.pid, birth_of(popen.pid) or 0.0, log, popen)

    @property
    def container(self) -> None:
        """Nothing: it runs in none."""

    @property
    def process(self) -> psutil.Process | None:
        """The process, for its counters; None if it was gone when this was made."""
        return self._process

    def tell(self, text: str) -> None:
        """Write to its standard input; nothing happens if it has ended. It must have been started with ``listens``."""
        assert self._popen is not None
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(text.encode())
            self._popen.stdin.flush()

    def alive(self) -> bool:
        """Tell whether it runs."""
        if self._popen is not None:
            code = self._popen.poll()
            self.exit_code = code if code is not None else self.exit_code
            return code is None
        if self._process is None:
            return False
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def cpu_s(self) -> float:
        """Return the CPU time used; the last known figure once it is gone."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = self._process.cpu_times()
                self._cpu_s = max(self._cpu_s, times.user + times.system)
        return self._cpu_s

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and everything it started; nothing happens if it is gone."""
        if not self.alive():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def pause(self) -> None:
        """Freeze it and everything it started; come back when it is frozen.

        Raises:
            StackError: it does not stop.
        """
        self.signal(signal.SIGSTOP)
        wait_until(
            lambda: self.paused() or not self.alive(),
            timeout_s=_PAUSE_TIMEOUT_S,
            backoff_s=0.005,
            message=f"process {self.pid} did not stop",
        )

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def paused(self) -> bool:
        """Tell whether it is frozen."""
        try:
            return self._process is not None and self.alive() and self._process.status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; tell whether it came in time."""
        try:
            if self._popen is not None:
                self.exit_code = self._popen.wait(timeout_s)
            elif self._process is not None:
                self._process.wait(timeout_s)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        return True

    def kill(self) -> None:
        """End it without warning and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(30.0)

    def terminate(self, timeout_s: float) -> bool:
        """Ask it to end, kill it after the timeout; tell whether it ended by itself."""
        self.cpu_s()
        self.signal(signal.SIGTERM)
        if self.wait(timeout_s):
            return True
        self.kill()
        return False

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return tail(self.log, lines)

    def early_end(self) -> str:
        """How it ended, in one line, with its last words; nothing while it runs."""
        return "" if self.alive() else f"it ended with exit code {self.exit_code}: {self.log_tail(1) or 'no output'}"


def birth_of(pid: int) -> float | None:
    """Return when a process was created, to compare with nothing but itself; None if there is no such process.

    On Linux these are the kernel's ticks since the system started: unlike a time of day they never change when the
    clock is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return float(stat.rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a text file; nothing if there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(max(0, size - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
