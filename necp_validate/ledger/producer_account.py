"""Accounts for every event that one producer sends: by stream and sequence number, from its delivery reports."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.rdkafka import Deliveries, error_name
from necp_validate.events.receipts import at_once
from necp_validate.events.topics import Domain
from necp_validate.ledger.client_errors import Fate, SendErrors, fate_of
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.pending import PendingOffsets
from necp_validate.ledger.stream_account import StreamAccount
from necp_validate.ledger.unavailability import OutcomeWatch, PartitionWatch
from necp_validate.record.model import LoadRecord

#: Flushes that can be under way at once, and so the number of tags; far above what delivery.timeout.ms allows.
TAGS = 1 << 18
_MAX_EXAMPLES = 20


class ProducerAccount:
    """The account of one domain's events; a *tag* stands for one flush of them.

    An event's ``private`` is ``tag * MAX_FLUSH + i``, i being its place in the flush (`FlushTemplate.stamp`).

    Args:
        domain: the domain's name.
        topic: where its events go.
        recorder: takes counters and latencies.
        at_once_one_in: of so many of its events one has its outcome written at once; 0 for none.
    """

    def __init__(self, domain: str, topic: str, recorder: Recorder, *, at_once_one_in: int = 0) -> None:
        self.domain = domain
        self.topic = topic
        self.at_once_one_in = at_once_one_in
        self.streams: list[StreamAccount] = []
        self.pending: dict[int, PendingOffsets] = {}
        self.watch = PartitionWatch(domain)
        self.outcomes = OutcomeWatch(domain)
        self.errors = SendErrors(domain)
        self.not_monotonic = 0
        self.inconsistent = 0
        self.examples: list[str] = []
        self._recorder = recorder
        self._flush_stream = np.zeros(TAGS, dtype=np.int64)
        self._flush_first = np.zeros(TAGS, dtype=np.int64)
        self._flush_intended = np.zeros(TAGS, dtype=np.int64)
        self._next_flush = 0
        self._index: dict[str, int] = {}

    def open_stream(self, stream_id: str, key: str) -> StreamAccount:
        """Begin a stream."""
        stream = StreamAccount(stream_id, domain=self.domain, topic=self.topic, key=key)
        self._index[stream_id] = len(self.streams)
        self.streams.append(stream)
        return stream

    def begin(self, stream: StreamAccount, count: int, intended_us: int) -> tuple[int, int]:
        """Number a flush that is about to be sent; returns its tag and its first sequence number.

        Args:
            stream: whose events they are.
            count: how many.
            intended_us: when they were due (epoch).
        """
        tag = self._next_flush
        self._next_flush = (tag + 1) % TAGS
        self._flush_stream[tag] = self._index[stream.id]
        self._flush_first[tag] = first = stream.begin(count)
        self._flush_intended[tag] = intended_us
        return tag, first

    def handed_over(self, tag: int, errors: np.ndarray[Any, Any], taken: int) -> None:
        """Note that a flush was handed to the client.

        Args:
            tag: of the flush.
            errors: shape (n,), an error code for each event that the client did not take.
            taken: how many it took.
        """
        phase = self._recorder.phase_of(int(self._flush_intended[tag]))
        self._recorder.count(self.domain, phase, "sent", len(errors))
        if taken == len(errors):
            return
        stream, first = self.streams[int(self._flush_stream[tag])], int(self._flush_first[tag])
        self._recorder.count(self.domain, phase, "refused", len(errors) - taken)
        now_us = time.time_ns() // 1000
        for i in np.flatnonzero(errors).tolist():
            self._not_acked(stream, first + i, 1, phase, error_name(int(errors[i])), Fate.FAILED, now_us)

    def settle(self, d: Deliveries, now_us: int) -> list[tuple[int, int]]:
        """Account for delivery reports; returns (tag, events) of each run of them.

        A run is a stretch of one flush at consecutive offsets: it is accounted for at once, however long.
        """
        n = len(d.err)
        step = d.opaque - d.offset
        new_run = (step[1:] != step[:-1]) | (d.err[1:] != d.err[:-1]) | (d.partition[1:] != d.partition[:-1])
        new_run |= d.opaque[1:] != d.opaque[:-1] + 1  # a report that is not there belongs to no run
        new_run |= (d.opaque[1:] // MAX_FLUSH) != (d.opaque[:-1] // MAX_FLUSH)
        if d.maybe_written is not None:
            new_run |= d.maybe_written[1:] != d.maybe_written[:-1]
        starts = [0, *(np.flatnonzero(new_run) + 1).tolist(), n]
        offsets = _known_offsets(d)
        runs = []
        acked, placed = False, 0
        for a, b in pairwise(starts):
            tag, index = divmod(int(d.opaque[a]), MAX_FLUSH)
            runs.append((tag, b - a))
            stream = self.streams[int(self._flush_stream[tag])]
            first = int(self._flush_first[tag]) + index
            intended_us = int(self._flush_intended[tag])
            phase = self._recorder.phase_of(intended_us)
            partition, offset = int(d.partition[a]), int(offsets[a])
            if d.err[a]:
                name, maybe = error_name(int(d.err[a])), d.maybe_written is not None and bool(d.maybe_written[a])
                fate = fate_of(name, maybe_written=maybe)
                self._not_acked(stream, first, b - a, phase, name, fate, now_us)
                self.watch.failed(partition, intended_us)
                continue
            acked = True
            stream.ack(first, b - a, partition, offset)
            if offset < 0:
                self._recorder.unplaced(self.domain, phase, b - a)
            else:
                placed += b - a
                self._placed(stream, first, b - a, partition, offset, intended_us)
            self.watch.acked(partition, intended_us, now_us, offset, int(offsets[b - 1]))
            self._recorder.count(self.domain, phase, "acked", b - a)
            self._recorder.latency(self.domain, "ack", phase, now_us - intended_us, b - a)
        if acked:
            self._recorder.acknowledged(self.domain, now_us)
            self.outcomes.waiting(placed, now_us)
        return runs

    def close(self, now_us: int) -> None:
        """End the account: events without a delivery report may be there or not, in their phase and the last row."""
        self.watch.close()
        self.outcomes.close(now_us)
        self._recorder.close(self.domain)

    def _placed(
        self, stream: StreamAccount, first: int, count: int, partition: int, offset: int, intended_us: int
    ) -> None:
        pending = self.pending.get(partition)
        if pending is None:
            pending = self.pending[partition] = PendingOffsets()
        if offset <= pending.highest:
            # An offset that was just given to another event, or one from before.
            again = pending.overlaps_latest(offset, count)
            self.inconsistent += again
            self.not_monotonic += not again
            self._note(
                f"{self.topic}-{partition}: stream {stream.id} seq {first} acknowledged at offset {offset},"
                f" after offset {pending.highest}"
            )
        pending.put(offset, count, intended_us)
        if watched := len(self.receipted_at_once(partition, offset, offset + count - 1)):
            self._recorder.watched(self.domain, self._recorder.phase_of(intended_us), watched)

    def receipted_at_once(self, partition: int, first: int, last: int) -> list[int]:
        """Of some offsets, those whose outcome is to be written at once."""
        one_in = self.at_once_one_in
        return at_once(Domain(self.domain), partition, first, last, one_in) if one_in else []

    def _not_acked(
        self, stream: StreamAccount, first: int, count: int, phase: int, name: str, fate: Fate, now_us: int
    ) -> None:
        if fate is Fate.FAILED:
            stream.fail(first, count)
        self._recorder.count(self.domain, phase, fate.value, count)
        self.errors.add(name, fate, count, now_us)
        self._note(f"{name}: stream {stream.id} seq {first}..{first + count - 1}")

    def _note(self, text: str) -> None:
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(text)


def load_record(
    worker: str,
    accounts: Iterable[ProducerAccount],
    recorder: Recorder,
    *,
    guarantees: dict[str, dict[str, str]],
    planted: dict[str, dict[str, int]],
    sees_outcomes: bool,
) -> LoadRecord:
    """What a load process knows of its events by its producers' accounts, once they are closed.

    Args:
        worker: its name.
        accounts: of its producers.
        recorder: theirs.
        guarantees, planted: as in `LoadRecord`.
        sees_outcomes: whether it watches what becomes of its events.
    """
    accounts = list(accounts)
    return LoadRecord(
        worker=worker,
        streams=tuple(stream.record() for account in accounts for stream in account.streams),
        guarantees=guarantees,
        planted=planted,
        phases=recorder.counts_by_phase(),
        inconsistent_offsets=sum(account.inconsistent for account in accounts),
        offset_not_monotonic=sum(account.not_monotonic for account in accounts),
        send_errors=tuple(error for account in accounts for error in account.errors.records()),
        max_gap_ms=recorder.gaps_ms_by_phase(),
        gaps=tuple(gap for account in accounts for gap in account.watch.gaps),
        outcome_gaps=tuple(gap for account in accounts for gap in account.outcomes.gaps) if sees_outcomes else None,
        unmatched_receipts=sum(account.outcomes.left for account in accounts) if sees_outcomes else None,
        acked_below_known=sum(account.watch.acked_below_known for account in accounts),
        last_ended_us=recorder.ended_us_by_phase(),
        examples=tuple(text for account in accounts for text in account.examples),
    )


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
