"""Checks of the way from the producer's ack to the log: loss, duplicates, order, offsets.

Named and defined after Jepsen's Kafka checker (``jepsen.tests.kafka``), with streams in place of its keys:
the events of a stream are numbered without holes, so what is missing or out of order shows in the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_readback, need_senders
from necp_validate.core import Finding
from necp_validate.evidence.guarantees import Setting
from necp_validate.evidence.inventory import EVENTS_READ, SENDERS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import LOAD
from necp_validate.record import IntervalSet, LoadRecord, Readback, Record, StreamRead, StreamRecord

_NOTHING_READ = StreamRead(read=IntervalSet(), duplicates=0, out_of_order=0, digest=0, partitions=())


def _streams(loads: tuple[LoadRecord, ...], readback: Readback) -> Iterator[tuple[StreamRecord, StreamRead, Setting]]:
    """Every stream that was sent, with what was read of it and its producer's circumstances."""
    for load in loads:
        for stream in load.streams:
            setting = Setting(domain=stream.domain, producer=load.guarantees.get(stream.domain, {}))
            yield stream, readback.streams.get(stream.stream, _NOTHING_READ), setting


def _where(stream: StreamRecord) -> str:
    return f"{stream.topic} key {stream.key} stream {stream.stream}"


def _highest(read: StreamRead) -> int:
    return -1 if read.read.last is None else read.read.last


@check("lost-write", LOAD, SENDERS, EVENTS_READ)
def lost_write(history: Record) -> Finding:
    """Acked events that were not read although a later event of their stream was."""
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("lost-write", history)
    acked = 0
    for stream, read, setting in _streams(loads, readback):
        acked += stream.acked.count
        highest = _highest(read)
        missing = stream.acked.difference(read.read)
        lost = missing.intersection(IntervalSet([(0, highest)])) if highest >= 0 else IntervalSet()
        detail = f"acked but not read: {shown(lost)} (highest read: {highest})"
        anomalies.add(lost.count, _where(stream), detail, setting=setting)
    if not acked:
        raise NoEvidence("no event was acknowledged")
    return anomalies.finding(
        clean=f"none of {acked:,} acked events is missing below the highest one read of its stream",
        found=f"{{count}} of {acked:,} acked events are missing in the log although later ones were read",
        sees=f"1 lost of {acked:,} acked events",
    )


@check("unseen", LOAD, SENDERS, EVENTS_READ)
def unseen(history: Record) -> Finding:
    """Acked events above the highest event read of their stream: the end of the log is missing, or unread."""
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("unseen", history)
    acked = 0
    for stream, read, setting in _streams(loads, readback):
        acked += stream.acked.count
        highest = _highest(read)
        missing = stream.acked.difference(read.read)
        above = missing.difference(IntervalSet([(0, highest)])) if highest >= 0 else missing
        detail = f"acked but never seen: {shown(above)} (highest read: {highest})"
        anomalies.add(above.count, _where(stream), detail, setting=setting)
    if not acked:
        raise NoEvidence("no event was acknowledged")
    return anomalies.finding(
        clean=f"all {acked:,} acked events lie at or below the highest one read of their stream",
        found=f"{{count}} of {acked:,} acked events lie above everything read of their stream",
        sees=f"1 missing at the end of a stream, of {acked:,} acked events",
    )


@check("duplicate", LOAD, SENDERS, EVENTS_READ)
def duplicate(history: Record) -> Finding:
    """Events that the log holds more than once."""
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("duplicate", history)
    for stream, read, setting in _streams(loads, readback):
        detail = f"{read.duplicates} records repeat an event of this stream"
        anomalies.add(read.duplicates, _where(stream), detail, setting=setting)
    return anomalies.finding(
        clean=f"no event occurs twice among {readback.events_read:,} records",
        found=f"{{count}} of {readback.events_read:,} records repeat an event",
        sees=f"1 doubled of {readback.events_read:,} events",
    )


@check("inconsistent-offsets", LOAD, SENDERS, EVENTS_READ)
def inconsistent_offsets(history: Record) -> Finding:
    """Events that lie elsewhere than their ack said, or two acks for one offset.

    Where an event lies is compared by digest over a whole stream, which needs equal sets on both sides.
    """
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("inconsistent-offsets", history)
    compared = other = 0
    for load in loads:
        detail = f"acks at an offset that another event was acked at: {load.inconsistent_offsets}"
        anomalies.add(load.inconsistent_offsets, f"worker {load.worker}", detail)
    for stream, read, setting in _streams(loads, readback):
        if not stream.acked and not read.read:
            continue
        placed = stream.digest is not None and stream.unplaced == 0
        if setting.acks == "0" or not placed or read.duplicates or stream.acked != read.read:
            other += 1
            continue
        compared += 1
        if stream.digest != read.digest:
            anomalies.add(1, _where(stream), "its events do not lie at the offsets that their acks named")
    rest = ""
    if other:
        rest = f"; {other:,} streams not comparable (read and acked events differ, or acks without offsets)"
    if not compared and not anomalies.count:
        raise NoEvidence(f"no stream could be compared{rest}")
    return anomalies.finding(
        clean=f"the events of {compared:,} streams lie where their acks said{rest}",
        found=f"{{count}} disagreements between acks and the log, {compared:,} streams compared{rest}",
        sees="1 event at another offset than acknowledged, in a stream that could be compared",
    )


@check("nonmonotonic-send", LOAD, SENDERS, EVENTS_READ)
def nonmonotonic_send(history: Record) -> Finding:
    """Events of one stream whose order in the log is not the order in which they were sent."""
    readback, loads = need_readback(history), need_senders(history)
    anomalies = Anomalies("nonmonotonic-send", history)
    for stream, read, setting in _streams(loads, readback):
        detail = f"{read.out_of_order} times, an event comes after a later one of this stream"
        anomalies.add(read.out_of_order, _where(stream), detail, setting=setting)
    for load in loads:
        setting = _weakest(load)
        detail = f"acks at an offset not above those of events sent before: {load.offset_not_monotonic}"
        anomalies.add(load.offset_not_monotonic, f"worker {load.worker}", detail, setting=setting)
    return anomalies.finding(
        clean=f"every stream among {readback.events_read:,} records is in the order in which it was sent",
        found="{count} times, an event is out of the order in which it was sent",
        sees=f"1 of {readback.events_read:,} events out of order",
    )


def _weakest(load: LoadRecord) -> Setting:
    """Circumstances of an anomaly of unknown domain: allowed only if all the worker's producers allow it."""
    settings = [Setting(producer=producer) for producer in load.guarantees.values()]
    strict = [setting for setting in settings if setting.idempotent or setting.in_flight <= 1]
    return (strict or settings or [Setting()])[0]
