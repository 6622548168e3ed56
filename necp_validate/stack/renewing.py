"""Renews brokers' certificates by itself, in time, without a restart."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Protocol

from necp_validate.core import StackError, SuiteError
from necp_validate.record.self_watch import WatchedThread

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_AGAIN_AFTER_S = 30.0
_END_S = 5.0


class Renewable(Protocol):
    """What has certificates that are to be renewed."""

    def due_certificates(self, now: datetime) -> list[int]:
        """Return the brokers whose certificates are due for renewal."""

    def reload_certificate(self, broker: int, *, validity_days: float | None = None) -> int:
        """Issue a broker a new certificate and have it serve that."""


class Renewer:
    """Looks once a second whether a certificate is due, in a thread of its own.

    What goes wrong is tried again: there is a lot of time left then.

    Args:
        stack: whose certificates.
    """

    def __init__(self, stack: Renewable) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        self._thread: WatchedThread | None = None

    def start(self) -> None:
        """Begin; nothing happens if it has begun."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = WatchedThread(self._run, name="necp-renewer", asked=self._stopping)
            self._thread.start()

    def stop(self) -> None:
        """End; what is under way gets a moment. Nothing happens if it has not begun."""
        if self._thread is not None:
            self._thread.stop(_END_S)
            self._thread = None

    def check(self) -> None:
        """Do nothing if certificates are renewed in time, or were never to be.

        Raises:
            StackError: the thread ended early: a certificate that expires now would look like the brokers' failure.
        """
        if self._thread is not None and self._thread.problem:
            raise StackError(
                f"the renewal of brokers' certificates ended early: {self._thread.problem}",
                hint="a defect of the suite itself: in this run a certificate that expires is no finding",
            )

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            if not self.renew(datetime.now(UTC)):
                self._stopping.wait(_AGAIN_AFTER_S)

    def renew(self, now: datetime) -> bool:
        """Renew what is due; tell whether all of it was."""
        try:
            for broker in self._stack.due_certificates(now):
                serial = self._stack.reload_certificate(broker)
                log.info("the certificate of broker %d was renewed, serial %x", broker, serial)
        except (SuiteError, OSError) as error:
            log.warning("a certificate could not be renewed: %s", error)
            return False
        return True
