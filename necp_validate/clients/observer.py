"""Watches receipts while the load runs, and turns them into end-to-end latencies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from necp_validate.events.receipts import decode_receipt
from necp_validate.events.topics import RECEIPTS_TOPIC, Domain
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.pending import PendingOffsets
from necp_validate.ledger.producer_account import AckBook
from necp_validate.ledger.transactions import TransactionWatch

_CLOCKS_DIFFER_US = 1_000
_KEEP_EARLY_US = 30_000_000  # receipts may overtake acknowledgements, but not by half a minute


def join_outcome(
    recorder: Recorder,
    pending: PendingOffsets,
    domain: str,
    offsets: tuple[int, int],
    outcome: int,
    ended_us: int,
) -> int:
    """Record the outcome of a run of offsets for those events that were waiting for it; returns how many."""
    joined = 0
    for events, intended_us in pending.take(*offsets):
        recorder.ended(domain, intended_us, ended_us, events)
        recorder.count_outcome(domain, outcome, events)
        joined += events
    return joined


class ReceiptObserver:
    """Joins receipts with this process's acknowledged events, by partition and offset.

    The end of processing is the handler's own time (``done_us``, same host, same clock) or, where the receipt is part
    of a transaction, the time at which it became visible here: its outcome does not exist before.

    Args:
        config: librdkafka properties of a principal that may read the receipts.
        recorder: takes latencies and outcomes.
        books: per domain, the account of the events sent.
    """

    def __init__(self, config: Mapping[str, str], recorder: Recorder, books: Mapping[str, AckBook]) -> None:
        self._recorder = recorder
        self._books = books
        self._early: deque[tuple[int, str, int, int, int, int, int]] = deque()
        self.matched = 0
        self.ends_from_future = 0
        self.transactions = TransactionWatch()
        transactional = [d for d in books if d == Domain.ECONOMY]
        others = [d for d in books if d != Domain.ECONOMY]
        # A transactional receipt's arrival is a measurement, so it is fetched at once; the others carry their time.
        self._consumers = [
            self._consumer(config, domains, min_bytes)
            for domains, min_bytes in ((transactional, 1), (others, 1 << 20))
            if domains
        ]

    def _consumer(self, config: Mapping[str, str], domains: list[str], min_bytes: int) -> Consumer:
        consumer = Consumer(
            {
                **config,
                "group.id": "necp-verifier",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 250,
                "fetch.min.bytes": min_bytes,
                "queued.max.messages.kbytes": 16384,
            }
        )
        consumer.assign([TopicPartition(RECEIPTS_TOPIC, Domain(d).number, OFFSET_END) for d in domains])
        return consumer

    @property
    def waiting(self) -> int:
        """Acknowledged events whose receipt has not been seen; without an offset none can be told to be theirs."""
        return sum(book.placed for book in self._books.values()) - self.matched

    def poll(self) -> int:
        """Take in the receipts that have arrived; returns how many."""
        count = 0
        if self._early:
            self._retry()
        for consumer in self._consumers:
            for message in consumer.consume(500, 0):
                if message.error() is not None:
                    continue
                now_us = time.time_ns() // 1000
                receipt = decode_receipt(message.value() or b"")
                count += 1
                if receipt.transactional:
                    where = TopicPartition(RECEIPTS_TOPIC, message.partition() or 0)
                    _, end = consumer.get_watermark_offsets(where, cached=True)
                    self.transactions.saw(receipt, message.offset() or 0, end)
                for partition, first, last, outcome, done_us in receipt.runs:
                    ended_us = now_us if receipt.transactional else done_us
                    if ended_us > now_us + _CLOCKS_DIFFER_US:
                        # A clock that is ahead: it had ended when its receipt arrived, and nothing better is known.
                        self.ends_from_future += last - first + 1
                        ended_us = now_us
                    self._match(now_us, receipt.domain, partition, first, last, int(outcome), ended_us)
        return count

    def _match(
        self, seen_us: int, domain: str, partition: int, first: int, last: int, outcome: int, ended_us: int
    ) -> None:
        book = self._books.get(domain)
        pending = book.pending.get(partition) if book else None
        known = pending.highest if pending is not None else -1
        if last > known:
            # What is beyond may be ours and not acknowledged yet, or somebody else's: players write here, too.
            if time.time_ns() // 1000 - seen_us < _KEEP_EARLY_US:
                beyond = max(first, known + 1)
                self._early.append((seen_us, domain, partition, beyond, last, outcome, ended_us))
            last = known
        if pending is None or first > last:
            return
        self.matched += join_outcome(self._recorder, pending, domain, (first, last), outcome, ended_us)

    def _retry(self) -> None:
        waiting, self._early = self._early, deque()
        for receipt in waiting:
            self._match(*receipt)

    def close(self) -> None:
        """Free the clients."""
        for consumer in self._consumers:
            consumer.close()
