"""The instances of a service that belong to one run, and which of them were ended on purpose."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Generic, TypeVar

from necp_validate.core import StackError
from necp_validate.stack.protocol import GatewayHandle, ServiceHandle, Stack

H = TypeVar("H", bound=ServiceHandle)


class ServiceFleet(ABC, Generic[H]):
    """Every instance of a service of a run, those that have ended too.

    Args:
        stack: what they are started on.
        env: configuration of every instance on top of the stack's.
    """

    noun: ClassVar[str]
    prefix: ClassVar[str]
    identity_variable: ClassVar[str]

    def __init__(self, stack: Stack, env: Mapping[str, str] | None = None) -> None:
        self._stack = stack
        self._of_all = dict(env or {})
        self._lock = threading.Lock()
        self._all: list[H] = []
        self._identity: dict[str, str] = {}
        self._env: dict[str, Mapping[str, str]] = {}
        self._ended: set[str] = set()

    @abstractmethod
    def _launch(self, name: str, env: Mapping[str, str]) -> H:
        """Start one instance; it need not be ready."""

    def __iter__(self) -> Iterator[H]:
        return iter(tuple(self._all))

    def running(self) -> list[H]:
        """The instances that nobody has ended."""
        return [core for core in self if core.name not in self._ended]

    def start(self, count: int, env: Mapping[str, str] | None = None, *, timeout_s: float = 60.0) -> list[H]:
        """Start further instances side by side; come back when all of them are healthy.

        Args:
            count: how many.
            env: configuration that goes on top of the stack's.
            timeout_s: longest time until each is healthy.

        Raises:
            StackError: one did not become healthy.
        """
        return self._start([(None, dict(env or {})) for _ in range(count)], timeout_s)

    def replace(self, name: str, env: Mapping[str, str] | None = None, *, timeout_s: float = 60.0) -> H:
        """Start an instance in the place of one that has ended, under its identity, as a deployment would.

        Args:
            name: of the one that has ended; its configuration is the new one's.
            env: configuration that goes on top of that.
            timeout_s: longest time until the new one is healthy.

        Raises:
            StackError: it did not become healthy.
        """
        identity = self._identity[name]
        given = {**self._env[name], **(env or {}), self.identity_variable: identity}
        (one,) = self._start([(identity, given)], timeout_s)
        return one

    def _start(self, wanted: list[tuple[str | None, dict[str, str]]], timeout_s: float) -> list[H]:
        started: list[H] = []
        for identity, env in wanted:
            with self._lock:
                name = f"{self.prefix}-{len(self._all)}"
                self._identity[name] = identity or name
                self._env[name] = env
                one = self._launch(name, {**self._of_all, **env})
                self._all.append(one)
            started.append(one)
        with ThreadPoolExecutor(max_workers=max(len(started), 1)) as pool:
            list(pool.map(lambda one: one.wait_ready(timeout_s), started))
        return started

    def kill(self, core: H) -> None:
        """End an instance without warning; on purpose."""
        self._ended.add(core.name)
        core.kill()

    def retire(self, core: H, timeout_s: float = 30.0) -> bool:
        """Ask an instance to end, on purpose; tell whether it did so by itself, in time and cleanly."""
        self._ended.add(core.name)
        return core.stop(timeout_s)

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: an instance died that nobody ended; with its last log lines.
        """
        for core in self.running():
            if not core.alive() and core.name not in self._ended:
                raise StackError(f"{self.noun} {core.name} died under load", detail=core.log_tail(), hint="see logs/")

    def retire_all(self, cores: Sequence[H], timeout_s: float = 30.0) -> bool:
        """The same for several, together."""
        with ThreadPoolExecutor(max_workers=max(len(cores), 1)) as pool:
            return all(list(pool.map(lambda core: self.retire(core, timeout_s), cores)))

    def stop(self, timeout_s: float) -> bool:
        """Ask all that run to end, together; tell whether each did so by itself, in time and cleanly."""
        return self.retire_all(self.running(), timeout_s)

    def close(self) -> None:
        """End whatever still runs, at once."""
        for core in self.running():
            self._ended.add(core.name)
            core.stop(1.0)

    def cpu_s(self) -> float:
        """CPU seconds used by all of them so far."""
        return sum(core.cpu_s() for core in self)


class CoreFleet(ServiceFleet[ServiceHandle]):
    """Every instance of the event core of a run, those that have ended too."""

    noun = "event core"
    prefix = "core"
    identity_variable = "CORE_INSTANCE"

    def _launch(self, name: str, env: Mapping[str, str]) -> ServiceHandle:
        return self._stack.start_core(name, env)


class GatewayFleet(ServiceFleet[GatewayHandle]):
    """The gateway of a run, and those whose place it has taken; one runs at a time."""

    noun = "gateway"
    prefix = "gateway"
    identity_variable = "GATEWAY_INSTANCE"

    def _launch(self, name: str, env: Mapping[str, str]) -> GatewayHandle:
        return self._stack.start_gateway(name, env)
