"""Containers that this suite started: brokers, the event core, the gateway."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import docker
import docker.errors
import psutil

from necp_validate.core import StackError
from necp_validate.stack.gateway import Gateway
from necp_validate.stack.process import tail
from necp_validate.stack.root import root_shell
from necp_validate.stack.service import HttpService

_RUNNING = ("created", "running", "paused", "restarting")


class ManagedContainer:
    """A container, now or of an earlier command; it may be gone.

    Args:
        container: as the engine's client has it.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self._cpu_s = 0.0

    @classmethod
    def named(cls, client: docker.DockerClient, name: str) -> ManagedContainer:
        """Return the container of this name; one that is gone if there is none."""
        try:
            return cls(client.containers.get(name))
        except docker.errors.NotFound:
            return cls(_Gone(name))

    @property
    def container(self) -> str:
        """Its name."""
        return str(self._container.name)

    @property
    def pid(self) -> int | None:
        """Its first process, as this host numbers it; None if it does not run."""
        return self._state()["Pid"] or None

    @property
    def exit_code(self) -> int | None:
        """How its first process ended, negative for a signal; None if that cannot be told."""
        code: int | None = self._state()["ExitCode"]
        # The engine adds 128 to the number of the signal that ended a process.
        return 128 - code if code is not None and code > 128 else code

    def _state(self) -> dict[str, Any]:
        try:
            self._container.reload()
        except docker.errors.NotFound:
            return {"Pid": 0, "ExitCode": None, "Status": "gone"}
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def alive(self) -> bool:
        """Tell whether it runs (a paused one does)."""
        return self._state()["Status"] in _RUNNING

    def start(self) -> None:
        """Start it again."""
        self._container.start()

    def remove(self) -> None:
        """Remove it if it has ended, so that its name can be used again; nothing happens if it is gone."""
        if self._state()["Status"] not in ("gone", *_RUNNING):
            self._container.remove()

    def kill(self) -> None:
        """End it without warning and wait until it is gone; nothing happens if it is."""
        # The engine answers with a conflict if the container does not run (any more).
        with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
            self._container.kill("SIGKILL")
        with contextlib.suppress(docker.errors.NotFound):
            self._container.wait(timeout=30)

    def signal(self, name: str) -> None:
        """Send a signal to its first process; nothing happens if it does not run."""
        with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
            self._container.kill(name)

    def terminate(self, timeout_s: float) -> bool:
        """Ask it to end, kill it after the timeout; tell whether it ended by itself."""
        try:
            self._container.stop(timeout=round(timeout_s))
        except docker.errors.NotFound:
            return False
        return self.exit_code not in (None, -9)

    def pause(self) -> None:
        """Freeze it; nothing happens if it is frozen."""
        if not self.paused():
            self._container.pause()

    def resume(self) -> None:
        """Let it go on; nothing happens if it does."""
        if self.paused():
            self._container.unpause()

    def paused(self) -> bool:
        """Tell whether it is frozen."""
        return bool(self._state()["Status"] == "paused")

    def shell(self, script: str) -> tuple[int, str]:
        """Run a shell script in its namespaces (network, mounts), as root and with every capability.

        Where this process is root it goes there itself, which works for a frozen container, too; else the engine is
        asked, which refuses on hosts that lack a capability themselves.

        Returns:
            Exit code, and what it wrote.

        Raises:
            StackError: it does not run, or the engine refused.
        """
        pid = self.pid
        if pid is None:
            raise StackError(f"{self.container} does not run")
        if self._enterable(pid):
            return root_shell(script, within=("nsenter", "-t", str(pid), "-m", "-n", "-p", "--"))
        try:
            code, output = self._container.exec_run(["sh", "-c", script], user="root", privileged=True)
        except docker.errors.APIError as error:
            raise StackError(f"{self.container} takes no command: {error.explanation}") from error
        return int(code), output.decode("utf-8", "replace")

    def has_shell(self) -> bool:
        """Tell whether ``shell`` can be used now."""
        pid = self.pid
        return pid is not None and (self._enterable(pid) or not self.paused())

    def _enterable(self, pid: int) -> bool:
        """Tell whether this process is root, and means the same process by a number as the engine does."""
        if os.geteuid() != 0:
            return False
        with contextlib.suppress(OSError):
            return str(self._container.id) in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        return False

    def cpu_s(self) -> float:
        """Return the CPU time it has used; the last known figure once it is gone."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                self._cpu_s = max(self._cpu_s, times.user + times.system)
        return self._cpu_s


class _Gone:
    """Stands for a container that is not there any more."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise docker.errors.NotFound(f"{self.name} is gone")

    reload = start = kill = wait = stop = pause = unpause = exec_run = _refuse


class ContainerService(HttpService):
    """A service that runs in a container on this host.

    Args:
        name: its instance name.
        container: the container.
        http_port: port of its HTTP endpoint on this host.
        metrics_port: port of its metrics on this host.
        log: file for its output.
    """

    def __init__(self, name: str, container: ManagedContainer, http_port: int, metrics_port: int, log: Path) -> None:
        super().__init__(name, f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{metrics_port}/metrics")
        self._container = container
        self._log = log

    @property
    def container(self) -> str:
        """Its container's name."""
        return self._container.container

    @property
    def pid(self) -> int | None:
        """Its process on this host."""
        return self._container.pid

    def alive(self) -> bool:
        """Tell whether it is running."""
        return self._container.alive()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Ask it to end; kill it after the timeout; tell whether it ended by itself with exit code 0."""
        self.cpu_s()
        return self._container.terminate(timeout_s) and self._container.exit_code == 0

    def kill(self) -> None:
        """End it without warning."""
        self.cpu_s()
        self._container.kill()

    def pause(self) -> None:
        """Freeze it."""
        self._container.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._container.resume()

    def paused(self) -> bool:
        """Tell whether it is frozen."""
        return self._container.paused()

    def hold(self) -> None:
        """Let it read no more events."""
        self._container.signal("SIGUSR1")

    def release(self) -> None:
        """Let it read on."""
        self._container.signal("SIGUSR2")

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return tail(self._log, lines)

    def cpu_s(self) -> float:
        """Return the CPU time it has used; the last known figure once it is gone."""
        return self._container.cpu_s()


class GatewayContainer(Gateway, ContainerService):
    """A gateway that runs in a container on this host."""
