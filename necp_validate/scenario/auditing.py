"""The audit trail in a run: a collector beside the event core, a rotation of the key, and the trail read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from necp_validate.chaos.cluster import cluster_reader
from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.record import REFUSED, parts
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.gateway import OwnStream
from necp_validate.security.audit import Rotation, audit_trail
from necp_validate.security.logs import BrokerLogs
from necp_validate.stack import Stack
from necp_validate.stack.keyring import rotate_key
from necp_validate.stack.protocol import FaultUnavailable
from necp_validate.stack.waiting import wait_until

_NAME = "collector-0"
_START_S = 60.0
_CATCH_UP_S = 60.0
_STOP_S = 30.0


class AuditRun:
    """What a scenario with ``[security] audit = true`` has besides.

    Args:
        stack: a target that is up, with its event core.
        run_dir: where the history goes.
        undo: ends the collector, whatever happens.
    """

    def __init__(self, stack: Stack, run_dir: Path, undo: ExitStack) -> None:
        self._stack = stack
        self._run_dir = run_dir
        self._needs = ""
        self._lines: list[str] = []
        self._own: dict[str, Any] = {}
        self._rotation: Rotation | None = None
        try:
            self._keyring = stack.audit_keyring()
            self._collector = stack.start_collector(_NAME, {})
        except FaultUnavailable as error:
            self._needs = str(error)
            return
        undo.callback(self._collector.kill)
        self._collector.wait_ready(_START_S)
        self._logs = BrokerLogs(stack.broker_logs())

    def rotate(self) -> None:
        """Rotate the key while everything runs.

        Raises:
            StackError: it could not be done.
        """
        if not self._needs:
            after = rotate_key(self._keyring)
            self._rotation = Rotation(before=after - 1, after=after)

    def finish(self) -> None:
        """Let the collector take what was logged by now, end it, note what it sent, and let the event core seal that.

        Raises:
            StackError: it died, or did not get there.
        """
        if self._needs:
            return
        self._lines = [line for broker in self._stack.broker_logs() for line in self._logs.lines(broker)]

        def caught_up() -> bool:
            if not self._collector.alive():
                raise StackError("the collector of security events died", detail=self._collector.log_tail())
            told = self._collector.health()
            self._own = told.get("audits") or self._own
            return told.get("behind_bytes") == 0 and told.get("acked") == self._own.get("sent")

        wait_until(caught_up, timeout_s=_CATCH_UP_S, message="the collector of security events is behind the logs")
        if not self._collector.stop(_STOP_S):
            raise StackError("the collector of security events did not end cleanly", detail=self._collector.log_tail())
        # What was logged between its last word and its end it has sent as well: a few more, as of one that was killed.
        stream = OwnStream(instance=_NAME, **self._own, killed=True)
        parts.COLLECTOR_RECORD.write(self._run_dir, CollectorRecord(streams=(stream,)))
        reader = cluster_reader(self._stack)
        wait_until(
            lambda: reader.lag(Domain.SYSTEM) == 0,
            timeout_s=_CATCH_UP_S,
            retry_on=(KafkaException, LookupError, OSError),
            message="the event core is behind the collector's events",
        )

    def read(self, begin: Mapping[str, Sequence[int]]) -> None:
        """Read the trail, once the event core has ended.

        Args:
            begin: offsets by topic at which the run began.

        Raises:
            SuiteError: it could not be read to its end.
        """
        if self._needs:
            parts.AUDIT.write(self._run_dir, AuditRecord(needs=self._needs))
            return
        rounds = parts.SECURITY.read(self._run_dir)
        probes = [probe for one in rounds for part in (one.listeners, one.access) for probe in part]
        record = audit_trail(
            self._stack,
            begin={Domain.SYSTEM.topic: begin.get(Domain.SYSTEM.topic, ())},
            lines=self._lines,
            provoked=[probe.log_line for probe in probes if probe.outcome == REFUSED and probe.log_line],
            servers=[_NAME],
            rotation=self._rotation,
        )
        parts.AUDIT.write(self._run_dir, record)
