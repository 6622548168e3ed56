"""Events by stream, by phase, by second, in histograms, by partition: the same number everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from necp_validate.core.histogram import HdrHistogram
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.reconcile.discrepancy import (
    LATENCY,
    LOADS,
    READING,
    ROWS,
    Discrepancy,
)
from necp_validate.evidence.subjects import EVENT_CORE
from necp_validate.record import AT_ONCE, LoadRecord, Phase, Record, StreamRecord, TimelineRow
from necp_validate.record.model import NO_EVENTS, last_end_us

_BUCKET_SHARE = 1.05
"""A figure of a histogram is that of its bucket: so much the two copies may differ."""

_PHASES, _DRAIN = "history/phases.json", "history/drain.json"
_COUNTS = ("sent", "acked", "failed", "unknown")


def _of_stream(stream: StreamRecord) -> dict[str, int]:
    sets = {"acked": stream.acked, "failed": stream.failed, "unknown": stream.unknown}
    return {"sent": stream.sent, **{name: 0 if one is None else one.count for name, one in sets.items()}}


def streams_add_up(history: Record) -> Iterator[Discrepancy]:
    """Every event of a stream is acked, failed or of unknown outcome, and no more than one of them."""
    for sender in history.senders:
        part, file = _place_of(history, sender)
        for stream in sender.streams:
            counts = _of_stream(stream)
            parts = counts["acked"] + counts["failed"] + counts["unknown"]
            numbers = stream.acked.copy()
            for one in (stream.failed, stream.unknown):
                for first, last in one.intervals() if one is not None else ():
                    numbers.add(first, last)
            beyond = numbers.last is not None and numbers.last >= stream.sent
            if parts != stream.sent or numbers.count != stream.sent or beyond:
                detail = (
                    f"{stream.sent:,} events sent, but {counts['acked']:,} acked, {counts['failed']:,} failed and "
                    f"{counts['unknown']:,} of unknown outcome ({file})"
                )
                count = max(abs(parts - stream.sent), abs(numbers.count - stream.sent), 1)
                where = f"{stream.domain} stream {stream.stream}"
                yield Discrepancy(where=where, detail=detail, parts=(part,), count=count)


def _place_of(history: Record, sender: LoadRecord) -> tuple[str, str]:
    """The part of the record that a sender's account stands in, and its file."""
    name = f"{sender.worker}.json: streams"
    for part, senders, prefix in (("loads", history.loads, "load"), ("drill_loads", history.drill_loads, "drill")):
        if any(sender is one for one in senders):
            return part, f"history/{prefix}-{name}"
    if any(sender.worker == one.worker for one in history.players):
        return "players", f"history/players-{name}"
    own = "gateway_record" if sender.worker == "gateway" else "collector_record"
    return own, f"history/{name}"


def _phase_counts(history: Record) -> dict[str, dict[str, int | None]]:
    """Events by domain, over all phases; ``None`` where a count was not recorded."""
    found: dict[str, dict[str, int | None]] = defaultdict(lambda: dict.fromkeys(("scheduled", *_COUNTS), 0))
    for load in history.known_loads:
        for by in (load.phases or {}).values():
            for domain, counts in by.items():
                for name in ("scheduled", *_COUNTS):
                    before, more = found[domain][name], getattr(counts, name)
                    found[domain][name] = None if before is None or more is None else before + more
    return found


def streams_are_phases(history: Record) -> Iterator[Discrepancy]:
    """What was counted by stream is what was counted by phase."""
    by_stream: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for load in history.known_loads:
        for stream in load.streams:
            for name, count in _of_stream(stream).items():
                by_stream[stream.domain][name] += count
    by_phase = _phase_counts(history)
    for domain in sorted(by_stream.keys() | by_phase.keys()):
        for name in _COUNTS:
            phases, streams = by_phase[domain][name], by_stream[domain][name]
            if phases is not None and phases != streams:
                yield Discrepancy(
                    where=domain,
                    detail=f"{streams:,} {name} by stream ({LOADS}: streams), {phases:,} by phase ({LOADS}: phases)",
                    parts=("loads",),
                    count=abs(phases - streams),
                )


