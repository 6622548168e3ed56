"""Accounts for what a fresh reader finds: every event of every stream, and every receipt, exactly once."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from necp_validate.clients.flush import hex_digits
from necp_validate.clients.rdkafka import MESSAGE, gather_bytes, memory
from necp_validate.core.intervals import IntervalSet
from necp_validate.events import tail
from necp_validate.ledger.stream_account import digest_of
from necp_validate.record.readback import DeadLettersRead, PartitionRead, Readback, Sighting, StreamRead

MAX_EXAMPLES = 20
_SEQ_POWERS = 10 ** np.arange(tail.SEQ_DIGITS - 1, -1, -1, dtype=np.int64)
_TEMPLATE = np.frombuffer(tail.seal(b"", 0, tail.event_id("0" * 8, 0)), dtype=np.uint8)
_FIXED = np.array(
    [
        column
        for column in range(tail.TAIL_LENGTH)
        if not any(
            field.start <= column - tail.TAIL_LENGTH < field.stop
            for field in (tail.TS, tail.STREAM, tail.SEQ, tail.CRC)
        )
    ]
)
_MASK = 2**64 - 1


@dataclass(slots=True)
class _StreamRead:
    read: IntervalSet = field(default_factory=IntervalSet)
    duplicates: int = 0
    out_of_order: int = 0
    digest: int = 0
    last_seq: dict[int, int] = field(default_factory=dict)  # by partition: order holds within one


@dataclass(slots=True)
class _PartitionRead:
    offsets: IntervalSet = field(default_factory=IntervalSet)
    cheats: IntervalSet = field(default_factory=IntervalSet)
    read: int = 0
    last_offset: int = -1
    gaps: int = 0
    out_of_order_offsets: int = 0


class ReadAccounting:
    """Accounts for the records of the domains' topics, in columns.

    Args:
        known: per stream id, the topic and the key that its events were sent with.
        cheats: likewise, the numbers of its events that are to be rejected.
    """

    def __init__(self, known: Mapping[str, tuple[str, str]], cheats: Mapping[str, IntervalSet] | None = None) -> None:
        self._names = sorted(known)
        ids = np.array([name.encode() for name in self._names], dtype="S8")
        self._ids = ids.view(np.uint64) if len(ids) else np.zeros(0, dtype=np.uint64)
        order = np.argsort(self._ids)
        self._ids, self._names = self._ids[order], [self._names[i] for i in order]
        self._topics = np.array([known[name][0] for name in self._names], dtype=object)
        keys = [known[name][1].encode() for name in self._names]
        self._key_len = np.array([len(key) for key in keys], dtype=np.int64)
        width = max(map(len, keys), default=1)
        self._keys = np.zeros((len(keys), width), dtype=np.uint8)
        for row, key in zip(self._keys, keys, strict=True):
            row[:] = np.frombuffer(key.ljust(width, key[-1:]), dtype=np.uint8)
        self._streams = [_StreamRead() for _ in self._names]
        self._cheats = [(cheats or {}).get(name) for name in self._names]
        self._partitions: dict[tuple[str, int], _PartitionRead] = {}
        self.events_read = 0
        self.bad_value = 0
        self.bad_key = 0
        self.unknown_records = 0
        self.examples: list[Sighting] = []

    def add(self, topic: str, rows: npt.NDArray[np.void]) -> None:
        """Account for records of one topic, those of a partition in the order they were read.

        Args:
            topic: the topic they were read from.
            rows: dtype ``MESSAGE``, shape (n,), no errors among them; payloads and keys are still in memory.
        """
        self.events_read += len(rows)
        self._account_offsets(topic, rows)
        long_enough = rows["len"] > tail.TAIL_LENGTH
        self._unknown(topic, rows[~long_enough], "too short to be an event")
        rows = rows[long_enough]
        if not len(rows):
            return
        tails = gather_bytes((rows["payload"] + rows["len"]).astype(np.int64) - tail.TAIL_LENGTH, tail.TAIL_LENGTH)
        digits = tails[:, tail.SEQ] - ord("0")
        readable = (tails[:, _FIXED] == _TEMPLATE[_FIXED]).all(axis=1) & (digits < 10).all(axis=1)
        ids = np.ascontiguousarray(tails[:, tail.STREAM]).view(np.uint64).reshape(-1)
        index = np.minimum(np.searchsorted(self._ids, ids), max(len(self._ids) - 1, 0))
        if len(self._ids):
            readable &= (self._ids[index] == ids) & (self._topics[index] == topic)
        else:
            readable[:] = False
        self._unknown(topic, rows[~readable], "of no stream that was sent to this topic")
        if not readable.all():
            rows, tails, digits, index = rows[readable], tails[readable], digits[readable], index[readable]
            if not len(rows):
                return
        seqs = digits.astype(np.int64) @ _SEQ_POWERS
        self._check_values(topic, rows, tails)
        self._check_keys(topic, rows, index)
        self._account_runs(topic, rows["partition"].astype(np.int64), rows["offset"], index, seqs)

    def add_records(self, topic: str, records: Sequence[tuple[int, int, bytes, bytes]]) -> None:
        """Account for records given one by one: (partition, offset, key, value)."""
        text = np.frombuffer(b"".join(key + value for _, _, key, value in records), dtype=np.uint8)
        rows = np.zeros(len(records), dtype=MESSAGE)
        at = text.ctypes.data
        for row, (partition, offset, key, value) in zip(rows, records, strict=True):
            row["partition"], row["offset"] = partition, offset
            row["key"], row["key_len"] = at, len(key)
            row["payload"], row["len"] = at + len(key), len(value)
            at += len(key) + len(value)
        self.add(topic, rows)  # here, while `text` is alive

    def _account_offsets(self, topic: str, rows: npt.NDArray[np.void]) -> None:
        """Offsets must strictly increase within a partition; gaps are legal: transactions occupy offsets."""
        partitions, offsets = rows["partition"], rows["offset"]
        breaks = (np.diff(offsets) != 1) | (np.diff(partitions) != 0)
        starts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(rows)]
        for a, b in pairwise(starts):
            if a == b:
                continue
            seen = self._partitions.setdefault((topic, int(partitions[a])), _PartitionRead())
            first, last = int(offsets[a]), int(offsets[b - 1])
            if first <= seen.last_offset:
                seen.out_of_order_offsets += 1
                self._example(
                    "nonmonotonic-poll", topic, int(partitions[a]), first, f"read after offset {seen.last_offset}"
                )
            elif first > seen.last_offset + 1 and seen.last_offset >= 0:
                seen.gaps += 1
            seen.offsets.add(first, last)
            seen.read += b - a
            seen.last_offset = max(seen.last_offset, last)

    def _check_values(self, topic: str, rows: npt.NDArray[np.void], tails: npt.NDArray[np.uint8]) -> None:
        """The checksum that each event was sent with must be that of the bytes read."""
        view, base = memory()
        uncovered = -tail.CRC_COVERS.stop
        starts = (rows["payload"].astype(np.int64) - base).tolist()
        ends = ((rows["payload"] + rows["len"]).astype(np.int64) - (base + uncovered)).tolist()
        crc32 = zlib.crc32
        crcs = np.array([crc32(view[a:b]) for a, b in zip(starts, ends, strict=True)], dtype=np.uint32)
        written = np.ascontiguousarray(tails[:, tail.CRC]).view(np.uint32)
        wrong = (hex_digits(crcs) != written).any(axis=1)
        if wrong.any():
            self.bad_value += int(wrong.sum())
            for row in rows[wrong][:MAX_EXAMPLES]:
                self._example(
                    "value-mismatch", topic, int(row["partition"]), int(row["offset"]), "checksum is not the value's"
                )

    def _check_keys(self, topic: str, rows: npt.NDArray[np.void], index: npt.NDArray[np.int64]) -> None:
        """Each record must carry its stream's key."""
        lengths = rows["key_len"].astype(np.int64)
        wrong = lengths != self._key_len[index]
        same = ~wrong
        addresses = rows["key"].astype(np.int64)[same]
        columns = np.minimum(np.arange(self._keys.shape[1]), lengths[same][:, None] - 1)
        read = gather_bytes(addresses[:, None] + columns, 1).reshape(columns.shape)
        wrong[same] = (read != self._keys[index[same]]).any(axis=1)
        if wrong.any():
            self.bad_key += int(wrong.sum())
            for row, stream in zip(rows[wrong][:MAX_EXAMPLES], index[wrong], strict=False):
                self._example(
                    "key-mismatch",
                    topic,
                    int(row["partition"]),
                    int(row["offset"]),
                    f"not the key of stream {self._names[int(stream)]}",
                )

    def _account_runs(
        self,
        topic: str,
        partitions: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        index: npt.NDArray[np.int64],
        seqs: npt.NDArray[np.int64],
    ) -> None:
        """Runs of one stream at consecutive sequence numbers and offsets are accounted for at once."""
        breaks = (np.diff(seqs) != 1) | (np.diff(offsets) != 1) | (np.diff(index) != 0) | (np.diff(partitions) != 0)
        starts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(seqs)]
        for a, b in pairwise(starts):
            stream, partition = self._streams[int(index[a])], int(partitions[a])
            first, last = int(seqs[a]), int(seqs[b - 1])
            twice = stream.read.add(first, last)
            stream.duplicates += twice
            previous = stream.last_seq.get(partition, -1)
            if first <= previous and not twice:
                stream.out_of_order += 1
            stream.last_seq[partition] = max(previous, last)
            stream.digest = (stream.digest + digest_of(first, int(offsets[a]), partition, b - a)) & _MASK
            cheats = self._cheats[int(index[a])]
            if cheats is not None:
                for low, high in cheats.within(first, last):
                    at = int(offsets[a]) - first
                    self._partitions[topic, partition].cheats.add(low + at, high + at)

    def _unknown(self, topic: str, rows: npt.NDArray[np.void], why: str) -> None:
        self.unknown_records += len(rows)
        for row in rows[:MAX_EXAMPLES]:
            self._example("unknown-record", topic, int(row["partition"]), int(row["offset"]), why)

    def _example(self, check: str, topic: str, partition: int, offset: int, detail: str) -> None:
        if sum(one.check == check for one in self.examples) < MAX_EXAMPLES:
            self.examples.append(Sighting(check=check, topic=topic, partition=partition, offset=offset, detail=detail))

    def record(
        self, marks: Mapping[tuple[str, int], tuple[int, int]], positions: Mapping[tuple[str, int], int]
    ) -> Readback:
        """What was found, without what reading took.

        Args:
            marks: per (topic, partition), the low and high watermark that were read between.
            positions: likewise, how far reading went.
        """
        return Readback(
            events_read=self.events_read,
            partitions=tuple(
                self._partition(place, low, high, positions.get(place)) for place, (low, high) in sorted(marks.items())
            ),
            streams={
                name: StreamRead(
                    read=stream.read,
                    duplicates=stream.duplicates,
                    out_of_order=stream.out_of_order,
                    digest=stream.digest,
                    partitions=tuple(sorted(stream.last_seq)),
                )
                for name, stream in zip(self._names, self._streams, strict=True)
            },
            bad_value=self.bad_value,
            bad_key=self.bad_key,
            unknown_records=self.unknown_records,
            others=0,
            examples=tuple(self.examples),
            receipts=(),
        )

    def _partition(self, place: tuple[str, int], low: int, high: int, position: int | None) -> PartitionRead:
        seen = self._partitions.get(place, _PartitionRead())
        return PartitionRead(
            topic=place[0],
            partition=place[1],
            low=low,
            high=high,
            read=seen.read,
            position=position,
            gaps=seen.gaps,
            out_of_order_offsets=seen.out_of_order_offsets,
            offsets=seen.offsets,
            cheats=seen.cheats,
        )

    def dead_letters(self, topic: str) -> DeadLettersRead:
        """What was found, if it was a dead-letter topic that was read."""
        return DeadLettersRead(
            topic=topic,
            streams={
                name: stream.read for name, stream in zip(self._names, self._streams, strict=True) if stream.read.count
            },
            repeated=sum(stream.duplicates for stream in self._streams),
            altered=self.bad_value + self.bad_key,
            unknown_records=self.unknown_records,
        )
