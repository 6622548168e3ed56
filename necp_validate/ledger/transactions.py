"""What a read-committed client is shown of transactions while they happen."""

from __future__ import annotations

from necp_validate.core.intervals import IntervalSet
from necp_validate.events.receipts import Receipt
from necp_validate.record.model import OutcomesSeen


class TransactionWatch:
    """Keeps the outcomes that transactions reported, and counts the records that came before their commit."""

    def __init__(self) -> None:
        self.precommitted_reads = 0
        self._seen: dict[tuple[str, int], IntervalSet] = {}

    def saw(self, receipt: Receipt, offset: int, end: int) -> None:
        """Note a receipt that was handed over as committed.

        A transaction's end is a record of its own in every partition it touched. Where the partition ended right
        behind the receipt, that record had not been written: the receipt was shown too early.

        Args:
            receipt: the receipt; one that is in no transaction is left out.
            offset: where it lies in its partition.
            end: end of that partition as the client knew it then; negative if it did not.
        """
        if not receipt.transactional:
            return
        self.precommitted_reads += 0 <= end <= offset + 1
        for partition, first, last, _, _ in receipt.runs:
            self._seen.setdefault((receipt.topic, partition), IntervalSet()).add(first, last)

    def outcomes_seen(self) -> tuple[OutcomesSeen, ...]:
        """The outcomes, by partition."""
        return tuple(
            OutcomesSeen(topic=topic, partition=partition, seen=seen)
            for (topic, partition), seen in sorted(self._seen.items())
        )
