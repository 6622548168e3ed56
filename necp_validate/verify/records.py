"""Checks of the records themselves: key, value, and whether anybody sent them."""

from __future__ import annotations

from necp_validate.history import History, IntervalSet
from necp_validate.results import Finding
from necp_validate.verify.registry import check
from necp_validate.verify.tally import Tally, missing_workers, need_readback, need_senders, shown


@check("key-mismatch")
def key_mismatch(history: History) -> Finding:
    """Records under another Kafka key than they were sent with."""
    readback = need_readback(history)
    tally = Tally("key-mismatch", history)
    tally.add(readback.bad_key, "all topics", f"{readback.bad_key} records under another key")
    return tally.finding(
        clean=f"the key is the one written in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records lie under another key than they were sent with",
        needs_all_workers=False,
    )


@check("value-mismatch")
def value_mismatch(history: History) -> Finding:
    """Records whose bytes are not those that were sent (the checksum inside the value says so)."""
    readback = need_readback(history)
    tally = Tally("value-mismatch", history)
    tally.add(readback.bad_value, "all topics", f"{readback.bad_value} records with a wrong checksum")
    return tally.finding(
        clean=f"the checksum holds in all {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records do not hold the bytes that were sent",
        needs_all_workers=False,
    )


@check("unknown-record")
def unknown_record(history: History) -> Finding:
    """Records that no load worker sent: of no stream, of an unknown stream, or beyond what a stream sent."""
    readback, loads = need_readback(history), need_senders(history)
    tally = Tally("unknown-record", history)
    tally.add(readback.unknown_records, "all topics", f"{readback.unknown_records} records of no stream")
    sent = {stream.stream: stream.sent for load in loads for stream in load.streams}
    for name, read in readback.streams.items():
        if name in sent:
            possible = IntervalSet([(0, sent[name] - 1)]) if sent[name] else IntervalSet()
            extra = read.read.difference(possible)
            detail = f"{sent[name]} events were sent, but read were also {shown(extra)}"
            tally.add(extra.count, f"stream {name}", detail)
        elif not missing_workers(history):
            tally.add(read.read.count + read.duplicates, f"stream {name}", "no load worker sent this stream")
    return tally.finding(
        clean=f"all {readback.events_read:,} records were sent by the load",
        found=f"{{count}} of {readback.events_read:,} records were sent by no load worker",
    )
