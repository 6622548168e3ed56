"""Which load workers and players' processes a scenario has, and which of them left their record."""

from __future__ import annotations

from necp_validate.record import History, LoadRecord


def missing_workers(history: History) -> int:
    """How many load workers or players' processes of the scenario left no record of what became of their events."""
    told = len(history.loads) - len(lost_workers(history))
    players = history.run.config.get("players")
    playing = max(int(players.get("processes", 1)), 1) if isinstance(players, dict) and players.get("count") else 0
    return max(expected_workers(history) - told, 0) + max(playing - len(history.players), 0)


def expected_workers(history: History) -> int:
    """How many load workers the scenario has; 0 if it does not say."""
    load = history.run.config.get("load")
    return int(load.get("processes", 0)) if isinstance(load, dict) else 0


def lost_workers(history: History) -> tuple[LoadRecord, ...]:
    """The records of load workers that were lost: all their schedule says they may have sent, its outcome unknown."""
    return tuple(load for load in history.loads if load.lost_us is not None)


def gone_workers(history: History, until_us: int | None = None) -> tuple[str, ...]:
    """Names of the load workers that did not play to the end, lost or interrupted; up to a time, or at any."""
    gone = {load.worker: load.lost_us or 0 for load in lost_workers(history)}
    gone |= {worker.worker: worker.heard_us for worker in history.workers if worker.state == "left"}
    return tuple(sorted(name for name, at_us in gone.items() if until_us is None or at_us <= until_us))
