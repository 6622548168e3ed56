"""The open-loop schedule: when each game server is due to flush, whatever the target does."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from necp_validate.load.plan import DomainTraffic, PlannedPhase


class Schedule:
    """Intended times of one domain's servers, in seconds since the start of the load.

    Load changes by the number of servers, as in a game: at multiplier m, ``servers * m`` of them play. Server k is due
    from the moment at which the (ramped) multiplier calls for more than k servers, until it no longer does.

    Args:
        traffic: rate and flush length.
        phases: in order.
        seed: servers tick out of step with one another, each by its own seeded fraction of the interval.
    """

    def __init__(self, traffic: DomainTraffic, phases: Sequence[PlannedPhase], seed: str) -> None:
        self.interval_s = traffic.interval_s
        self._servers = traffic.servers
        self._seed = seed
        self._pieces: list[tuple[float, float, float, float]] = []  # (start, end, multiplier at start, at end)
        at, load = 0.0, 0.0
        for phase in phases:
            ramp = min(phase.ramp_s, phase.duration_s)
            if ramp:
                self._pieces.append((at, at + ramp, load, phase.load))
            if phase.duration_s > ramp:
                self._pieces.append((at + ramp, at + phase.duration_s, phase.load, phase.load))
            at, load = at + phase.duration_s, phase.load
        self.end_s = at

    def multiplier(self, at_s: float) -> float:
        """Load multiplier at a time; 0 outside the phases."""
        for start, end, before, after in self._pieces:
            if start <= at_s < end:
                return before + (after - before) * (at_s - start) / (end - start)
        return 0.0

    def servers(self, at_s: float) -> int:
        """How many servers are due to play at a time."""
        return round(self._servers * self.multiplier(at_s))

    @property
    def most_servers(self) -> int:
        """How many servers play at the busiest time."""
        return max((round(self._servers * max(a, b)) for _, _, a, b in self._pieces), default=0)

    def active(self, server: int) -> list[tuple[float, float]]:
        """Stretches of time in which server number ``server`` (from 0) plays."""
        need = (server + 0.5) / self._servers if self._servers else float("inf")
        stretches: list[tuple[float, float]] = []
        for start, end, before, after in self._pieces:
            if before >= need and after >= need:
                piece = (start, end)
            elif before < need and after < need:
                continue
            else:
                crossing = start + (end - start) * (need - before) / (after - before)
                piece = (crossing, end) if after > before else (start, crossing)
            if stretches and stretches[-1][1] >= piece[0]:
                stretches[-1] = (stretches[-1][0], piece[1])
            else:
                stretches.append(piece)
        return stretches

    def flushes(self, server: int) -> Iterator[float]:
        """Intended times, in seconds since the start, of all the flushes of server number ``server`` (from 0)."""
        offset = random.Random(f"{self._seed}/{server}").random() * self.interval_s
        for start, end in self.active(server):
            flush = 0
            while (due := start + offset + flush * self.interval_s) < end:
                yield due
                flush += 1
