"""Accounts for every event that one producer sends: by stream and sequence number, from its delivery reports."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.rdkafka import Deliveries, error_name
from necp_validate.core.intervals import IntervalSet
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.pending import PendingOffsets
from necp_validate.ledger.readback import digest_of
from necp_validate.ledger.unavailability import PartitionWatch

#: Flushes that can be under way at once, and so the number of tags; far above what delivery.timeout.ms allows.
TAGS = 1 << 18
_MAX_EXAMPLES = 20
_OUTCOME_UNKNOWN = frozenset({"_MSG_TIMED_OUT", "_TIMED_OUT", "REQUEST_TIMED_OUT", "_PURGE_INFLIGHT"})


class Stream:
    """One game server's events: one key, sequence numbers without holes, and what became of them.

    ``partition`` is where the last of them was acknowledged, -1 before the first was.
    """

    __slots__ = (
        "acked",
        "digest",
        "failed",
        "id",
        "index",
        "key",
        "max_acked_offset",
        "next_seq",
        "partition",
        "unknown",
        "unplaced",
    )

    def __init__(self, index: int, stream_id: str, key: str) -> None:
        self.index = index
        self.id = stream_id
        self.key = key
        self.next_seq = 0
        self.partition = -1
        self.acked = IntervalSet()
        self.failed = IntervalSet()
        self.unknown = IntervalSet()
        self.digest = 0
        self.max_acked_offset = -1
        self.unplaced = 0


class AckBook:
    """The account of one domain's events; a *tag* stands for one flush of them.

    An event's ``private`` is ``tag * MAX_FLUSH + i``, i being its place in the flush (`FlushTemplate.stamp`).

    Args:
        domain: the domain's name.
        topic: where its events go.
        recorder: takes counters and latencies.

    ``placed`` is the number of acknowledged events of which it is known where they lie.
    """

    def __init__(self, domain: str, topic: str, recorder: Recorder) -> None:
        self.domain = domain
        self.topic = topic
        self.streams: list[Stream] = []
        self.pending: dict[int, PendingOffsets] = {}
        self.watch = PartitionWatch(domain)
        self.placed = 0
        self.not_monotonic = 0
        self.examples: list[str] = []
        self._recorder = recorder
        self._flush_stream = np.zeros(TAGS, dtype=np.int64)
        self._flush_first = np.zeros(TAGS, dtype=np.int64)
        self._flush_intended = np.zeros(TAGS, dtype=np.int64)
        self._next_flush = 0

    def open_stream(self, stream_id: str, key: str) -> Stream:
        """Begin a stream."""
        stream = Stream(len(self.streams), stream_id, key)
        self.streams.append(stream)
        return stream

    def begin(self, stream: Stream, count: int, intended_us: int) -> tuple[int, int]:
        """Number a flush that is about to be sent; returns its tag and its first sequence number.

        Args:
            stream: whose events they are.
            count: how many.
            intended_us: when they were due (epoch).
        """
        tag = self._next_flush
        self._next_flush = (tag + 1) % TAGS
        self._flush_stream[tag] = stream.index
        self._flush_first[tag] = first = stream.next_seq
        self._flush_intended[tag] = intended_us
        stream.next_seq += count
        return tag, first

    def taken(self, tag: int, errors: np.ndarray[Any, Any], taken: int) -> None:
        """Note that the client took ``taken`` events of a flush; ``errors`` has an error code for each other one."""
        phase = self._recorder.phase_of(int(self._flush_intended[tag]))
        self._recorder.count(self.domain, phase, "sent", taken)
        if taken == len(errors):
            return
        stream, first = self.streams[int(self._flush_stream[tag])], int(self._flush_first[tag])
        refused = np.flatnonzero(errors).tolist()
        for i in refused:
            stream.failed.add(first + i, first + i)
        self._recorder.count(self.domain, phase, "failed", len(refused))
        self._note(f"{error_name(int(errors[refused[0]]))}: {len(refused)} events not queued")

    def settle(self, d: Deliveries, now_us: int) -> list[tuple[int, int]]:
        """Account for delivery reports; returns (tag, events) of each run of them.

        A run is a stretch of one flush at consecutive offsets: it is accounted for at once, however long.
        """
        n = len(d.err)
        step = d.opaque - d.offset
        new_run = (step[1:] != step[:-1]) | (d.err[1:] != d.err[:-1]) | (d.partition[1:] != d.partition[:-1])
        new_run |= (d.opaque[1:] // MAX_FLUSH) != (d.opaque[:-1] // MAX_FLUSH)
        starts = [0, *(np.flatnonzero(new_run) + 1).tolist(), n]
        offsets = _known_offsets(d)
        runs = []
        acked = False
        for a, b in pairwise(starts):
            tag, index = divmod(int(d.opaque[a]), MAX_FLUSH)
            runs.append((tag, b - a))
            stream = self.streams[int(self._flush_stream[tag])]
            first = int(self._flush_first[tag]) + index
            intended_us = int(self._flush_intended[tag])
            phase = self._recorder.phase_of(intended_us)
            if d.err[a]:
                self._not_acked(stream, first, b - a, phase, int(d.err[a]))
                self.watch.failed(int(d.partition[a]), intended_us)
                continue
            acked = True
            self._acked(stream, first, b - a, int(d.partition[a]), int(offsets[a]), intended_us)
            self.watch.acked(int(d.partition[a]), intended_us, now_us, int(offsets[a]), int(offsets[b - 1]))
            self._recorder.count(self.domain, phase, "acked", b - a)
            self._recorder.latency(self.domain, "ack", phase, now_us - intended_us, b - a)
        if acked:
            self._recorder.acknowledged(self.domain, now_us)
        return runs

    def close(self) -> None:
        """Events without a delivery report become ``unknown``: they may appear or not."""
        self.watch.close()
        for stream in self.streams:
            if stream.next_seq:
                settled = stream.acked.union(stream.failed).union(stream.unknown)
                stream.unknown = stream.unknown.union(IntervalSet([(0, stream.next_seq - 1)]).difference(settled))

    def _acked(self, stream: Stream, first: int, count: int, partition: int, offset: int, intended_us: int) -> None:
        stream.partition = partition
        stream.acked.add(first, first + count - 1)
        if offset < 0:
            stream.unplaced += count
            return
        self.placed += count
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
                "unplaced": s.unplaced,
            }
            for s in self.streams
        ]


def _known_offsets(d: Deliveries) -> np.ndarray[Any, Any]:
    """The offsets of delivery reports, -1 where the client does not know them.

    A batch that was sent again, and that its partition had already, is acknowledged without an offset. The client then
    counts up from a negative one, and in a long batch past zero: what follows on a negative offset is none, either.
    """
    if int(d.offset.min(initial=0)) >= 0:
        return d.offset
    follows = (d.offset[1:] == d.offset[:-1] + 1) & (d.partition[1:] == d.partition[:-1]) & (d.err[1:] == d.err[:-1])
    chain = np.concatenate(([0], np.cumsum(~follows)))
    unknown = d.offset[np.concatenate(([0], np.flatnonzero(~follows) + 1))] < 0
    return np.where(unknown[chain], -1, d.offset)
