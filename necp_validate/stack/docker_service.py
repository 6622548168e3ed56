"""The event core in a container."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import docker.errors
import psutil

from necp_validate.stack.core import HttpService
from necp_validate.stack.process import tail

RUNNING = ("created", "running", "paused", "restarting")


class ContainerService(HttpService):
    """A service that runs in a container on this host.

    Args:
        name: its instance name.
        container: the container.
        http_port: port of its HTTP endpoint on this host.
        metrics_port: port of its metrics on this host.
        log: file for its output.
    """

    def __init__(self, name: str, container: Any, http_port: int, metrics_port: int, log: Path) -> None:
        super().__init__(name, f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{metrics_port}/metrics")
        self._container = container
        self._log = log
        self._cpu_s = 0.0

    @property
    def container(self) -> str:
        """Its container's name."""
        return str(self._container.name)

    @property
    def pid(self) -> int | None:
        """Its process on this host."""
        return container_pid(self._container)

    def alive(self) -> bool:
        """Tell whether it is running."""
        return container_alive(self._container)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Ask it to end; kill it after the timeout; tell whether it ended by itself with exit code 0."""
        self.cpu_s()
        try:
            self._container.stop(timeout=round(timeout_s))
            self._container.reload()
        except docker.errors.NotFound:
            return False
        return bool(self._container.attrs["State"]["ExitCode"] == 0)

    def kill(self) -> None:
        """End it without warning."""
        self.cpu_s()
        kill_container(self._container)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return tail(self._log, lines)

    def cpu_s(self) -> float:
        """Return the CPU time it has used; the last known figure once it is gone."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                self._cpu_s = max(self._cpu_s, times.user + times.system)
        return self._cpu_s


def container_alive(container: Any) -> bool:
    """Tell whether a container runs (a paused one does)."""
    try:
        container.reload()
    except docker.errors.NotFound:
        return False
    return container.status in RUNNING


def container_pid(container: Any) -> int | None:
    """Return the first process of a container, as this host numbers it; None if it does not run."""
    try:
        container.reload()
    except docker.errors.NotFound:
        return None
    return container.attrs["State"]["Pid"] or None


def kill_container(container: Any) -> None:
    """End a container without warning and wait until it is gone; nothing happens if it is."""
    # The engine answers with a conflict if the container does not run (any more).
    with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
        container.kill("SIGKILL")
    with contextlib.suppress(docker.errors.NotFound):
        container.wait(timeout=30)
