"""Watches the circuit breakers of a run from outside, and keeps what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from necp_validate.events.topics import Domain
from necp_validate.record import Appender, BreakerSample, parts
from necp_validate.record.self_watch import WatchedThread, noting
from necp_validate.stack import ServiceHandle
from necp_validate.stack.fleet import CoreFleet

_EVERY_S = 0.1
_ROW_EVERY_S = 1.0


class BreakerWatch:
    """Asks every instance of the event core, ten times a second; keeps a row a second, and one for every change.

    Args:
        fleet: the instances.
        run_dir: where the rows go.
    """

    def __init__(self, fleet: CoreFleet, run_dir: Path) -> None:
        self._fleet = fleet
        self._run_dir = run_dir
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, str], BreakerSample] = {}
        failed = noting(run_dir, "watch over circuit breakers", parts.BREAKERS)
        self._thread = WatchedThread(self._run, name="necp-breakers", asked=self._ended, on_failure=failed)

    def start(self) -> None:
        """Look once, and from now on."""
        with parts.BREAKERS.open(self._run_dir) as rows:
            self._look(rows, {})
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and then no more; may be called more than once."""
        self._thread.stop()

    def of(self, domain: Domain) -> list[BreakerSample]:
        """The latest sample of each instance that serves a domain."""
        with self._lock:
            return [sample for (_, name), sample in self._latest.items() if name == domain]

    def _run(self) -> None:
        written_s: dict[tuple[str, str], float] = {}
        with parts.BREAKERS.open(self._run_dir) as rows:
            while not self._ended.wait(_EVERY_S):
                self._look(rows, written_s)
            self._look(rows, {})

    def _look(self, rows: Appender[BreakerSample], written_s: dict[tuple[str, str], float]) -> None:
        for sample in (sample for core in self._fleet.running() for sample in samples_of(core)):
            place = (sample.instance, sample.domain)
            before, now_s = self._latest.get(place), time.monotonic()
            changed = before is None or _turns(before) != _turns(sample)
            if changed or now_s - written_s.get(place, 0.0) >= _ROW_EVERY_S:
                rows.write(sample)
                written_s[place] = now_s
            with self._lock:
                self._latest[place] = sample


def _turns(sample: BreakerSample) -> tuple[str, int, int]:
    return sample.state, sample.openings, sample.trials


def samples_of(core: ServiceHandle) -> Iterable[BreakerSample]:
    """What an instance says of its breakers now; nothing if it does not answer, or has none."""
    domains: Mapping[str, Any] = core.health().get("domains") or {}
    now_us = time.time_ns() // 1000
    for domain, state in domains.items():
        if breaker := state.get("breaker"):
            yield BreakerSample(
                t_us=now_us,
                instance=core.name,
                domain=domain,
                state=breaker["state"],
                openings=breaker["openings"],
                trials=breaker["trials"],
                tried_events=breaker["tried_events"],
                window_events=breaker["window_events"],
                window_failures=breaker["window_failures"],
                ratio_at_opening=breaker["ratio_at_opening"],
                failure_threshold=breaker["failure_threshold"],
                recovery_timeout_s=breaker["recovery_timeout_s"],
                monitoring_window_s=breaker["monitoring_window_s"],
            )
