"""The account of one stream of numbered events, whoever sends it: what was acked and where, what failed, what is left.

Every number below ``sent`` is in exactly one of three sets: it was acknowledged, it certainly was not written, or
neither is known. The third is what the other two leave, so that nothing can be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.core.intervals import IntervalSet
from necp_validate.record.model import StreamRecord

_MASK = 2**64 - 1


def digest_of(first_seq: int, first_offset: int, partition: int, count: int) -> int:
    """Digest of where ``count`` consecutive events landed: sum of (seq+1)(offset+1+partition*2^40) mod 2^64.

    Acknowledgements and the reader each sum it up; the sums differ when any event lies elsewhere than acknowledged.
    """
    s, o, n = first_seq + 1, first_offset + 1 + (partition << 40), count
    pairs = n * s * o + (s + o) * (n * (n - 1) // 2) + (n - 1) * n * (2 * n - 1) // 6
    return pairs & _MASK


class StreamAccount:
    """One stream: one key, sequence numbers without holes, and what became of them.

    Args:
        id: of the stream, 8 hexadecimal digits.
        domain: whose events they are.
        topic: where they go.
        key: of their records.

    ``partition`` is where the last of them was acknowledged, -1 before the first was. ``not_monotonic`` counts acks
    that have two events of a partition in another order than they were sent in.
    """

    __slots__ = (
        "_latest",
        "acked",
        "digest",
        "domain",
        "failed",
        "id",
        "key",
        "max_acked_offset",
        "not_monotonic",
        "partition",
        "planted",
        "sent",
        "topic",
        "unplaced",
    )

    def __init__(self, id: str, *, domain: str, topic: str, key: str) -> None:
        self.id = id
        self.domain = domain
        self.topic = topic
        self.key = key
        self.sent = 0
        self.acked = IntervalSet()
        self.failed = IntervalSet()
        self.digest = 0
        self.max_acked_offset = -1
        self.planted: dict[str, IntervalSet] = {}
        self.unplaced = 0
        self.not_monotonic = 0
        self.partition = -1
        self._latest = (-1, -1)  # number and offset of the ack before

    def begin(self, count: int = 1) -> int:
        """Number events that are handed over now; returns the first number."""
        first = self.sent
        self.sent = first + count
        return first

    def ack(self, first: int, count: int, partition: int, offset: int) -> bool:
        """Note that consecutive events were acknowledged; returns whether it is the first ack for all of them.

        Args:
            first: number of the first event.
            count: how many.
            partition: where they lie.
            offset: of the first, the others follow it; negative if the ack did not say.
        """
        last = first + count - 1
        self.sent = max(self.sent, last + 1)
        if repeated := self.acked.add(first, last):
            self.unplaced += count - repeated  # no run of the client's is half new: which of two acks is right?
            return False
        if offset < 0:
            self.partition = partition
            self.unplaced += count
            return True
        seq_before, offset_before = self._latest
        if partition != self.partition:
            self.partition = partition
        elif (first < seq_before) != (offset < offset_before):
            self.not_monotonic += 1
        self._latest = (first, offset)
        self.digest = (self.digest + digest_of(first, offset, partition, count)) & _MASK
        self.max_acked_offset = max(self.max_acked_offset, offset + count - 1)
        return True

    def fail(self, first: int, count: int = 1) -> None:
        """Note that events were certainly not written; of others that were not acknowledged nothing need be said."""
        self.failed.add(first, first + count - 1)

    def plant(self, kind: str, numbers: Iterable[int]) -> None:
        """Note which events are bad on purpose: a ``cheat`` is to be rejected, ``poison`` and ``fuzz`` set aside."""
        planted = self.planted.setdefault(kind, IntervalSet())
        for number in numbers:
            planted.add(number, number)

    @property
    def unknown(self) -> IntervalSet:
        """Numbers of which neither is known: they may appear or not."""
        return _below(self.sent).difference(self.acked).difference(self.failed)

    def record(self) -> StreamRecord:
        """The stream as the record keeps it; an ack outweighs a failure."""
        return StreamRecord(
            stream=self.id,
            domain=self.domain,
            topic=self.topic,
            key=self.key,
            sent=self.sent,
            acked=self.acked,
            failed=self.failed.difference(self.acked).intersection(_below(self.sent)),
            unknown=self.unknown,
            digest=self.digest,
            max_acked_offset=self.max_acked_offset,
            unplaced=self.unplaced,
            planted=self.planted,
        )


class AckedOffsets:
    """The offsets that a sender's events were acknowledged at, over all its streams: no two events may share one.

    ``repeated`` counts those that were given again. Memory follows the events of other senders that lie in between.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._seen: dict[tuple[str, int], IntervalSet] = {}

    def add(self, topic: str, partition: int, offset: int, count: int = 1) -> None:
        """Note the offsets of consecutive events; negative if the ack did not say."""
        if offset >= 0:
            seen = self._seen.setdefault((topic, partition), IntervalSet())
            self.repeated += seen.add(offset, offset + count - 1)


def _below(end: int) -> IntervalSet:
    return IntervalSet([(0, end - 1)]) if end else IntervalSet()
