"""Which load workers and players' processes a scenario has, and which of them left their record."""

from __future__ import annotations

import math

from necp_validate.record import LoadRecord, Record


def expected_workers(history: Record) -> int:
    """How many load workers the scenario has; 0 if it does not say."""
    load = history.run.plan.load
    return (load and load.processes) or 0


def expected_players(history: Record) -> int:
    """How many processes of players the scenario has; 0 if it has no players."""
    players = history.run.plan.players
    return players.processes or 1 if players and players.count else 0


def unheard_workers(history: Record) -> int:
    """How many load workers left no record at all: what they sent, and what of it was planted, is not known."""
    return max(expected_workers(history) - len(history.loads), 0)


def lost_workers(history: Record) -> tuple[LoadRecord, ...]:
    """The records of load workers that were lost: all their schedule says they may have sent, its outcome unknown."""
    return tuple(load for load in history.loads if load.lost_us is not None)


def gone_workers(history: Record, until_us: int | None = None) -> tuple[str, ...]:
    """Names of the load workers that did not play to the end, lost or interrupted; up to a time, or at any."""
    gone = {load.worker: load.lost_us or 0 for load in lost_workers(history)}
    gone |= {worker.worker: worker.heard_us for worker in history.workers if worker.state == "left"}
    return tuple(sorted(name for name, at_us in gone.items() if until_us is None or at_us <= until_us))


def clocks_apart_ms(history: Record) -> float:
    """How far a load worker's clock and the master's may have been apart; infinite if that was never measured."""
    bounds = [worker.clock_bound_us for worker in history.workers]
    return max((math.inf if bound is None else bound / 1000 for bound in bounds), default=0.0)


def clock_words(history: Record) -> str:
    """The same for a sentence beside a latency; empty where one process sent it all."""
    if not history.workers:
        return ""
    apart_ms = clocks_apart_ms(history)
    if not math.isfinite(apart_ms):
        return "the clocks of the load workers were not compared"
    return f"clocks of {len(history.workers)} load workers within {apart_ms:.2f} ms of the master's"
