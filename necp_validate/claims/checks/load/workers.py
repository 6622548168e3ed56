"""The load workers themselves: was any of them lost, and how far apart were their clocks?"""

from __future__ import annotations

import math

from necp_validate.claims.checks.registry import check
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.load_workers import expected_workers, lost_workers
from necp_validate.record import History, LoadRecord


@check("lost-worker")
def lost_worker(history: History) -> Finding:
    """Load workers that did not play to the end: lost with what became of their events, or interrupted."""
    lost, expected = lost_workers(history), expected_workers(history)
    untold = max(expected - len(history.loads), 0)
    left = [worker for worker in history.workers if worker.state == "left"]
    if not lost and not untold and not left:
        summary = "the load was sent by one process" if expected <= 1 else f"all {expected} load workers told"
        return Finding(name="lost-worker", verdict=Verdict.PASS, count=0, summary=summary)
    events = sum(_events(load) for load in lost)
    summary = f"{len(lost) + untold} of {expected} load workers did not tell what became of their events"
    if events:
        summary += f"; up to {events:,} events of unknown outcome"
    if left:
        summary += f"; {len(left)} were interrupted, and told what they had done until then"
    examples = [Example(where=f"worker {load.worker}", detail=_detail(history, load)) for load in lost]
    examples += [Example(where=f"worker {one.worker}", detail=f"interrupted on {one.host}") for one in left]
    return Finding(name="lost-worker", verdict=Verdict.UNKNOWN, count=events, summary=summary, examples=tuple(examples))


def _events(load: LoadRecord) -> int:
    return sum(stream.unknown.count for stream in load.streams)


def _detail(history: History, load: LoadRecord) -> str:
    host = next((f" on {one.host}" for one in history.workers if one.worker == load.worker), "")
    began_us = history.phases[0].start_us if history.phases else 0
    at = f", last heard of {((load.lost_us or 0) - began_us) / 1e6:.1f} s into the load" if began_us else ""
    return f"lost{host}{at}; {_events(load):,} events of its schedule may have been sent"


def clocks_apart_ms(history: History) -> float:
    """How far a load worker's clock and the master's may have been apart; infinite if that was never measured."""
    bounds = [worker.clock_bound_us for worker in history.workers]
    return max((math.inf if bound is None else bound / 1000 for bound in bounds), default=0.0)


def clock_words(history: History) -> str:
    """The same for a sentence beside a latency; empty where one process sent it all."""
    if not history.workers:
        return ""
    apart_ms = clocks_apart_ms(history)
    if not math.isfinite(apart_ms):
        return "the clocks of the load workers were not compared"
    return f"clocks of {len(history.workers)} load workers within {apart_ms:.2f} ms of the master's"
