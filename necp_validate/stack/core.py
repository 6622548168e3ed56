"""Instances of the event core: started as any deployment would, configured by environment alone."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import necp_validate
from necp_validate.results import StackError
from necp_validate.stack.ports import free_ports
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.waiting import wait_until

CORE_MODULE = "necp_validate.reference.eventcore"
_STARTED_PER_INSTANCE = ("KAFKA_", "HTTP_PORT", "METRICS_PORT", "CORE_INSTANCE")


def core_environment(instance: str, client: Mapping[str, str], *, http_port: int, metrics_port: int) -> dict[str, str]:
    """Return the environment of one instance.

    Args:
        instance: its name.
        client: librdkafka properties of its principal.
        http_port: port of its HTTP endpoint.
        metrics_port: port of its metrics.
    """
    return {
        "KAFKA_BOOTSTRAP_SERVERS": client["bootstrap.servers"],
        "KAFKA_SECURITY_PROTOCOL": client.get("security.protocol", "PLAINTEXT"),
        "KAFKA_SASL_MECHANISM": client.get("sasl.mechanism", ""),
        "KAFKA_SASL_USERNAME": client.get("sasl.username", ""),
        "KAFKA_SASL_PASSWORD": client.get("sasl.password", ""),
        "KAFKA_SSL_CA_LOCATION": client.get("ssl.ca.location", ""),
        "HTTP_PORT": str(http_port),
        "METRICS_PORT": str(metrics_port),
        "CORE_INSTANCE": instance,
    }


class HttpService:
    """What every service handle shares: its addresses, and waiting for its health."""

    def __init__(self, name: str, http_url: str, metrics_url: str) -> None:
        self._name = name
        self._http_url = http_url
        self._metrics_url = metrics_url

    @property
    def name(self) -> str:
        """Its instance name."""
        return self._name

    @property
    def http_url(self) -> str:
        """Base address of its HTTP endpoint."""
        return self._http_url

    @property
    def metrics_url(self) -> str:
        """Full address of its metrics."""
        return self._metrics_url

    def healthy(self) -> bool:
        """Tell whether ``/health`` answers 200."""
        try:
            with urllib.request.urlopen(f"{self._http_url}/health", timeout=2.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return False

    def alive(self) -> bool:
        """Tell whether it is running."""
        raise NotImplementedError

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        raise NotImplementedError

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Come back when ``/health`` answers 200.

        Raises:
            StackError: it died or did not answer in time.
        """

        def ready() -> bool:
            if not self.alive():
                raise StackError(f"{self.name} died while it was starting", detail=self.log_tail())
            return self.healthy()

        try:
            wait_until(ready, timeout_s=timeout_s, backoff_s=0.05, message=f"{self.name} did not become healthy")
        except StackError as error:
            error.detail = error.detail or self.log_tail()
            raise


class ProcessService(HttpService):
    """A service that runs as a process on this host.

    Args:
        name: its instance name.
        process: the process.
        http_port: port of its HTTP endpoint.
        metrics_port: port of its metrics.
    """

    def __init__(self, name: str, process: ManagedProcess, http_port: int, metrics_port: int) -> None:
        super().__init__(name, f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{metrics_port}/metrics")
        self._process = process

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid

    @property
    def process(self) -> ManagedProcess:
        """Its process, with all that can be done to it."""
        return self._process

    def alive(self) -> bool:
        """Tell whether it is running."""
        return self._process.alive()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Ask it to end; kill it after the timeout; tell whether it ended by itself with exit code 0."""
        return self._process.terminate(timeout_s) and self._process.exit_code == 0

    def kill(self) -> None:
        """End it without warning."""
        self._process.cpu_s()
        self._process.kill()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return self._process.log_tail(lines)

    def cpu_s(self) -> float:
        """Return the CPU time it has used."""
        return self._process.cpu_s()


def start_core_process(
    instance: str,
    client: Mapping[str, str],
    env: Mapping[str, str],
    *,
    log: Path,
    detached: bool = False,
    command: Sequence[str] = (sys.executable, "-m", CORE_MODULE),
) -> ProcessService:
    """Start an instance of the event core as a process on this host.

    Args:
        instance: its name.
        client: librdkafka properties of its principal.
        env: configuration on top.
        log: file for its output.
        detached: let it outlive this process.
        command: what to run.

    Raises:
        StackError: it cannot be started.
    """
    http_port, metrics_port = free_ports(2)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_STARTED_PER_INSTANCE)}
    settings = core_environment(instance, client, http_port=http_port, metrics_port=metrics_port)
    full = {**inherited, **settings, **env, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
    try:
        process = ManagedProcess.spawn(command, log=log, env=full, detached=detached)
    except OSError as error:
        raise StackError(f"{instance} cannot be started: {error}") from error
    return ProcessService(instance, process, int(full["HTTP_PORT"]), int(full["METRICS_PORT"]))


def python_path() -> str:
    """Return the ``PYTHONPATH`` with which another process finds this very package."""
    package = Path(necp_validate.__file__).parent.parent
    return os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
