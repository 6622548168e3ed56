"""The circuit breaker of one domain's consumer: poison is not worked through at full speed, and nothing is lost.

*Closed*, events are read as they come. When the share of failures (dead letters: invalid events, and events at which a
handler failed; not what the rules reject) within the monitoring window reaches the threshold, it goes *open*: the
consumer stays in its group and reads nothing until the recovery timeout is over. Then, *half-open*, it reads a bounded
number of trial events: with fewer failures than the threshold it closes, with an empty window, else it opens again.

Own code: pybreaker and its like wrap single calls and count failures in a row. This one counts a share over a window,
takes whole batches, and answers how many events may be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import msgspec

SLOTS: Final = 60
"""Parts of the window, and so its memory: it forgets by the part, a sixtieth of its length at a time."""


class BreakerState(IntEnum):
    """State; the number is the value of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2

    @property
    def words(self) -> str:
        """As ``/health`` says it."""
        return self.name.lower().replace("_", "-")


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a breaker decides.

    Args:
        failure_threshold: share of failures at which it opens.
        recovery_timeout_s: how long it stays open.
        monitoring_window_s: over how long the share is taken.
        minimum_events: with fewer events in the window it stays closed.
        trial_events: events that are read half-open, to decide.
    """

    failure_threshold: float = 0.5
    recovery_timeout_s: float = 60.0
    monitoring_window_s: float = 300.0
    minimum_events: int = 100
    trial_events: int = 100


class SlidingWindow:
    """Events and failures of the last seconds, by parts of the time.

    Args:
        length_s: its length; up to one part of it less is remembered.
        now_s: time at which it is made.
    """

    def __init__(self, length_s: float, now_s: float) -> None:
        self._slot_s = length_s / SLOTS
        self._slots = [(0, 0)] * SLOTS
        self._newest = int(now_s / self._slot_s)
        self.events = 0
        self.failures = 0

    def add(self, now_s: float, events: int, failures: int) -> None:
        """Count a batch."""
        self.forget(now_s)
        place = self._newest % SLOTS
        before = self._slots[place]
        self._slots[place] = (before[0] + events, before[1] + failures)
        self.events += events
        self.failures += failures

    def forget(self, now_s: float) -> None:
        """Let go of what is too old."""
        newest = int(now_s / self._slot_s)
        for slot in range(self._newest + 1, min(newest, self._newest + SLOTS) + 1):
            events, failures = self._slots[slot % SLOTS]
            self._slots[slot % SLOTS] = (0, 0)
            self.events -= events
            self.failures -= failures
        self._newest = max(newest, self._newest)


class Breaker:
    """A circuit breaker. One thread asks and records; others may only describe it.

    Args:
        settings: how it decides.
        clock: seconds, monotonic.
        on_change: told of every new state.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._on_change = on_change
        self._since_s = clock()
        self._window = SlidingWindow(settings.monitoring_window_s, self._since_s)
        self._trial = [0, 0]
        self._openings = self._trials = 0
        self._ratio_at_opening: float | None = None
        self.state = BreakerState.CLOSED

    def allowance(self) -> int | None:
        """How many events may be read now: None is any number, 0 while it is open."""
        if self.state is BreakerState.CLOSED:
            return None
        if self.state is BreakerState.OPEN:
            if self._clock() - self._since_s < self.settings.recovery_timeout_s:
                return 0
            self._trial = [0, 0]
            self._trials += 1
            self._enter(BreakerState.HALF_OPEN)
        return self.settings.trial_events - self._trial[0]

    def record(self, events: int, failures: int) -> None:
        """Take in what became of a batch.

        Args:
            events: its length.
            failures: dead letters among them.
        """
        settings = self.settings
        if self.state is BreakerState.CLOSED:
            window = self._window
            window.add(self._clock(), events, failures)
            if window.events >= settings.minimum_events:
                self._open_if(window.failures, window.events)
        elif self.state is BreakerState.HALF_OPEN:
            self._trial[0] += events
            self._trial[1] += failures
            # With that many failures, no further event could bring the trial's share below the threshold.
            if not self._open_if(self._trial[1], max(self._trial[0], settings.trial_events)) and (
                self._trial[0] >= settings.trial_events
            ):
                self._window = SlidingWindow(settings.monitoring_window_s, self._clock())
                self._enter(BreakerState.CLOSED)

    def describe(self) -> dict[str, Any]:
        """Describe it for ``/health``."""
        settings, window = self.settings, self._window
        return {
            "state": self.state.words,
            "in_state_s": round(self._clock() - self._since_s, 3),
            "window_events": window.events,
            "window_failures": window.failures,
            "openings": self._openings,
            "trials": self._trials,
            "tried_events": self._trial[0],
            "ratio_at_opening": self._ratio_at_opening,
            "failure_threshold": settings.failure_threshold,
            "recovery_timeout_s": settings.recovery_timeout_s,
            "monitoring_window_s": settings.monitoring_window_s,
            "minimum_events": settings.minimum_events,
            "trial_events": settings.trial_events,
        }

    def _open_if(self, failures: int, events: int) -> bool:
        if failures < self.settings.failure_threshold * events:
            return False
        self._openings += 1
        self._ratio_at_opening = round(failures / events, 4)
        self._enter(BreakerState.OPEN)
        return True

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self._since_s = self._clock()
        self._on_change(state)
