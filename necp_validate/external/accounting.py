"""Accounts for what a fresh reader finds in topics of the user's own: each event of the run exactly once, unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from necp_validate.core.intervals import IntervalSet
from necp_validate.external.identity import crc, read_identity
from necp_validate.ledger.stream_account import digest_of
from necp_validate.record.readback import PartitionRead, Readback, Sighting, StreamRead

_MASK: Final = 2**64 - 1
_EXAMPLES: Final = 20

Place = tuple[str, int]
"""``(topic, partition)``"""


@dataclass(slots=True)
class _Stream:
    read: IntervalSet = field(default_factory=IntervalSet)
    duplicates: int = 0
    out_of_order: int = 0
    digest: int = 0
    last_seq: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Partition:
    read: int = 0
    last_offset: int = -1
    gaps: int = 0
    out_of_order: int = 0


class RecordAccounting:
    """Takes records, those of a partition in the order in which they lie.

    Args:
        streams: by topic, the stream of this run's events.
    """

    def __init__(self, streams: Mapping[str, str]) -> None:
        self._known = dict(streams)
        self._streams = {stream: _Stream() for stream in streams.values()}
        self._partitions: dict[Place, _Partition] = {}
        self.events = self.bad_value = self.bad_key = self.unknown = self.others = 0
        self._examples: list[Sighting] = []

    def add(self, place: Place, offset: int, key: bytes | None, value: bytes | None, headers: object) -> None:
        """Account for one record; one without the header of this run is somebody else's."""
        partition = self._partitions.setdefault(place, _Partition())
        partition.read += 1
        partition.gaps += max(offset - partition.last_offset - 1, 0) if partition.last_offset >= 0 else 0
        partition.out_of_order += offset <= partition.last_offset
        partition.last_offset = max(partition.last_offset, offset)
        identity = read_identity(headers)
        if identity is None or identity.stream not in self._streams:
            self.others += 1
            return
        self.events += 1
        if identity.stream != self._known[place[0]]:
            self.unknown += 1
            self._example("unknown-record", place, offset, f"an event of stream {identity.stream}, of another topic")
            return
        self._account(self._streams[identity.stream], place, offset, identity.seq)
        if crc(value) != identity.value_crc:
            self.bad_value += 1
            self._example("value-mismatch", place, offset, f"event {identity.seq}: the value is not what was sent")
        if crc(key) != identity.key_crc:
            self.bad_key += 1
            self._example("key-mismatch", place, offset, f"event {identity.seq}: the key is {key!r:.80}")

    def _account(self, stream: _Stream, place: Place, offset: int, seq: int) -> None:
        stream.digest = (stream.digest + digest_of(seq, offset, place[1], 1)) & _MASK
        if stream.read.add(seq, seq):
            stream.duplicates += 1
            self._example("duplicate", place, offset, f"event {seq} is there a second time")
            return
        last = stream.last_seq.get(place[1], -1)
        if seq < last:
            stream.out_of_order += 1
            self._example("nonmonotonic-send", place, offset, f"event {seq} after {last}")
        stream.last_seq[place[1]] = max(seq, last)

    def _example(self, check: str, place: Place, offset: int, detail: str) -> None:
        if len(self._examples) < _EXAMPLES:
            topic, partition = place
            self._examples.append(Sighting(check=check, detail=detail, topic=topic, partition=partition, offset=offset))

    def readback(
        self,
        marks: Mapping[Place, tuple[int, int]],
        positions: Mapping[Place, int],
        *,
        elapsed_s: float,
        cpu_s: float,
    ) -> Readback:
        """All that was found.

        Args:
            marks: where reading was to begin and to end, by partition.
            positions: how far it went.
            elapsed_s: how long it took.
            cpu_s: CPU time of it.
        """
        return Readback(
            events_read=self.events,
            partitions=tuple(self._partition(place, *marks[place], positions.get(place)) for place in sorted(marks)),
            streams={
                name: StreamRead(
                    read=one.read,
                    duplicates=one.duplicates,
                    out_of_order=one.out_of_order,
                    digest=one.digest,
                    partitions=tuple(sorted(one.last_seq)),
                )
                for name, one in self._streams.items()
            },
            elapsed_s=round(elapsed_s, 3),
            cpu_s=round(cpu_s, 3),
            events_per_s=round(self.events / elapsed_s) if elapsed_s else 0.0,
            bad_value=self.bad_value,
            bad_key=self.bad_key,
            unknown_records=self.unknown,
            others=self.others,
            examples=tuple(self._examples),
            receipts=(),
        )

    def _partition(self, place: Place, low: int, high: int, position: int | None) -> PartitionRead:
        found = self._partitions.get(place, _Partition())
        return PartitionRead(
            topic=place[0],
            partition=place[1],
            low=low,
            high=high,
            read=found.read,
            position=position,
            gaps=found.gaps,
            out_of_order_offsets=found.out_of_order,
        )
