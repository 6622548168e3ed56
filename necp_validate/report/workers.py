"""Who sent the load, from where, and by which clock, as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record import ClockEstimate, Record
from necp_validate.report import text


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One load worker.

    Args:
        name: as in the history's files.
        host: its host, and its network namespace where the workers have different ones.
        state: what became of it.
        verdict: ``pass``, or ``unknown`` for one that is lost.
        servers: game servers that it played.
        acked: events that it has acks for.
        unknown: events of which it does not know what became.
        cpu: CPU time that it used.
        clock_first: its clock against the master's before the load.
        clock_last: the same, the last time that it was asked.
        received: how much of the history it sent.
    """

    name: str
    host: str
    state: str
    verdict: str
    servers: str
    acked: str
    unknown: str
    cpu: str
    clock_first: str
    clock_last: str
    received: str


def worker_rows(history: Record) -> list[WorkerRow]:
    """One row per load worker; none where one process sent it all."""
    loads = {load.worker: load for load in history.loads}
    apart = len({worker.namespace for worker in history.workers}) > 1
    rows = []
    for worker in history.workers:
        load = loads.get(worker.worker)
        streams = load.streams if load else ()
        told = load is not None and load.lost_us is None
        rows.append(
            WorkerRow(
                name=worker.worker,
                host=f"{worker.host} {worker.namespace}" if apart else worker.host,
                state=worker.state + (f", silent {worker.silences} times" if worker.silences else ""),
                verdict="pass" if told else "unknown",
                servers=text.count(len(streams)),
                acked=text.count(sum(stream.acked.count for stream in streams)) if told else text.MISSING,
                unknown=text.count(sum(stream.unknown.count for stream in streams)),
                cpu=text.seconds(load.cpu_s) if load is not None and told else text.MISSING,
                clock_first=_clock(worker.clocks[:1]),
                clock_last=_clock(worker.clocks[-1:]),
                received=f"{worker.received_bytes / 1024:,.0f} KiB",
            )
        )
    return rows


def _clock(clocks: tuple[ClockEstimate, ...]) -> str:
    return (
        "".join(f"{one.offset_us / 1000:+.2f} ± {one.uncertainty_us / 1000:.2f} ms" for one in clocks) or text.MISSING
    )
