"""The load workers themselves: was any of them lost, and how far apart were their clocks?"""

from __future__ import annotations

from necp_validate.claims.checks.registry import check
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.inventory import SENDERS, WORKERS
from necp_validate.evidence.load_workers import expected_workers, lost_workers, unheard_workers
from necp_validate.evidence.subjects import WORKERS as WORKERS_SUBJECT
from necp_validate.record import LoadRecord, Record


@check("lost-worker", WORKERS_SUBJECT, SENDERS, WORKERS)
def lost_worker(history: Record) -> Finding:
    """Load workers that did not play to the end: lost with what became of their events, or interrupted."""
    lost, expected = lost_workers(history), expected_workers(history)
    unheard = unheard_workers(history)
    left = [worker for worker in history.workers if worker.state == "left"]
    if not lost and not unheard and not left:
        summary = (
            "the load was sent by one process" if expected <= 1 else f"all {expected} load workers left their record"
        )
        return Finding(name="lost-worker", verdict=Verdict.PASS, count=0, summary=summary)
    events = sum(_events(load) for load in lost)
    summary = f"{len(lost) + unheard} of {expected} load workers left no account of what became of their events"
    if events:
        summary += f"; up to {events:,} events of unknown outcome"
    if left:
        summary += f"; {len(left)} were interrupted, and left their account until then"
    examples = [Example(where=f"worker {load.worker}", detail=_detail(history, load)) for load in lost]
    examples += [Example(where=f"worker {one.worker}", detail=f"interrupted on {one.host}") for one in left]
    return Finding(name="lost-worker", verdict=Verdict.UNKNOWN, count=events, summary=summary, examples=tuple(examples))


def _events(load: LoadRecord) -> int:
    return sum(stream.unknown.count for stream in load.streams)


def _detail(history: Record, load: LoadRecord) -> str:
    host = next((f" on {one.host}" for one in history.workers if one.worker == load.worker), "")
    began_us = history.phases[0].start_us if history.phases else 0
    at = f", last heard of {((load.lost_us or 0) - began_us) / 1e6:.1f} s into the load" if began_us else ""
    return f"lost{host}{at}; {_events(load):,} events of its schedule may have been sent"
