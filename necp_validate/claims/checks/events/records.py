"""Checks of the records themselves: key, value, and whether anybody sent them."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_readback, need_senders
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EVENTS_READ, SENDERS
from necp_validate.evidence.load_workers import unheard_workers
from necp_validate.evidence.subjects import LOAD
from necp_validate.record import IntervalSet, Record


@check("key-mismatch", LOAD, EVENTS_READ)
def key_mismatch(history: Record) -> Finding:
    """Records under another Kafka key than they were sent with."""
    readback = need_readback(history)
    anomalies = Anomalies("key-mismatch", history)
    anomalies.add(readback.bad_key, "all topics", f"{readback.bad_key} records under another key")
    return anomalies.finding(
        clean=f"the key is the one written in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records lie under another key than they were sent with",
        sees=f"1 of {readback.events_read:,} records",
    )


@check("value-mismatch", LOAD, EVENTS_READ)
def value_mismatch(history: Record) -> Finding:
    """Records whose bytes are not those that were sent (the checksum inside the value says so)."""
    readback = need_readback(history)
    anomalies = Anomalies("value-mismatch", history)
    anomalies.add(readback.bad_value, "all topics", f"{readback.bad_value} records with a wrong checksum")
    return anomalies.finding(
        clean=f"the checksum holds in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records do not hold the bytes that were sent",
        sees=f"1 changed byte in {readback.events_read:,} records",
    )


@check("unknown-record", LOAD, SENDERS, EVENTS_READ)
def unknown_record(history: Record) -> Finding:
    """Records that no load worker sent: of no stream, of an unknown stream, or beyond what a stream sent."""
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("unknown-record", history)
    anomalies.add(readback.unknown_records, "all topics", f"{readback.unknown_records} records of no stream")
    sent = {stream.stream: stream.sent for load in loads for stream in load.streams}
    for name, read in readback.streams.items():
        if name in sent:
            possible = IntervalSet([(0, sent[name] - 1)]) if sent[name] else IntervalSet()
            extra = read.read.difference(possible)
            detail = f"{sent[name]} events were sent, but read were also {shown(extra)}"
            anomalies.add(extra.count, f"stream {name}", detail)
        elif unheard_workers(history):
            anomalies.doubt(f"stream {name}", "it may be of a load worker that left no record")
        else:
            anomalies.add(read.read.count + read.duplicates, f"stream {name}", "no load worker sent this stream")
    return anomalies.finding(
        clean=f"all {readback.events_read:,} records were sent by the load",
        found=f"{{count}} of {readback.events_read:,} records were sent by no load worker",
        sees=f"1 of {readback.events_read:,} records",
    )
