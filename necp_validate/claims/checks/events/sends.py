"""Checks of sends that were not acknowledged: those that failed, and those of which nobody knows."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.needs import need_loads, need_readback, need_senders, phases_of
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.inventory import EVENTS_READ, EXPLAINING_FAULTS, PHASES, SENDERS, TIMELINE
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import LOAD
from necp_validate.record import Record

_RETRIED_S = 130.0
"""So long after a fault may a client report the last of what it gave up: its delivery time-out, and a little more."""


@check("failed-send", LOAD, PHASES, SENDERS, TIMELINE, EXPLAINING_FAULTS, limits=("failed_share",))
def failed_send(history: Record) -> Finding:
    """Sends that certainly failed while no fault explains it: what a broker refuses is not served.

    An event of unknown outcome may have failed as well: without a fault that explains it, it leaves the check unknown.
    """
    need_loads(history)
    loads = history.known_loads
    anomalies = Anomalies("failed-send", history)
    sent = failed = unexplained = unknown = 0
    for load in loads:
        for domain in sorted({stream.domain for stream in load.streams}):
            counts = [by[domain] for by in phases_of(load).values() if domain in by]
            sent += sum(one.sent for one in counts)
            failed += sum(one.failed for one in counts)
            rows = [row for row in history.timeline if row.worker == load.worker and row.domain == domain]
            where = f"{domain}, worker {load.worker}"
            calm = sum(row.failed for row in rows if not _explained(history, row.t))
            unexplained += calm
            anomalies.add(calm, where, _why(history, load.worker, domain, "failed") or f"{calm:,} sends failed")
            unheard = [row.unknown for row in rows if not _explained(history, row.t)]
            if None in unheard:
                anomalies.doubt(where, "events of unknown outcome were not counted (history/timeline-*.jsonl)")
            unknown += sum(count or 0 for count in unheard)
    allowed = limit(history, "failed_share") * sent
    explained = failed - unexplained
    note = f"; {explained:,} more failed under faults" if explained > 0 else ""
    found = anomalies.finding(
        clean=f"no send failed of {sent:,}{note}",
        found=f"{{count}} of {sent:,} sends failed, with no fault to explain it{note}",
        sees=f"1 failed send of {sent:,}",
    )
    if found.verdict is Verdict.FAIL and unexplained <= allowed:
        summary = f"{unexplained:,} of {sent:,} sends failed, {allowed:,.0f} may{note}"
        return Finding(name=found.name, verdict=Verdict.PASS, count=found.count, summary=summary)
    if found.verdict is Verdict.PASS and unknown:
        words = f"{unknown:,} of {sent:,} events are of unknown outcome, with no fault to explain it"
        examples = tuple(
            Example(where=f"worker {load.worker}", detail=why)
            for load in loads
            for domain in sorted({stream.domain for stream in load.streams})
            if (why := _why(history, load.worker, domain, "unknown"))
        )
        return Finding(name=found.name, verdict=Verdict.UNKNOWN, count=unknown, summary=words, examples=examples)
    return found


def _explained(history: Record, at_s: float) -> bool:
    """Whether a fault was in force at a time, or shortly before: a client gives up late."""
    return any(
        fault.upsets
        and fault.effective_us is not None
        and fault.begin_us / 1e6 - 1.0 <= at_s
        and (fault.end_us is None or at_s <= fault.end_us / 1e6 + _RETRIED_S)
        for fault in history.faults
    )


def _why(history: Record, worker: str, domain: str, fate: str) -> str:
    """What the client said of the sends of one fate, in words; empty if nothing was recorded."""
    found = [
        f"{one.count:,} x {one.error}"
        for load in history.loads
        if load.worker == worker
        for one in load.send_errors or ()
        if one.domain == domain and one.fate == fate
    ]
    return f"{domain}: {', '.join(found)}" if found else ""


@check("failed-write-read", LOAD, SENDERS, EVENTS_READ)
def failed_write_read(history: Record) -> Finding:
    """Sends that certainly wrote nothing, and are in the log all the same (Jepsen: read of a failed write)."""
    readback, senders = need_readback(history), need_senders(history)
    anomalies = Anomalies("failed-write-read", history)
    failed = 0
    for sender in senders:
        for stream in sender.streams:
            if stream.failed is None:
                raise NoEvidence(f"which events of stream {stream.stream} failed was not recorded")
            failed += stream.failed.count
            read = readback.streams.get(stream.stream)
            there = stream.failed.intersection(read.read) if read is not None else None
            if there:
                where = f"{stream.topic} key {stream.key} stream {stream.stream}"
                anomalies.add(there.count, where, f"reported as failed, and read: {shown(there)}")
    return anomalies.finding(
        clean=f"none of {failed:,} failed sends is in the log",
        found=f"{{count}} of {failed:,} sends that were reported as failed are in the log",
        sees="1 failed send that was written",
    )
