"""Joins receipts with the events that they answer, by partition and offset, while the load runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from necp_validate.events.receipts import Receipt
from necp_validate.ledger.latency import Recorder, Witness
from necp_validate.ledger.outcomes import earliest_end_us
from necp_validate.ledger.producer_account import ProducerAccount

_CLOCKS_DIFFER_US = 1_000
_KEEP_EARLY_US = 30_000_000  # receipts may overtake acknowledgements, but not by half a minute


class ReceiptJoin:
    """Joins receipts with acknowledged events.

    The end of processing is the handler's own time (``done_us``, same host, same clock), which may lie before the
    brokers' append of the receipt by no more than ``RECEIPTED_WITHIN_S``: of an earlier one that much before the append
    counts, and it is moved. Where the receipt is part of a transaction, it is the time at which it became visible here:
    its outcome does not exist before. That events wait for an outcome is known only by what is seen here. Of some
    that are receipted at once, the time until that append or arrival is recorded besides, whatever the core says.

    Args:
        recorder: takes latencies and outcomes.
        accounts: per domain, the account of the events sent.

    ``ends_from_future`` counts events that ended, by the core's clock, after their receipt had come.
    """

    def __init__(self, recorder: Recorder, accounts: Mapping[str, ProducerAccount]) -> None:
        self._recorder = recorder
        self._accounts = accounts
        self._early: deque[tuple[int, str, int, int, int, int, int, Witness, int | None]] = deque()
        self.ends_from_future = 0

    @property
    def waiting(self) -> int:
        """Acknowledged events whose receipt has not been seen; without an offset none can be recognised."""
        return sum(account.outcomes.left for account in self._accounts.values())

    @property
    def early(self) -> int:
        """Runs of outcomes that came, in whole or in part, before the acknowledgement of their events."""
        return len(self._early)

    def saw(self, receipt: Receipt, now_us: int, appended_us: int | None) -> None:
        """Take in a receipt.

        Args:
            receipt: the receipt.
            now_us: when it came (epoch).
            appended_us: when a broker appended it (epoch); None if no broker says so.
        """
        earliest_us = earliest_end_us(receipt, appended_us)
        if earliest_us is not None:
            # A broker whose clock is ahead of this one moves no end beyond the receipt's arrival.
            earliest_us = min(earliest_us, now_us)
        for partition, first, last, outcome, done_us in receipt.runs:
            ended_us = now_us if receipt.transactional else done_us
            witness = Witness.NONE if earliest_us is None and not receipt.transactional else Witness.SEEN
            if earliest_us is not None and ended_us < earliest_us:
                ended_us, witness = earliest_us, Witness.MOVED
            if ended_us > now_us + _CLOCKS_DIFFER_US:
                # A clock that is ahead: it had ended when its receipt arrived, and nothing better is known.
                self.ends_from_future += last - first + 1
                ended_us = now_us
            written_us = now_us if receipt.transactional else appended_us
            self._match(
                now_us, now_us, receipt.domain, partition, first, last, int(outcome), ended_us, witness, written_us
            )

    def retry(self, now_us: int) -> None:
        """Look once more for the events of receipts that came early."""
        waiting, self._early = self._early, deque()
        for run in waiting:
            self._match(now_us, *run)

    def _match(
        self,
        now_us: int,
        seen_us: int,
        domain: str,
        partition: int,
        first: int,
        last: int,
        outcome: int,
        ended_us: int,
        witness: Witness,
        written_us: int | None,
    ) -> None:
        account = self._accounts.get(domain)
        if account is None:
            return
        pending = account.pending.get(partition)
        known = pending.highest if pending is not None else -1
        if last > known:
            # What is beyond may be ours and not acknowledged yet, or somebody else's: players write here, too.
            if now_us - seen_us < _KEEP_EARLY_US:
                self._early.append(
                    (seen_us, domain, partition, max(first, known + 1), last, outcome, ended_us, witness, written_us)
                )
            last = known
        if pending is None or first > last:
            return
        joined = 0
        for low, high, intended_us in pending.take(first, last):
            events = high - low + 1
            if written_us is not None:
                for _ in account.receipted_at_once(partition, low, high):
                    self._recorder.ended_at_once(domain, intended_us, min(written_us, seen_us))
            self._recorder.ended(domain, intended_us, ended_us, events, witness)
            self._recorder.count_outcome(domain, outcome, events)
            joined += events
        if joined:
            account.outcomes.ended(joined, seen_us)
