"""Watches receipts while the load runs, and turns them into end-to-end latencies."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, TIMESTAMP_LOG_APPEND_TIME, Consumer, Message, TopicPartition

from necp_validate.events.receipts import decode_receipt
from necp_validate.events.topics import RECEIPTS_TOPIC, Domain
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import ProducerAccount
from necp_validate.ledger.receipt_join import ReceiptJoin
from necp_validate.ledger.transactions import TransactionWatch


class ReceiptObserver:
    """Reads receipts as they come, and joins them with this process's acknowledged events.

    Args:
        config: librdkafka properties of a principal that may read the receipts.
        recorder: takes latencies and outcomes.
        accounts: per domain, the account of the events sent.
    """

    def __init__(self, config: Mapping[str, str], recorder: Recorder, accounts: Mapping[str, ProducerAccount]) -> None:
        self.join = ReceiptJoin(recorder, accounts)
        self.transactions = TransactionWatch()
        transactional = [d for d in accounts if d == Domain.ECONOMY]
        others = [d for d in accounts if d != Domain.ECONOMY]
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

    def poll(self) -> int:
        """Take in the receipts that have arrived; returns how many."""
        count = 0
        self.join.retry(time.time_ns() // 1000)
        for consumer in self._consumers:
            for message in consumer.consume(500, 0):
                if message.error() is not None:
                    continue
                receipt = decode_receipt(message.value() or b"")
                count += 1
                if receipt.transactional:
                    where = TopicPartition(RECEIPTS_TOPIC, message.partition() or 0)
                    _, end = consumer.get_watermark_offsets(where, cached=True)
                    self.transactions.saw(receipt, message.offset() or 0, end)
                self.join.saw(receipt, time.time_ns() // 1000, _appended_us(message))
        return count

    def close(self) -> None:
        """Free the clients."""
        for consumer in self._consumers:
            consumer.close()


def _appended_us(message: Message) -> int | None:
    """When a broker appended a record (epoch); None where the record has its producer's time instead."""
    kind, time_ms = message.timestamp()
    return time_ms * 1_000 if kind == TIMESTAMP_LOG_APPEND_TIME else None