def errors_are_failures(history: Record) -> Iterator[Discrepancy]:
    """Every send that failed has its error, and no more errors have an unknown outcome than events have."""
    for load in history.known_loads:
        if load.send_errors is None:
            raise NoEvidence(f"send_errors was not recorded in history/load-{load.worker}.json")
        if load.phases is None:
            continue
        errors: dict[tuple[str, str], int] = defaultdict(int)
        for one in load.send_errors:
            errors[one.domain, one.fate] += one.count
        domains = {domain for by in load.phases.values() for domain in by} | {domain for domain, _ in errors}
        for domain in sorted(domains):
            counts = sum((by[domain] for by in load.phases.values() if domain in by), NO_EVENTS)
            failed, unknown = errors[domain, "failed"], errors[domain, "unknown"]
            if failed != counts.failed or (counts.unknown is not None and unknown > counts.unknown):
                yield Discrepancy(
                    where=f"{domain} of {load.worker}",
                    detail=f"{failed:,} errors of failed sends and {unknown:,} of unknown outcome ({LOADS}: "
                    f"send_errors), {counts.failed} failed and {counts.unknown} of unknown outcome ({LOADS}: phases)",
                    parts=("loads",),
                )


def drain_is_last_end(history: Record) -> Iterator[Discrepancy]:
    """The backlog of a phase was gone when the last of its events had ended."""
    drain = history.drain
    if drain is None:
        return
    phase = next((one for one in history.phases if one.end_us == drain.phase_end_us), None)
    if phase is None:
        detail = f"no phase ended at {drain.phase_end_us} ({_PHASES}), whose backlog was drained ({_DRAIN})"
        yield Discrepancy(where="backlog", detail=detail, parts=("drain",))
        return
    took_s = None if drain.drained_us is None else max((drain.drained_us - drain.phase_end_us) / 1e6, 0.0)
    if took_s != drain.drain_s:
        detail = f"drained {took_s} s after the phase by its times, {drain.drain_s} s by drain_s ({_DRAIN})"
        yield Discrepancy(where=f"backlog of {phase.name}", detail=detail, parts=("drain",))
    if drain.drained_us is None or not EVENT_CORE.there(history):
        return  # of others' consumers it is their commits that tell
    if silent := [load.worker for load in history.loads if load.last_ended_us is None]:
        raise NoEvidence(f"last_ended_us was not recorded in history/load-{silent[0]}.json")
    last = last_end_us(history.loads, phase.name)
    if last is None:
        raise NoEvidence(f"when the last event of {phase.name} ended was not recorded ({LOADS}: last_ended_us)")
    if last != drain.drained_us:
        detail = f"the last event ended at {last} ({LOADS}: last_ended_us), drained at {drain.drained_us} ({_DRAIN})"
        yield Discrepancy(where=f"backlog of {phase.name}", detail=detail, parts=("drain",))


def _known_rows(history: Record) -> list[TimelineRow]:
    """The rows of the load workers that counted: the histograms of one that was lost never came."""
    workers = {load.worker for load in history.known_loads}
    return [row for row in history.timeline if row.worker in workers]


def phases_are_timeline(history: Record) -> Iterator[Discrepancy]:
    """What was counted by phase is what was counted second by second."""
    rows: dict[str, dict[str, int | None]] = defaultdict(lambda: dict.fromkeys(("scheduled", *_COUNTS), 0))
    for row in _known_rows(history):
        for name in ("scheduled", *_COUNTS):
            before, more = rows[row.domain][name], getattr(row, name)
            rows[row.domain][name] = None if before is None or more is None else before + more
    by_phase = _phase_counts(history)
    for domain in sorted(rows.keys() & by_phase.keys()):  # no rows at all are missing, not wrong
        for name in ("scheduled", *_COUNTS):
            phases, seconds = by_phase[domain][name], rows[domain][name]
            if phases is not None and seconds is not None and phases != seconds:
                yield Discrepancy(
                    where=domain,
                    detail=f"{phases:,} {name} by phase ({LOADS}: phases), {seconds:,} in the rows ({ROWS})",
                    parts=("loads", "timeline"),
                    count=abs(phases - seconds),
                )


def _values(history: Record, phase: Phase | None, domain: str, kind: str) -> int:
    """Values in the histograms of a domain, those below zero included."""
    return sum(
        histogram.values
        for (name, of_domain, of_kind), histogram in history.latency.items()
        if of_domain == domain and of_kind == kind and (phase is None or name == phase.name)
    )


