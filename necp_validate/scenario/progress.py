"""Follows the timeline that the load processes write, and tells it second by second."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from necp_validate.record import parts
from necp_validate.record.model import GatewaySample
from necp_validate.scenario.events import LoadTick, OnEvent, PhaseStarted
from necp_validate.scenario.model import Scenario

_GRACE_S = 0.5  # rows of one second come from several processes, a moment apart


class LoadWatcher:
    """Turns timeline rows into ``PhaseStarted`` and ``LoadTick`` events.

    Args:
        run_dir: where the load processes write.
        scenario: whose phases they go through.
        on_event: told what happens.
        web_port: port of Locust's web page, if it is served.
    """

    def __init__(self, run_dir: Path, scenario: Scenario, on_event: OnEvent, web_port: int | None) -> None:
        self._run_dir = run_dir
        self._scenario = scenario
        self._on_event = on_event
        self._web_url = f"http://127.0.0.1:{web_port}" if web_port else None
        self._read: dict[Path, int] = {}
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._phase = ""
        self._phase_began_s = 0.0
        self._began_s: float | None = None
        self._failed = 0

    def tell(self, lag: Mapping[str, int], host_busy_pct: float | None, gateway: GatewaySample | None = None) -> None:
        """Read what is new and tell every second that is complete."""
        for path in parts.TIMELINE.files(self._run_dir).values():
            self._take(path)
        for second in sorted(self._rows):
            if time.time() < second + _GRACE_S:
                break
            self._tell(second, self._rows.pop(second), lag, host_busy_pct, gateway)

    def _take(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read[path] = self._read.get(path, 0) + len(line)
                row = json.loads(line)
                self._rows.setdefault(round(row["t"]), []).append(row)

    def _tell(
        self,
        second: int,
        rows: list[dict[str, Any]],
        lag: Mapping[str, int],
        host_busy_pct: float | None,
        gateway: GatewaySample | None,
    ) -> None:
        if self._began_s is None:
            self._began_s = second
        phase = rows[-1]["phase"]
        if phase != self._phase:
            self._phase, self._phase_began_s = phase, second
            planned = next(p for p in self._scenario.phases if p.name == phase)
            self._on_event(
                PhaseStarted(
                    name=planned.name,
                    kind=planned.kind.value,
                    duration_s=planned.duration_s,
                    target_eps=self._scenario.target_eps(planned),
                )
            )

        def total(name: str) -> dict[str, float]:
            sums: dict[str, float] = {}
            for row in rows:
                if row[name] is not None:
                    sums[row["domain"]] = sums.get(row["domain"], 0.0) + row[name]
            return sums

        def worst(name: str) -> dict[str, float]:
            found: dict[str, float] = {}
            for row in rows:
                if row[name] is not None:
                    found[row["domain"]] = max(found.get(row["domain"], 0.0), row[name])
            return found

        ended = [total(name) for name in ("processed", "rejected", "dead_lettered")]
        self._failed += int(sum(total("failed").values()))
        self._on_event(
            LoadTick(
                t_s=second - self._began_s,
                phase=phase,
                phase_elapsed_s=second - self._phase_began_s,
                scheduled_eps=total("scheduled"),
                acked_eps=total("acked"),
                processed_eps={domain: sum(one.get(domain, 0.0) for one in ended) for domain in ended[0]},
                e2e_p50_ms=worst("e2e_p50_ms"),
                e2e_p99_ms=worst("e2e_p99_ms"),
                late_p99_ms=max(worst("late_p99_ms").values(), default=None),
                lag=sum(lag.values()) if lag else None,
                failed=self._failed,
                host_busy_pct=host_busy_pct,
                web_url=self._web_url,
                players=gateway.sessions if gateway else None,
                gateway_hz=gateway.tick_hz if gateway else None,
            )
        )
