"""Watches alerts come and go, once a second; appends each change to the run's ``history/alerts.jsonl``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from necp_validate.core import StackError
from necp_validate.record import FIRING, RESOLVED, AlertTransition, parts
from necp_validate.record.self_watch import WatchedThread, noting

_EVERY_S = 1.0
_STOP_S = 10.0

Key = tuple[str, frozenset[tuple[str, str]]]


class AlertWatch:
    """Asks for the active alerts in a thread of its own.

    Args:
        run_dir: where the changes are written.
        ask: yields the active alerts as Prometheus' API has them; raises ``StackError`` if there is no answer.
        every_look: called at each look, before the alerts are asked for.
    """

    def __init__(
        self, run_dir: Path, ask: Callable[[], Sequence[Mapping[str, Any]]], every_look: Callable[[], None]
    ) -> None:
        self._run_dir = run_dir
        self._ask = ask
        self._every_look = every_look
        self._active: dict[Key, AlertTransition] = {}
        self._stopped = threading.Event()
        failed = noting(run_dir, "watch over alerts", parts.ALERTS, parts.MONITORING)
        self._thread = WatchedThread(self._run, name="necp-alerts", asked=self._stopped, on_failure=failed)
        self.begin_us = 0
        self.end_us = 0
        self.looks = 0
        self.missed = 0
        self.transitions = 0

    def start(self) -> None:
        """Begin to look."""
        self.begin_us = self.end_us = time.time_ns() // 1000
        self._thread.start()

    def stop(self) -> None:
        """Look no more; may be called more than once."""
        self._thread.stop(_STOP_S)

    def states(self) -> dict[str, list[AlertTransition]]:
        """The alerts that are pending or firing, by name."""
        found: dict[str, list[AlertTransition]] = {}
        for one in tuple(self._active.values()):
            found.setdefault(one.name, []).append(one)
        return found

    def firing(self, name: str) -> bool:
        """Whether an alert of this name fires."""
        return any(one.state == FIRING for one in self.states().get(name, []))

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S - time.time() % _EVERY_S):
            self.look()

    def look(self) -> None:
        """Ask once, and write down what has changed."""
        self.looks += 1
        try:
            self._every_look()
            alerts = self._ask()
        except StackError:
            self.missed += 1
            return
        self.end_us = now_us = time.time_ns() // 1000
        after = {one.key: one for one in (transition(alert, now_us) for alert in alerts)}
        rows = changes(self._active, after, now_us)
        self._active = after
        if rows:
            parts.ALERTS.append(self._run_dir, *rows)
            self.transitions += len(rows)


def transition(alert: Mapping[str, Any], now_us: int) -> AlertTransition:
    """An active alert as Prometheus tells it."""
    labels = {name: value for name, value in alert["labels"].items() if name != "alertname"}
    return AlertTransition(
        t_us=now_us,
        name=alert["labels"]["alertname"],
        state=alert["state"],
        labels=labels,
        active_us=_epoch_us(alert.get("activeAt", "")),
        value=_number(alert.get("value")),
    )


def changes(
    before: Mapping[Key, AlertTransition], after: Mapping[Key, AlertTransition], now_us: int
) -> list[AlertTransition]:
    """What is new, is in another state, or is gone.

    An alert that has gone and come back between two looks has another beginning: that is new, too.
    """
    gone = [
        AlertTransition(t_us=now_us, name=one.name, state=RESOLVED, labels=one.labels, active_us=None, value=None)
        for key, one in before.items()
        if key not in after
    ]
    new = [
        one
        for key, one in after.items()
        if (old := before.get(key)) is None or (old.state, old.active_us) != (one.state, one.active_us)
    ]
    return [*gone, *new]


def _epoch_us(text: str) -> int | None:
    """Prometheus writes nanoseconds; Python reads microseconds."""
    if not text:
        return None
    head, _, fraction = text.rstrip("Z").partition(".")
    return round(datetime.fromisoformat(f"{head}+00:00").timestamp()) * 1_000_000 + int((fraction + "000000")[:6])


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None