def phases_are_histograms(history: Record) -> Iterator[Discrepancy]:
    """Every ack has its latency; no more events ended than can have been written; every one sent has its lateness."""
    counted = replace(history, loads=history.known_loads)
    for phase in history.phases:
        for domain in history.domains:
            counts = counted.counts(phase.name, [domain])
            where = f"{domain} in {phase.name}"
            acks = _values(history, phase, domain, "ack")
            if acks and acks != counts.acked:
                detail = f"{counts.acked:,} acked ({LOADS}: phases), {acks:,} ack latencies ({LATENCY})"
                yield Discrepancy(
                    where=where, detail=detail, parts=("loads", "latency"), count=abs(acks - counts.acked)
                )
            ends, most = _values(history, phase, domain, "e2e"), counts.acked + (counts.unknown or 0)
            if ends > most:
                detail = f"{ends:,} events ended ({LATENCY}), {most:,} can have been written ({LOADS}: phases)"
                yield Discrepancy(where=where, detail=detail, parts=("loads", "latency"), count=ends - most)
            witnessed, moved = counts.witnessed or 0, counts.moved or 0
            if moved > witnessed:
                detail = f"{moved:,} ends moved by a witness, of {witnessed:,} that have one ({LOADS}: phases)"
                yield Discrepancy(where=where, detail=detail, parts=("loads",))
            at_once = _values(history, phase, domain, AT_ONCE)
            if at_once > (counts.watched or 0):
                watched = f"{counts.watched or 0:,} were to be ({LOADS}: phases)"
                detail = f"{at_once:,} outcomes written at once ({LATENCY}), {watched}"
                yield Discrepancy(where=where, detail=detail, parts=("loads", "latency"))
            late = _values(history, phase, domain, "late")
            if late and not counts.sent <= late <= counts.scheduled:
                sent = f"{counts.sent:,} sent of {counts.scheduled:,} scheduled ({LOADS}: phases)"
                detail = f"{late:,} events with a lateness ({LATENCY}), {sent}"
                yield Discrepancy(where=where, detail=detail, parts=("loads", "latency"))


def ends_are_appended(history: Record) -> Iterator[Discrepancy]:
    """As many ends were moved while the load ran as the reader finds too early, by the same times of appends."""
    if history.due is None or history.readback is None:
        return
    counted = replace(history, loads=history.known_loads)
    for domain in history.due.receipted_within_s or ():
        receipts = [one for one in history.readback.receipts if history.domain_of_topic.get(one.topic) == domain]
        if any(one.ended_early is None for one in receipts):
            raise NoEvidence(f"ended_early of {domain} was not recorded ({READING}: receipts)")
        early = sum(one.ended_early or 0 for one in receipts)
        counts = [counted.counts(phase.name, [domain]) for phase in history.phases]
        moved, witnessed = sum(one.moved or 0 for one in counts), sum(one.witnessed or 0 for one in counts)
        # Outcomes that the load did not join with an event of its own: others' events, and those that came twice.
        others = sum(one.processed + one.rejected + one.dead_lettered for one in receipts) - witnessed
        if not moved <= early <= moved + max(others, 0):
            detail = f"{moved:,} ends moved ({LOADS}: phases), {early:,} too early ({READING}: receipts)"
            detail += f", {others:,} of them others'" if others > 0 else ""
            yield Discrepancy(where=domain, detail=detail, parts=("loads", "readback"), count=abs(early - moved))


def outcomes_are_latencies(history: Record) -> Iterator[Discrepancy]:
    """Every outcome that was seen while the load ran has a latency, and is among those that were read back."""
    if not history.sees_ends(history.domains):
        return
    seen: dict[str, int] = defaultdict(int)
    for row in _known_rows(history):
        seen[row.domain] += row.ended
    yield from _slowest_are_in_histograms(history)
    final: dict[str, int] = defaultdict(int)
    topics = history.domain_of_topic
    for receipt in history.readback.receipts if history.readback is not None else ():
        if receipt.topic in topics:
            final[topics[receipt.topic]] += receipt.accounted.count
    for domain in history.domains:
        ends = _values(history, None, domain, "e2e")
        if ends and domain in seen and ends != seen[domain]:
            detail = f"{seen[domain]:,} outcomes in the rows ({ROWS}), {ends:,} end-to-end latencies ({LATENCY})"
            yield Discrepancy(
                where=domain, detail=detail, parts=("timeline", "latency"), count=abs(ends - seen[domain])
            )
        if final and history.readback is not None and ends > final[domain]:
            detail = f"{ends:,} events ended ({LATENCY}), {final[domain]:,} have an outcome ({READING}: receipts)"
            # Lost receipts, or offsets that were given twice, explain it as well: the reading stays evidence of those.
            yield Discrepancy(where=domain, detail=detail, parts=("latency",), count=ends - final[domain])


