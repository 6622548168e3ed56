"""Events that drills send on their own account: real ones, numbered and accounted for as the load's are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import accumulate

from necp_validate.clients.flush import FlushTemplate
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.stakes import STAKES, total_stakes
from necp_validate.events.topics import Domain
from necp_validate.ledger.readback import digest_of
from necp_validate.record import IntervalSet, StreamRecord

GUARANTEES = {"acks": "all", "enable.idempotence": "true"}
_ANY_TIME_US = 10**15


def drill_stream_id(run_id: str, drill: str, number: int) -> str:
    """Id of a drill's stream: 8 hex digits, unique to run, drill and number (below 4,096)."""
    return f"{random.Random(f'{run_id}/drill/{drill}').getrandbits(20):05x}{number:03x}"


class DrillStream:
    """One stream of events of one key, and what became of each.

    Args:
        domain: whose events.
        stream: its id.
        key: key of its records.
        kind: what becomes of its events.
        batch: events of a batch.
        seed: same seed, same events.
    """

    def __init__(self, domain: Domain, stream: str, key: str, *, kind: SampleKind, batch: int, seed: str) -> None:
        self.domain = domain
        self.stream = stream
        self.key = key
        self.next_seq = 0
        rng = random.Random(seed)
        samples = [sample_event(domain, rng, kind=kind) for _ in range(batch)]
        fronts = [head(name, version, key=key, data=data) for name, version, data in samples]
        values = [seal(front, _ANY_TIME_US, event_id(stream, 0)) for front in fronts]
        self._template = FlushTemplate(values, key.encode())
        single = [total_stakes([value]) if kind == "valid" else {} for value in values]
        self._stakes_up_to = {name: [0, *accumulate(one.get(name, 0) for one in single)] for name in STAKES}
        self._stakes = dict.fromkeys(STAKES, 0)
        self._acked = IntervalSet()
        self._failed = IntervalSet()
        self._unknown = IntervalSet()
        self._digest = 0
        self._max_offset = -1
        self._unplaced = 0

    def batch(self, now_us: int) -> list[bytes]:
        """The next batch, whose events bear this time and the next numbers; they count as sent with ``sent``."""
        self._template.stamp(now_us, self.next_seq, 0)
        return self._template.values()

    def sent(
        self,
        count: int,
        runs: Iterable[Sequence[int]],
        *,
        failed: Iterable[Sequence[int]] = (),
        unknown: Iterable[Sequence[int]] = (),
    ) -> None:
        """Account for the first events of the batch.

        Args:
            count: how many were sent.
            runs: of those acknowledged: number in the batch, partition, offset (negative if not known), count.
            failed: of those certainly not written: number in the batch, count.
            unknown: of all others, likewise.
        """
        base = self.next_seq
        self.next_seq += count
        for name, up_to in self._stakes_up_to.items():
            self._stakes[name] += up_to[count]
        for first, partition, offset, length in runs:
            self._acked.add(base + first, base + first + length - 1)
            if offset < 0:
                self._unplaced += length
                continue
            self._digest = (self._digest + digest_of(base + first, offset, partition, length)) % 2**64
            self._max_offset = max(self._max_offset, offset + length - 1)
        for ranges, into in ((failed, self._failed), (unknown, self._unknown)):
            for first, length in ranges:
                into.add(base + first, base + first + length - 1)

    @property
    def stakes(self) -> dict[str, int]:
        """What the events sent deal and move if they are processed."""
        return {name: amount for name, amount in self._stakes.items() if amount}

    def record(self) -> StreamRecord:
        """The stream as the history keeps it."""
        return StreamRecord(
            stream=self.stream,
            domain=self.domain.value,
            topic=self.domain.topic,
            key=self.key,
            sent=self.next_seq,
            acked=self._acked,
            failed=self._failed,
            unknown=self._unknown,
            digest=self._digest,
            max_acked_offset=self._max_offset,
            unplaced=self._unplaced,
        )
