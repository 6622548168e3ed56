"""The flood of a publisher, as a process that a session owns."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import msgspec

from necp_validate.core import StackError, UsageError
from necp_validate.events.topics import Domain
from necp_validate.security.flood import FloodPlan, limit_hits
from necp_validate.stack import Stack
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import FaultUnavailable, ServiceHandle

_COMMAND = (sys.executable, "-m", "necp_validate.security.flood")
_READY_S = 60.0
_STOP_S = 20.0


class PublisherFlood:
    """A publisher with its flood.

    Args:
        stack: where the publisher runs.
        run_dir: where the record goes.
        domain: whose events are sent.
        name: of this flood, unique in the run.
    """

    def __init__(self, stack: Stack, run_dir: Path, domain: Domain, name: str) -> None:
        self._stack = stack
        self._run_dir = run_dir
        self._domain = domain
        self._name = name
        self._publisher: ServiceHandle | None = None
        self._process: ManagedProcess | None = None

    def start(self, *, rate: int, burst: int, factor: float, seconds: float, polite: int, hostile: int) -> None:
        """Start the publisher, and flood it once it is ready.

        Args:
            rate: its limit, events a second.
            burst: its limit at once.
            factor: how many times the limit is due, to polite senders.
            seconds: how long.
            polite: how many senders stay away for as long as they are told.
            hostile: how many do not, and always have something to send.

        Raises:
            FaultUnavailable: the target has no publisher.
            StackError: it cannot be started.
        """
        token = secrets.token_urlsafe(32)
        env = {
            "PUBLISHER_TOKEN": token,
            "PRODUCER_MAX_RATE_PER_SECOND": str(rate),
            "PRODUCER_BURST_LIMIT": str(burst),
        }
        try:
            self._publisher = publisher = self._stack.start_publisher(self._domain, env)
        except UsageError as error:
            raise FaultUnavailable(f"needs a publisher: {error.message}") from error
        publisher.wait_ready(_READY_S)
        plan = FloodPlan(
            run_dir=str(self._run_dir),
            run_id=self._run_dir.name,
            name=self._name,
            domain=self._domain,
            url=publisher.http_url,
            metrics_url=publisher.metrics_url,
            token=token,
            rate_eps=rate,
            burst=burst,
            factor=factor,
            seconds=seconds,
            polite=polite,
            hostile=hostile,
        )
        log = self._run_dir / "logs" / f"{self._name}.log"
        self._process = ManagedProcess.spawn(_COMMAND, log=log, listens=True)
        # Not a file and no argument: the plan holds the token.
        self._process.tell(msgspec.json.encode(plan).decode() + "\n")

    def refused(self) -> int:
        """Events refused so far, by the publisher's own metric."""
        hits = None if self._publisher is None else limit_hits(self._publisher.metrics_url, self._domain.topic)
        return hits or 0

    def floods(self) -> bool:
        """Tell whether it goes on.

        Raises:
            StackError: the publisher died, or the flood failed; with its last log lines.
        """
        process, publisher = self._process, self._publisher
        if process is None or publisher is None:
            return False
        if not publisher.alive():
            raise StackError(f"{publisher.name} died under its flood", detail=publisher.log_tail())
        if not process.alive() and process.exit_code != 0:
            raise StackError(f"the flood ended with exit code {process.exit_code}", detail=process.log_tail())
        return process.alive()

    def stop(self) -> None:
        """End the flood, which leaves its record, and then the publisher; may be called more than once."""
        if self._process is not None:
            self._process.terminate(_STOP_S)
        if self._publisher is not None:
            self._publisher.stop(_STOP_S)
