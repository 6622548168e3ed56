"""Events that drills send on their own account: real ones, numbered and accounted for as the load's are."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from necp_validate.clients.flush import FlushTemplate
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.expected_totals import TOTALS, expected_totals_of
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.ledger.stream_account import AckedOffsets, StreamAccount
from necp_validate.record import LoadRecord
from necp_validate.record.model import SendError

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
        offsets: of the drill, shared by its streams.
    """

    def __init__(
        self,
        domain: Domain,
        stream: str,
        key: str,
        *,
        kind: SampleKind,
        batch: int,
        seed: str,
        offsets: AckedOffsets,
    ) -> None:
        self.domain = domain
        self.account = StreamAccount(stream, domain=domain.value, topic=domain.topic, key=key)
        self._offsets = offsets
        rng = random.Random(seed)
        samples = [sample_event(domain, rng, kind=kind) for _ in range(batch)]
        fronts = [head(name, version, key=key, data=data) for name, version, data in samples]
        values = [seal(front, _ANY_TIME_US, event_id(stream, 0)) for front in fronts]
        self._kind = kind
        self._template = FlushTemplate(values, key.encode())
        single = [expected_totals_of([value]) if kind == "valid" else {} for value in values]
        self._totals_up_to = {name: [0, *accumulate(one.get(name, 0) for one in single)] for name in TOTALS}
        self._totals = dict.fromkeys(TOTALS, 0)

    def batch(self, now_us: int) -> list[bytes]:
        """The next batch, whose events bear this time and the next numbers; they count as sent with ``sent``."""
        self._template.stamp(now_us, self.account.sent, 0)
        return self._template.values()

    def sent(
        self,
        count: int,
        runs: Iterable[Sequence[int]],
        *,
        failed: Iterable[Sequence[int]] = (),
    ) -> None:
        """Account for the first events of the batch.

        Args:
            count: how many were sent.
            runs: of those acknowledged: number in the batch, partition, offset (negative if not known), count.
            failed: of those certainly not written: number in the batch, count. Of all others nothing is known.
        """
        base = self.account.begin(count)
        if self._kind != "valid":
            self.account.plant(self._kind, range(base, base + count))
        for name, up_to in self._totals_up_to.items():
            self._totals[name] += up_to[count]
        for first, partition, offset, length in runs:
            self.account.ack(base + first, length, partition, offset)
            self._offsets.add(self.domain.topic, partition, offset, length)
        for first, length in failed:
            self.account.fail(base + first, length)

    @property
    def expected_totals(self) -> dict[str, int]:
        """What the events sent deal and move if they are processed."""
        return {name: amount for name, amount in self._totals.items() if amount}


def drill_record(
    name: str,
    domain: Domain,
    streams: Sequence[DrillStream],
    offsets: AckedOffsets,
    *,
    planted: Mapping[str, int],
    errors: Iterable[SendError] | None = None,
) -> LoadRecord:
    """What a drill has sent, as the record keeps it.

    Args:
        name: of the drill, unique in the run.
        domain: whose events it sent.
        streams: all of its streams.
        offsets: where their events were acknowledged.
        planted: how many of its events are ``cheat`` or ``poison``.
        errors: that its sends ended in; None if the sender does not report them.
    """
    totals: Counter[str] = Counter()
    for stream in streams:
        totals.update(stream.expected_totals)
    return LoadRecord(
        worker=name,
        streams=tuple(stream.account.record() for stream in streams),
        guarantees={domain.value: GUARANTEES},
        planted={domain.value: dict(planted)},
        expected_totals={domain.value: dict(totals)},
        inconsistent_offsets=offsets.repeated,
        offset_not_monotonic=sum(stream.account.not_monotonic for stream in streams),
        send_errors=None if errors is None else tuple(errors),
    )
