"""Checks of the records themselves: key, value, and whether anybody sent them."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, need_readback, need_senders, shown
from necp_validate.claims.checks.registry import check
from necp_validate.core import Finding
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import History, IntervalSet


@check("key-mismatch")
def key_mismatch(history: History) -> Finding:
    """Records under another Kafka key than they were sent with."""
    readback = need_readback(history)
    anomalies = Anomalies("key-mismatch", history)
    anomalies.add(readback.bad_key, "all topics", f"{readback.bad_key} records under another key")
    return anomalies.finding(
        clean=f"the key is the one written in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records lie under another key than they were sent with",
        needs_all_workers=False,
    )


@check("value-mismatch")
def value_mismatch(history: History) -> Finding:
    """Records whose bytes are not those that were sent (the checksum inside the value says so)."""
    readback = need_readback(history)
    anomalies = Anomalies("value-mismatch", history)
    anomalies.add(readback.bad_value, "all topics", f"{readback.bad_value} records with a wrong checksum")
    return anomalies.finding(
        clean=f"the checksum holds in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records do not hold the bytes that were sent",
        needs_all_workers=False,
    )


@check("unknown-record")
def unknown_record(history: History) -> Finding:
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
        elif not missing_workers(history):
            anomalies.add(read.read.count + read.duplicates, f"stream {name}", "no load worker sent this stream")
    return anomalies.finding(
        clean=f"all {readback.events_read:,} records were sent by the load",
        found=f"{{count}} of {readback.events_read:,} records were sent by no load worker",
    )
