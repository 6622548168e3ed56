"""Defects of the record: one of two copies of the same figure is another, or a file was changed afterwards.

What was recorded twice must be the same in both places: if not, one of the two is wrong, and what rests on them is
unknown; or a target does not do what it says, and that is a failure of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from necp_validate.core import Verdict
from necp_validate.core.histogram import HdrHistogram
from necp_validate.core.intervals import IntervalSet
from necp_validate.record import LeaderSample, LoadRecord, SendError, TimelineRow, parts
from necp_validate.record.store import Part
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Change, Defect, changed, seeded
from necp_validate.selftest.defects.load import silence_acks
from necp_validate.selftest.simulated.cluster import CUT_OFF
from necp_validate.selftest.simulated.scenario import at
from necp_validate.selftest.simulated.simulation import Stage

_WORKER, _DOMAIN, _TOPIC = "w0", "combat", "game.combat.events"


def _load(change: Callable[[LoadRecord], LoadRecord]) -> Change:
    """Change the record of the first load worker."""

    def apply(contents: Contents) -> None:
        contents[parts.LOADS] = [change(one) if one.worker == _WORKER else one for one in contents[parts.LOADS]]

    return apply


def _stream(**changes: Any) -> Change:
    """Change the first stream of the first load worker, all of whose events are acked."""

    def change(load: LoadRecord) -> LoadRecord:
        first, *rest = load.streams
        return replace(load, streams=(replace(first, **changes), *rest))

    return _load(change)


def _without_a_stream(load: LoadRecord) -> LoadRecord:
    return replace(load, streams=load.streams[1:])


def _without_silences(load: LoadRecord) -> LoadRecord:
    return replace(load, max_gap_ms={name: dict.fromkeys(by, 500.0) for name, by in (load.max_gap_ms or {}).items()})


def _with_errors(load: LoadRecord) -> LoadRecord:
    error = SendError(
        domain=_DOMAIN, error="MSG_SIZE_TOO_LARGE", fate="failed", count=5, first_us=at(12), last_us=at(12)
    )
    return replace(load, send_errors=(*(load.send_errors or ()), error))


def _moving_more(load: LoadRecord) -> LoadRecord:
    by = (load.phases or {})["steady"]
    counts = replace(by[_DOMAIN], moved=(by[_DOMAIN].moved or 0) + 5)
    return replace(load, phases={**(load.phases or {}), "steady": {**by, _DOMAIN: counts}})


def _drained_early(contents: Contents) -> None:
    drain = contents[parts.DRAIN]
    contents[parts.DRAIN] = replace(drain, drained_us=drain.phase_end_us, drain_s=0.0)


def _uncounted(contents: Contents) -> None:
    first, *rest = contents[parts.EXPERIMENTS]
    contents[parts.EXPERIMENTS] = [replace(first, faults=()), *rest]


def _row(**more: int) -> Change:
    """One row of the timeline, from the middle of the steady phase, counts more than there was."""

    def change(contents: Contents) -> None:
        rows: list[TimelineRow] = list(contents[parts.TIMELINE][_WORKER])
        place = next(i for i, row in enumerate(rows) if row.domain == _DOMAIN and row.t * 1e6 > at(12) and row.acked)
        changed = {name: getattr(rows[place], name) + count for name, count in more.items()}
        rows[place] = replace(rows[place], **changed)
        contents[parts.TIMELINE] = {**contents[parts.TIMELINE], _WORKER: rows}

    return change


def _histogram_doubled(contents: Contents) -> None:
    """The ack latencies of one phase and domain are there twice."""
    key = ("steady", _DOMAIN, "ack")
    before = contents[parts.LATENCY][_WORKER]
    doubled = HdrHistogram()
    doubled.merge(before[key])
    doubled.merge(before[key])
    contents[parts.LATENCY] = {**contents[parts.LATENCY], _WORKER: {**before, key: doubled}}


def _partition_short(contents: Contents) -> None:
    """The reader says of one partition that it read fewer records than it found there."""
    readback = contents[parts.READBACK]
    changed = tuple(
        replace(one, read=one.read - 5) if (one.topic, one.partition) == (_TOPIC, CUT_OFF) else one
        for one in readback.partitions
    )
    contents[parts.READBACK] = replace(readback, partitions=changed)


def _election(contents: Contents) -> None:
    """A partition has a new leader while nothing is wrong."""
    sample = LeaderSample(t=at(12) / 1e6, topic=_TOPIC, partition=CUT_OFF, leader=3, epoch=4)
    contents[parts.LEADERS] = [*contents[parts.LEADERS], sample]


def _always_behind(contents: Contents) -> None:
    """400 events wait all the time, which is ten seconds' worth, and each took some milliseconds by its outcome."""
    contents[parts.LAG] = [replace(one, lag=400) if one.domain == _DOMAIN else one for one in contents[parts.LAG]]


def _touch(part: Part[Any], change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a file of a closed run; the one that it may be shared with stays as it is."""

    def apply(run_dir: Path) -> None:
        path = part.file(run_dir, _WORKER)
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(change(content))

    return apply


RECORD_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            name=f"record: {name}",
            caught_by=caught_by,
            make=changed(change),
            others=("phase-account",) if caught_by == "stream-account" else (),
            verdict=Verdict.UNKNOWN,
            distrusted=distrusted,
        )
        for name, caught_by, change, distrusted in (
            ("event both acked and failed", "stream-account", _stream(failed=IntervalSet([(0, 0)])), ("loads",)),
            ("stream left out", "phase-account", _load(_without_a_stream), ("loads",)),
            ("errors of sends that did not fail", "error-account", _load(_with_errors), ("loads",)),
            ("backlog gone before its last event", "drain-account", _drained_early, ("drain",)),
            ("fault that its experiment did not count", "fault-account", _uncounted, ("faults", "experiments")),
            ("acks of a second counted twice", "timeline-account", _row(acked=5), ("loads", "timeline")),
            ("latencies there twice", "histogram-account", _histogram_doubled, ("loads", "latency")),
            ("outcomes without a latency", "outcome-account", _row(processed=5), ("timeline", "latency")),
            ("ends moved that were not too early", "end-account", _load(_moving_more), ("loads", "readback")),
            ("fewer records than a partition holds", "position-account", _partition_short, ("readback",)),
            ("election without a cause", "unexplained-election", _election, ("leaders", "faults")),
        )
    ),
    Defect(
        name="record: silence that the producer knows nothing of",
        caught_by="silence-account",
        make=seeded(silence_acks, Stage.ACKED, _load(_without_silences)),
        verdict=Verdict.UNKNOWN,
        distrusted=("loads", "timeline"),
    ),
    *(
        Defect(name=f"record: {name}", caught_by=caught_by, make=changed(change))
        for name, caught_by, change in (
            ("acked beyond the end of the log", "position-account", _stream(max_acked_offset=10**6)),
            ("backlog that no latency shows", "implausible-latency", _always_behind),
        )
    ),
    *(
        Defect(
            name=f"record: {name}",
            caught_by="changed-record",
            make=changed(),
            afterwards=afterwards,
            verdict=Verdict.UNKNOWN,
        )
        for name, afterwards in (
            ("file changed afterwards", _touch(parts.READBACK, lambda content: content + b" ")),
            ("never closed", lambda run_dir: parts.MANIFEST.file(run_dir).unlink()),
        )
    ),
)
