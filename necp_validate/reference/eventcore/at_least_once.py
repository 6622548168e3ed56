"""The loop of combat, social and system: every event is accounted for at least once.

Handled events are reported in receipts, a tick's together or, as ``events.receipts.at_once`` says, at once.
Their offsets are committed once the receipt and all outputs are acknowledged. An instance that dies leaves events
uncommitted, which its successor handles again.
"""

from __future__ import annotations

import logging
import time
from threading import Event as Flag
from typing import Any, Final, Protocol

from confluent_kafka import Message

from necp_validate.events.envelope import Decoder
from necp_validate.events.receipts import at_once
from necp_validate.events.registry import event_types
from necp_validate.events.topics import Domain
from necp_validate.reference.clients import Clients
from necp_validate.reference.eventcore.clock import Clock
from necp_validate.reference.eventcore.config import CoreConfig
from necp_validate.reference.eventcore.deliveries import Deliveries, Sender
from necp_validate.reference.eventcore.handling import (
    BatchResult,
    Handler,
    Output,
    dead_letter_outputs,
    handle_batch,
)
from necp_validate.reference.eventcore.intake import Batches, Hooks, Intake
from necp_validate.reference.eventcore.metrics import CoreMetrics
from necp_validate.reference.eventcore.receipting import ReceiptBook
from necp_validate.reference.eventcore.tuning import COMMIT_INTERVAL_S, TUNING, consumer_config
from necp_validate.reference.eventcore.workers import WorkerPool

log: Final = logging.getLogger(__name__)

REVOKE_FLUSH_S: Final = 3.0
"""How long a partition is kept back from its next owner for the sake of outputs under way."""


class FlushingSender(Sender, Protocol):
    """A producer that can also wait for what is under way."""

    def flush(self, timeout: float = -1) -> int:
        """Wait until everything is delivered."""


class AtLeastOnceLoop:
    """Serves one domain in one thread, with a pool of workers.

    Args:
        domain: the domain.
        config: configuration of the service.
        clients: makes its Kafka clients.
        handler: the domain's rules.
        sender: the producer for receipts, dead letters and outputs; shared with other loops.
        metrics: the service's metrics.
        held: while it is set nothing is read.
        dead_letter_partition: partition of the dead-letter topic that this instance writes.
    """

    def __init__(
        self,
        domain: Domain,
        config: CoreConfig,
        clients: Clients,
        handler: Handler,
        sender: FlushingSender,
        metrics: CoreMetrics,
        held: Flag,
        *,
        dead_letter_partition: int,
    ) -> None:
        self.domain = domain
        self._handler = handler
        self._sender = sender
        self._metrics = metrics
        self._dead_letter_partition = dead_letter_partition
        self._decode = Decoder(event_types(domain)).decode
        self._tick_s = TUNING[domain].tick_ms / 1_000
        self._now_us = Clock(config.clock_offset_file).now_us
        self._at_once_one_in = config.receipts_at_once[domain]
        self._receipts = ReceiptBook(domain, config.instance, now_us=self._now_us)
        self._deliveries = Deliveries(sender, on_failure=self._on_failure)
        self._dead_letters: list[Output] = []
        self._handled: dict[int, int] = {}
        self._committable: dict[int, int] = {}
        self._next_tick = self._next_commit = time.monotonic()
        self._pool: WorkerPool[tuple[int, list[Message]], BatchResult] = WorkerPool(
            config.workers[domain], self._handle, name=domain.value
        )
        hooks = Hooks(assigned=lambda _: {}, revoked=self._on_revoked, lost=self._on_lost)
        self.breaker = metrics.breaker(domain, config.breaker)
        consumer = consumer_config(config.kafka, domain, config.instance)
        self.intake = Intake(domain, clients, consumer, hooks, metrics, held, self.breaker)

    @property
    def ready(self) -> bool:
        """Whether the group has given this member its assignment."""
        return self.intake.joined

    def run(self, stop: Flag) -> None:
        """Work until told to stop; then finish, commit and leave the group."""
        try:
            while not stop.is_set():
                self.step()
            self._tick()
            self._settle(timeout_s=60.0)
        finally:
            self.intake.close()
            self._pool.close()

    def step(self) -> None:
        """Handle what has come, and produce and commit what is due."""
        now = time.monotonic()
        batches, size = self.intake.gather(max(0.0, min(self._next_tick - now, 0.1)))
        if batches:
            self._process(batches, size)
        now = time.monotonic()
        if now >= self._next_tick:
            self._tick()
            self._next_tick = now + self._tick_s
        self._sender.poll(0)
        self._committable.update(self._deliveries.acknowledged())
        if self._committable and now >= self._next_commit:
            self.intake.commit(self._committable)
            self._committable = {}
            self._next_commit = now + COMMIT_INTERVAL_S

    def _process(self, batches: Batches, size: int) -> None:
        started = time.perf_counter()
        results = self._pool.run(batches, size)
        due = False
        for result in results:
            first, last = result.first_offset, result.last_offset
            due = due or bool(at_once(self.domain, result.partition, first, last, self._at_once_one_in))
            self._receipts.add(result.runs)
            self._handled[result.partition] = result.last_offset + 1
            if result.dead_letters:
                self._dead_letters += dead_letter_outputs(
                    result,
                    source_topic=self.domain.topic,
                    topic=self.domain.dead_letter_topic,
                    partition=self._dead_letter_partition,
                )
        self._metrics.batch(self.domain, results, time.perf_counter() - started)
        self.breaker.record(size, sum(len(result.dead_letters) for result in results))
        if due:
            self._tick()

    def _handle(self, task: tuple[int, list[Message]]) -> BatchResult:
        partition, records = task
        return handle_batch(partition, records, self._decode, self._handler.open(partition), now_us=self._now_us)

    def _tick(self) -> None:
        """Produce everything that has come up since the last time, together."""
        if not self._handled:
            return
        outputs, results = self._handler.collect()
        outputs += self._dead_letters
        outputs += self._receipts.write(results)
        self._deliveries.send(outputs, self._handled)
        self._dead_letters, self._handled = [], {}

    def _settle(self, timeout_s: float) -> None:
        """Wait for what is under way, then commit it for good."""
        self._sender.flush(timeout_s)
        self._committable.update(self._deliveries.acknowledged())
        if self._deliveries.outstanding:
            log.warning("%s: outputs are not acknowledged; their events will come again", self.domain)
        self.intake.commit(self._committable, wait=True)
        self._committable = {}

    def _on_revoked(self, partitions: list[int]) -> None:
        self._tick()
        self._settle(REVOKE_FLUSH_S)
        for partition in partitions:
            self._handler.drop(partition)

    def _on_lost(self, partitions: list[int]) -> None:
        # What was handled has happened and is reported; only its offsets are no longer ours to commit.
        self._tick()
        for partition in partitions:
            self._committable.pop(partition, None)
            self._handler.drop(partition)

    def _on_failure(self, what: str) -> None:
        log.warning("%s: sent again: %s", self.domain, what)
        self._metrics.delivery_errors.labels(self.domain.value).inc()

    def describe(self) -> dict[str, Any]:
        """Describe the state for ``/health``."""
        return {
            "partitions": sorted(self.intake.partitions),
            "joined": self.intake.joined,
            "brokers_up": self.intake.brokers_up,
            "paused": self.intake.paused,
            "breaker": self.breaker.describe(),
        }
