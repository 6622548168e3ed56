"""Leader epochs as they lie in the log: a newer leader's records never come before an older one's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from necp_validate.clients.rdkafka import MessageBatch
from necp_validate.record.readback import EpochRead


@dataclass(slots=True)
class _Epochs:
    highest: int = -1
    decreases: int = 0


class EpochAccounting:
    """Looks at the first and the last record of each partition in each batch that was read.

    A decrease between two of them shows in the next one that is looked at, unless a newer epoch has begun by then.
    """

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], _Epochs] = {}

    def add(self, batch: MessageBatch) -> None:
        """Look at a batch whose records still live."""
        rows = batch.rows
        good = np.flatnonzero(rows["err"] == 0)
        if not len(good):
            return
        handles, partitions = rows["rkt"][good], rows["partition"][good]
        ends = np.flatnonzero((handles[1:] != handles[:-1]) | (partitions[1:] != partitions[:-1]))
        for index in sorted({0, *ends.tolist(), *(ends + 1).tolist(), len(good) - 1}):
            topic = batch.consumer.topic_name(int(handles[index]))
            self.saw(topic, int(partitions[index]), batch.leader_epoch(int(good[index])))

    def saw(self, topic: str, partition: int, epoch: int) -> None:
        """Note the epoch of a record that comes after all noted before; -1 is no epoch."""
        if epoch < 0:
            return
        at = self._partitions.setdefault((topic, partition), _Epochs())
        at.decreases += epoch < at.highest
        at.highest = max(at.highest, epoch)

    def records(self) -> tuple[EpochRead, ...]:
        """What was seen, by partition."""
        return tuple(
            EpochRead(topic=topic, partition=partition, highest=at.highest, decreases=at.decreases)
            for (topic, partition), at in sorted(self._partitions.items())
        )
