"""Services under test: started as any deployment would, configured by environment alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import necp_validate
from necp_validate.core import StackError
from necp_validate.events.topics import CORE_PRINCIPAL, Domain
from necp_validate.stack.ports import free_ports
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.waiting import wait_until

_SET_FOR_ALL = ("KAFKA_", "HTTP_PORT", "METRICS_PORT", "LISTEN_HOST")
_HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKind:
    """A service that this suite can start.

    Args:
        module: what Python runs.
        principal: who it is to Kafka.
        instance_variable: variable of its environment that holds the name of the instance.
        own_variables: beginnings of further variables that are set for each instance, never inherited.
    """

    module: str
    principal: str
    instance_variable: str
    own_variables: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """What runs it on this host."""
        return (sys.executable, "-m", self.module)

    def inherited(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return what an instance takes over from an environment."""
        own = (*_SET_FOR_ALL, self.instance_variable, *self.own_variables)
        return {key: value for key, value in env.items() if not key.startswith(own)}

    def environment(
        self,
        instance: str,
        client: Mapping[str, str],
        *,
        http_port: int,
        metrics_port: int,
        password_file: Path | str | None = None,
    ) -> dict[str, str]:
        """Return the environment of one instance.

        Args:
            instance: its name.
            client: librdkafka properties of its principal.
            http_port: port of its HTTP endpoint.
            metrics_port: port of its metrics.
            password_file: where the password is; without it, it is in the environment itself.
        """
        secret = {"KAFKA_SASL_PASSWORD": client.get("sasl.password", "")}
        if password_file is not None:
            secret = {"KAFKA_SASL_PASSWORD_FILE": str(password_file)}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": client["bootstrap.servers"],
            "KAFKA_SECURITY_PROTOCOL": client.get("security.protocol", "PLAINTEXT"),
            "KAFKA_SASL_MECHANISM": client.get("sasl.mechanism", ""),
            "KAFKA_SASL_USERNAME": client.get("sasl.username", ""),
            **secret,
            "KAFKA_SSL_CA_LOCATION": client.get("ssl.ca.location", ""),
            "HTTP_PORT": str(http_port),
            "METRICS_PORT": str(metrics_port),
            self.instance_variable: instance,
        }


CORE = ServiceKind(
    module="necp_validate.reference.eventcore",
    principal=CORE_PRINCIPAL,
    instance_variable="CORE_INSTANCE",
    own_variables=("AUDIT_KEYRING",),
)
"""The event core."""

COLLECTOR = ServiceKind(
    module="necp_validate.reference.collector",
    principal=Domain.SYSTEM.service,
    instance_variable="COLLECTOR_INSTANCE",
    own_variables=("COLLECTOR_",),
)
"""What makes audit events of the brokers' logs."""


def publisher_of(domain: Domain) -> ServiceKind:
    """Return the publisher of a domain; to Kafka it is the domain's own service."""
    return ServiceKind(
        module="necp_validate.reference.publisher",
        principal=domain.service,
        instance_variable="PUBLISHER_INSTANCE",
        own_variables=("PUBLISHER_", "PRODUCER_"),
    )


class HttpService(ABC):
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

    def health(self) -> Mapping[str, Any]:
        """Return what ``/health`` says, whatever its status; nothing if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self._http_url}/health", timeout=2.0) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return {}
        try:
            said = json.loads(body)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    @abstractmethod
    def alive(self) -> bool:
        """Tell whether it is running."""

    @abstractmethod
    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""

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

    def pause(self) -> None:
        """Freeze it."""
        self._process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._process.resume()

    def paused(self) -> bool:
        """Tell whether it is frozen."""
        return self._process.paused()

    def hold(self) -> None:
        """Let it read no more events."""
        self._process.signal(signal.SIGUSR1)

    def release(self) -> None:
        """Let it read on."""
        self._process.signal(signal.SIGUSR2)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return self._process.log_tail(lines)

    def cpu_s(self) -> float:
        """Return the CPU time it has used."""
        return self._process.cpu_s()


S = TypeVar("S", bound=ProcessService)


def start_process(
    kind: ServiceKind,
    instance: str,
    client: Mapping[str, str],
    env: Mapping[str, str],
    *,
    make: Callable[[str, ManagedProcess, int, int], S],
    log: Path,
    password_file: Path | None = None,
    detached: bool = False,
    command: Sequence[str] = (),
) -> S:
    """Start an instance of a service as a process on this host.

    Args:
        kind: which service.
        instance: its name.
        client: librdkafka properties of its principal.
        env: configuration on top.
        make: makes the handle: of name, process, and the ports of HTTP and metrics.
        log: file for its output.
        password_file: where its password is; without it, it is in the environment.
        detached: let it outlive this process.
        command: what to run instead of the service itself.

    Raises:
        StackError: it cannot be started.
    """
    http_port, metrics_port = free_ports(2)
    settings = kind.environment(
        instance, client, http_port=http_port, metrics_port=metrics_port, password_file=password_file
    )
    own = {"LISTEN_HOST": _HERE, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
    full = {**kind.inherited(os.environ), **settings, **own, **env}
    try:
        process = ManagedProcess.spawn(command or kind.command, log=log, env=full, detached=detached)
    except OSError as error:
        raise StackError(f"{instance} cannot be started: {error}") from error
    return make(instance, process, int(full["HTTP_PORT"]), int(full["METRICS_PORT"]))


def python_path() -> str:
    """Return the ``PYTHONPATH`` with which another process finds this very package."""
    package = Path(necp_validate.__file__).parent.parent
    return os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
