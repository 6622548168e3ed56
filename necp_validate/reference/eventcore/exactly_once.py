"""The loop of economy: consume, process and produce in transactions, so that everything is booked once.

A transaction holds the ledger records, the market data, dead letters, the receipt and the input's offsets.
The ledger says where to go on: on taking a partition over, and after a transaction that was not committed,
the books are rebuilt from it and the input is read from the record after the last one that it covers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from threading import Event as Flag
from typing import Any, Final

from confluent_kafka import Message, TopicPartition

from necp_validate.events.envelope import Decoder
from necp_validate.events.registry import event_types
from necp_validate.events.topics import Domain
from necp_validate.reference.clients import Clients
from necp_validate.reference.eventcore.clock import Clock
from necp_validate.reference.eventcore.config import CoreConfig
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import BatchResult, Output, dead_letter_outputs, handle_batch
from necp_validate.reference.eventcore.intake import Batches, Hooks, Intake
from necp_validate.reference.eventcore.metrics import CoreMetrics
from necp_validate.reference.eventcore.receipting import ReceiptBook
from necp_validate.reference.eventcore.recovery import LedgerReader, committed_offsets
from necp_validate.reference.eventcore.transactions import Transactions
from necp_validate.reference.eventcore.tuning import (
    TUNING,
    consumer_config,
    ledger_reader_config,
    transactional_config,
)
from necp_validate.reference.eventcore.workers import WorkerPool

log: Final = logging.getLogger(__name__)


SHARE_BYTES: Final = 400_000
"""A ledger record holds at most twice what the events of its batch do (a trade has two legs), and must fit 1 MB."""


def shares(batches: Batches) -> list[Batches]:
    """Divide batches into shares to be handled one after the other: of no partition more than a ledger record holds."""
    divided: list[Batches] = []
    for partition, records in batches:
        number, size, start = 0, 0, 0
        for at, record in enumerate(records):
            length = len(record.value() or b"")
            if at > start and size + length > SHARE_BYTES:
                _put(divided, number, (partition, records[start:at]))
                number, size, start = number + 1, 0, at
            size += length
        _put(divided, number, (partition, records[start:]))
    return divided


def _put(divided: list[Batches], number: int, batch: tuple[int, list[Message]]) -> None:
    if number == len(divided):
        divided.append([])
    divided[number].append(batch)


class ExactlyOnceLoop:
    """Serves economy in one thread, with a pool of workers.

    Args:
        config: configuration of the service.
        clients: makes its Kafka clients.
        metrics: the service's metrics.
        stop: ends waiting for brokers.
        held: while it is set nothing is read.
        sticky_partition: partition of the market and dead-letter topics that this instance writes.
    """

    domain: Final = Domain.ECONOMY

    def __init__(
        self,
        config: CoreConfig,
        clients: Clients,
        metrics: CoreMetrics,
        stop: Flag,
        held: Flag,
        *,
        sticky_partition: int,
    ) -> None:
        self._metrics = metrics
        self._stop = stop
        self._dead_letter_partition = sticky_partition
        self._next_tick = time.monotonic()
        self._decode = Decoder(event_types(self.domain)).decode
        self._handler = EconomyHandler(market_partition=sticky_partition)
        self._now_us = Clock(config.clock_offset_file).now_us
        self._receipts = ReceiptBook(self.domain, config.instance, transactional=True, now_us=self._now_us)
        self._ledger = LedgerReader(clients, ledger_reader_config(config.kafka, config.instance))
        self._transactions = Transactions(
            lambda: clients.producer({**transactional_config(config.kafka, config.instance), "logger": log}), stop
        )
        self._pool: WorkerPool[tuple[int, list[Message]], BatchResult] = WorkerPool(
            config.workers[self.domain], self._handle, name=self.domain.value
        )
        hooks = Hooks(assigned=self._on_assigned, revoked=self._on_gone, lost=self._on_gone)
        consumer = consumer_config(config.kafka, self.domain, config.instance)
        self.breaker = metrics.breaker(self.domain, config.breaker)
        self.intake = Intake(self.domain, clients, consumer, hooks, metrics, held, self.breaker)

    @property
    def ready(self) -> bool:
        """Whether the group has given this member its assignment."""
        return self.intake.joined

    def run(self, stop: Flag) -> None:
        """Work until told to stop, then leave the group; every batch is committed when it ends."""
        try:
            if self._transactions.open():
                while not stop.is_set():
                    self.step()
        finally:
            self.intake.close()
            self._transactions.close()
            self._ledger.close()
            self._pool.close()

    def step(self) -> None:
        """Handle what has come in one transaction."""
        batches, size = self.intake.gather(not_before_s=self._next_tick)
        if not batches and not self._handler.market_overdue:
            return
        self._next_tick = time.monotonic() + TUNING[self.domain].tick_ms / 1_000
        started = time.perf_counter()
        results = []
        for share in shares(batches):
            done = self._pool.run(share, size)
            for result in done:
                self._handler.close(result)
            results += done
        outputs = self._outputs(results)
        busy_s = time.perf_counter() - started
        offsets = self.intake.positions({result.partition: result.last_offset + 1 for result in results})
        if self._transactions.commit(outputs, offsets, self.intake.consumer.consumer_group_metadata):
            self._metrics.transactions.labels("committed").inc()
            self._metrics.batch(self.domain, results, busy_s)
            self.breaker.record(size, sum(len(result.dead_letters) for result in results))
        else:
            self._metrics.transactions.labels("aborted").inc()
            self._recover()

    def _handle(self, task: tuple[int, list[Message]]) -> BatchResult:
        partition, records = task
        return handle_batch(partition, records, self._decode, self._handler.open(partition), now_us=self._now_us)

    def _outputs(self, results: list[BatchResult]) -> list[Output]:
        dead_letters: list[Output] = []
        for result in results:
            self._receipts.add(result.runs)
            dead_letters += dead_letter_outputs(
                result,
                source_topic=self.domain.topic,
                topic=self.domain.dead_letter_topic,
                partition=self._dead_letter_partition,
            )
        outputs, totals = self._handler.collect()
        return [*outputs, *dead_letters, *self._receipts.write(totals)]

    def _recover(self) -> None:
        """Go back to what the ledger says, for all partitions."""
        self._handler.discard()
        self._receipts.discard()
        if not self._transactions.open():  # only then is it settled what became of the last one
            return
        partitions = sorted(self.intake.partitions)
        starts = self._adopt(partitions)
        missing = [partition for partition in partitions if partition not in starts]
        starts = {**starts, **dict.fromkeys(missing, 0), **self._committed(missing)}
        for partition, offset in starts.items():
            self.intake.consumer.seek(TopicPartition(self.domain.topic, partition, offset))

    def _adopt(self, partitions: list[int]) -> dict[int, int]:
        """Rebuild books and take them over; give the offsets to go on from, where the ledger has one."""
        started = time.monotonic()
        books = self._ledger.rebuild(partitions, committed=lambda: self._committed(partitions))
        for partition, rebuilt in books.items():
            self._handler.adopt(partition, rebuilt)
        log.info("economy: books of %s rebuilt in %.2f s", partitions, time.monotonic() - started)
        return {p: rebuilt.next_offset for p, rebuilt in books.items() if rebuilt.next_offset is not None}

    def _committed(self, partitions: list[int]) -> Mapping[int, int]:
        if not partitions:
            return {}
        return committed_offsets(lambda timeout_s: self.intake.committed(partitions, timeout_s), self._stop)

    def _on_assigned(self, partitions: list[int]) -> Mapping[int, int]:
        return self._adopt(partitions)

    def _on_gone(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._handler.drop(partition)

    def describe(self) -> dict[str, Any]:
        """Describe the state for ``/health``."""
        return {
            "partitions": sorted(self.intake.partitions),
            "joined": self.intake.joined,
            "brokers_up": self.intake.brokers_up,
            "paused": self.intake.paused,
            "breaker": self.breaker.describe(),
        }
