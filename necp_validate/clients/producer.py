"""The instrumented producer: what was sent, what was acknowledged, where, and how late."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from necp_validate.clients.accounting import digest_of
from necp_validate.clients.flush import MAX_FLUSH, FlushTemplate
from necp_validate.clients.pending import PendingOffsets
from necp_validate.clients.rdkafka import BatchProducer, ClientEvents, Deliveries, error_name
from necp_validate.clients.recorder import Recorder
from necp_validate.history.intervals import IntervalSet

_FLUSHES = 1 << 18  # flushes that can be under way at once; far above what delivery.timeout.ms allows
_MAX_EXAMPLES = 20
_OUTCOME_UNKNOWN = frozenset({"_MSG_TIMED_OUT", "_TIMED_OUT", "REQUEST_TIMED_OUT", "_PURGE_INFLIGHT"})


class Stream:
    """One game server's events: one key, sequence numbers without holes, and what became of them."""

    __slots__ = ("acked", "digest", "failed", "id", "index", "key", "max_acked_offset", "next_seq", "unknown")

    def __init__(self, index: int, stream_id: str, key: str) -> None:
        self.index = index
        self.id = stream_id
        self.key = key
        self.next_seq = 0
        self.acked = IntervalSet()
        self.failed = IntervalSet()
        self.unknown = IntervalSet()
        self.digest = 0
        self.max_acked_offset = -1


class EventProducer:
    """Sends flushes of one domain and accounts for every event by its delivery report.

    Not thread-safe: one owner sends and polls.

    Args:
        domain: the domain's name.
        topic: where its events go.
        config: librdkafka properties, security included.
        recorder: takes counters and latencies.
    """

    def __init__(self, domain: str, topic: str, config: Mapping[str, str], recorder: Recorder) -> None:
        self.domain = domain
        self.topic = topic
        self.config = dict(config)
        self.streams: list[Stream] = []
        self.pending: dict[int, PendingOffsets] = {}
        self.not_monotonic = 0
        self.examples: list[str] = []
        self.events = ClientEvents(errors=[])
        self._client = BatchProducer(config, topic)
        self._recorder = recorder
        self._flush_stream = np.zeros(_FLUSHES, dtype=np.int64)
        self._flush_first = np.zeros(_FLUSHES, dtype=np.int64)
        self._flush_intended = np.zeros(_FLUSHES, dtype=np.int64)
        self._next_flush = 0

    def open_stream(self, stream_id: str, key: str) -> Stream:
        """Begin a stream."""
        stream = Stream(len(self.streams), stream_id, key)
        self.streams.append(stream)
        return stream

    def send(self, stream: Stream, flush: FlushTemplate, intended_us: int) -> None:
        """Send one flush, counting latency from ``intended_us`` (epoch, microseconds)."""
        tag = self._next_flush
        self._next_flush = (tag + 1) % _FLUSHES
        self._flush_stream[tag] = stream.index
        self._flush_first[tag] = first = stream.next_seq
        self._flush_intended[tag] = intended_us
        messages = flush.stamp(intended_us, first, tag)
        taken = self._client.produce(messages)
        stream.next_seq += flush.count
        recorder, phase = self._recorder, self._recorder.phase_of(intended_us)
        recorder.count(self.domain, phase, "scheduled", flush.count)
        recorder.count(self.domain, phase, "sent", taken)
        recorder.latency(self.domain, "late", phase, time.time_ns() // 1000 - intended_us, flush.count)
        if taken < flush.count:
            refused = np.flatnonzero(messages["err"])
            for i in refused.tolist():
                stream.failed.add(first + i, first + i)
            recorder.count(self.domain, phase, "failed", len(refused))
            self._note(f"{error_name(int(messages['err'][refused[0]]))}: {len(refused)} events not queued")

    def poll(self) -> int:
        """Account for the delivery reports that have come in; returns how many."""
        count = 0
        while (deliveries := self._client.poll(self.events)) is not None:
            count += len(deliveries.err)
            self._account(deliveries)
        return count

    @property
    def queued(self) -> int:
        """Events on their way, or reported and not yet polled."""
        return self._client.queued

    def close(self) -> None:
        """Free the client; events without a delivery report become ``unknown``: they may appear or not."""
        self._client.close()
        for stream in self.streams:
            if stream.next_seq:
                settled = stream.acked.union(stream.failed).union(stream.unknown)
                stream.unknown = stream.unknown.union(IntervalSet([(0, stream.next_seq - 1)]).difference(settled))

    def _account(self, d: Deliveries) -> None:
        """Split the reports into runs of one flush at consecutive offsets, and account for each run at once."""
        now_us = time.time_ns() // 1000
        n = len(d.err)
        step = d.opaque - d.offset
        new_run = (step[1:] != step[:-1]) | (d.err[1:] != d.err[:-1]) | (d.partition[1:] != d.partition[:-1])
        new_run |= (d.opaque[1:] // MAX_FLUSH) != (d.opaque[:-1] // MAX_FLUSH)
        starts = [0, *(np.flatnonzero(new_run) + 1).tolist(), n]
        acked = False
        for a, b in pairwise(starts):
            tag, index = divmod(int(d.opaque[a]), MAX_FLUSH)
            stream = self.streams[int(self._flush_stream[tag])]
            first = int(self._flush_first[tag]) + index
            intended_us = int(self._flush_intended[tag])
            phase = self._recorder.phase_of(intended_us)
            if d.err[a]:
                self._not_acked(stream, first, b - a, phase, int(d.err[a]))
                continue
            acked = True
            self._acked(stream, first, b - a, int(d.partition[a]), int(d.offset[a]), intended_us)
            self._recorder.count(self.domain, phase, "acked", b - a)
            self._recorder.latency(self.domain, "ack", phase, now_us - intended_us, b - a)
        if acked:
            self._recorder.acknowledged(self.domain, now_us)

    def _acked(self, stream: Stream, first: int, count: int, partition: int, offset: int, intended_us: int) -> None:
        stream.acked.add(first, first + count - 1)
        stream.digest = (stream.digest + digest_of(first, offset, partition, count)) & (2**64 - 1)
        stream.max_acked_offset = max(stream.max_acked_offset, offset + count - 1)
        pending = self.pending.get(partition)
        if pending is None:
            pending = self.pending[partition] = PendingOffsets()
        if offset <= pending.highest:
            self.not_monotonic += 1
            self._note(
                f"{self.topic}-{partition}: stream {stream.id} seq {first} acknowledged at offset {offset},"
                f" after offset {pending.highest}"
            )
        pending.put(offset, count, intended_us)

    def _not_acked(self, stream: Stream, first: int, count: int, phase: int, err: int) -> None:
        name = error_name(err)
        # After a time-out nobody knows whether the broker has the events: they may appear or not.
        outcome = stream.unknown if name in _OUTCOME_UNKNOWN else stream.failed
        outcome.add(first, first + count - 1)
        self._recorder.count(self.domain, phase, "failed", count)
        self._note(f"{name}: stream {stream.id} seq {first}..{first + count - 1}")

    def _note(self, text: str) -> None:
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(text)

    def to_json(self) -> list[dict[str, Any]]:
        """The streams as the history keeps them."""
        return [
            {
                "stream": s.id,
                "domain": self.domain,
                "topic": self.topic,
                "key": s.key,
                "sent": s.next_seq,
                "acked": s.acked.to_list(),
                "failed": s.failed.to_list(),
                "unknown": s.unknown.to_list(),
                "digest": s.digest,
                "max_acked_offset": s.max_acked_offset,
            }
            for s in self.streams
        ]