def end_to_end(history: Record, domain: str) -> HdrHistogram:
    """The end-to-end latencies of a domain over the whole run."""
    merged = HdrHistogram()
    for (_, of_domain, kind), histogram in history.latency.items():
        if (of_domain, kind) == (domain, "e2e"):
            merged.merge(histogram)
    return merged


def _slowest_are_in_histograms(history: Record) -> Iterator[Discrepancy]:
    """The P99 of a second is no slower than the slowest of the whole run."""
    for domain in history.domains:
        seconds = [row.e2e_p99_ms for row in _known_rows(history) if row.domain == domain]
        rows = [p99_ms for p99_ms in seconds if p99_ms is not None]
        merged = end_to_end(history, domain)
        if rows and merged.total and max(rows) > merged.max / 1e3 * _BUCKET_SHARE:
            detail = (
                f"a second with a P99 of {max(rows):,.1f} ms ({ROWS}), but none slower than "
                f"{merged.max / 1e3:,.1f} ms ({LATENCY})"
            )
            yield Discrepancy(where=domain, detail=detail, parts=("timeline", "latency"))


def reading_adds_up(history: Record) -> Iterator[Discrepancy]:
    """What was read by partition is what was read by stream, and lies below the positions that brokers have told."""
    readback = history.readback
    if readback is None:
        return
    topics = history.domain_of_topic
    by_partition = sum(part.read for part in readback.partitions if part.topic in topics)
    by_stream = sum(read.read.count + (read.duplicates or 0) for read in readback.streams.values())
    strange = (readback.unknown_records or 0) + (readback.others or 0)
    if by_partition and by_partition != by_stream + strange:
        yield Discrepancy(
            where="all topics",
            detail=f"{by_partition:,} records read by partition, {by_stream + strange:,} by stream ({READING})",
            parts=("readback",),
            count=abs(by_partition - by_stream - strange),
        )
    if by_partition and readback.events_read + (readback.others or 0) != by_partition:
        yield Discrepancy(
            where="all topics",
            detail=f"{by_partition:,} records read by partition, {readback.events_read:,} in all ({READING})",
            parts=("readback",),
        )
    ends: dict[str, int] = defaultdict(lambda: -1)
    for part in readback.partitions:
        where = f"{part.topic}-{part.partition}"
        ends[part.topic] = max(ends[part.topic], part.high)
        if part.offsets is not None and part.offsets:
            first, last = part.offsets.first, part.offsets.last
            if part.offsets.count > part.read or first is None or last is None or first < part.low or last >= part.high:
                read = f"{part.read:,} records at {part.offsets.count:,} offsets, {first} to {last}"
                detail = f"{read}, between {part.low} and {part.high} ({READING})"
                yield Discrepancy(where=where, detail=detail, parts=("readback",))
        if part.position is not None and part.position >= part.high and part.topic in topics:
            held = part.high - part.low
            if part.read < held and part.gaps == 0 and not readback.others:
                detail = (
                    f"{part.read:,} records read of {held:,} between {part.low} and {part.high}, and no gap between "
                    f"two of them ({READING})"
                )
                yield Discrepancy(where=where, detail=detail, parts=("readback",), count=held - part.read)
    for sender in history.senders:
        for stream in sender.streams:
            highest = stream.max_acked_offset
            if highest is not None and stream.topic in ends and highest >= ends[stream.topic]:
                _, file = _place_of(history, sender)
                detail = (
                    f"acked up to offset {highest:,} ({file}), but no partition of {stream.topic} "
                    f"reaches further than {ends[stream.topic]:,} ({READING}: high)"
                )
                # Brokers that have less than they acknowledged have cut their logs back: both copies are right, and
                # what was lost is found by comparing them.
                yield Discrepancy(where=f"{stream.domain} stream {stream.stream}", detail=detail, parts=(), broken=True)
