"""The small parts: deliveries, receipts in the making, workers, metrics, health."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, Message
from prometheus_client import generate_latest

from necp_validate.events.receipts import Outcome, decode_receipt
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.deliveries import Deliveries
from necp_validate.reference.eventcore.handling import BatchResult, Headers, Output
from necp_validate.reference.eventcore.metrics import CoreMetrics
from necp_validate.reference.eventcore.receipting import RUNS_PER_RECEIPT, ReceiptBook
from necp_validate.reference.eventcore.workers import INLINE_RECORDS, WorkerPool
from necp_validate.reference.health import HealthServer

Report = Callable[[KafkaError | None, Message], None]


class FakeSender:
    """Keeps what was produced until the test says how it was delivered."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str | bytes | None, Report]] = []
        self.full = 0

    def produce(
        self,
        topic: str,
        value: str | bytes | None = None,
        key: str | bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: Report | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Take a record."""
        if self.full:
            self.full -= 1
            raise BufferError
        assert on_delivery is not None
        self.waiting.append((value, on_delivery))

    def poll(self, timeout: float = -1) -> int:
        """Nothing to serve."""
        return 0

    def deliver(self, value: bytes, error: KafkaError | None = None) -> None:
        """Report on a record."""
        index = next(i for i, (waiting, _) in enumerate(self.waiting) if waiting == value)
        self.waiting.pop(index)[1](error, Message())


def output(value: bytes) -> Output:
    """A record of no importance."""
    return Output(topic="t", partition=0, key=None, value=value)


def test_offsets_wait_for_all_outputs() -> None:
    """Only when the last of them is acknowledged may the offsets be committed, once."""
    sender = FakeSender()
    deliveries = Deliveries(sender)
    deliveries.send([output(b"a"), output(b"b")], {0: 10})
    sender.deliver(b"a")
    assert (deliveries.acknowledged(), deliveries.outstanding) == ({}, 1)
    sender.deliver(b"b")
    assert (deliveries.acknowledged(), deliveries.outstanding) == ({0: 10}, 0)
    assert deliveries.acknowledged() == {}


def test_later_sends_wait_for_earlier_ones() -> None:
    """An offset is never committed over one whose receipt is still under way."""
    sender = FakeSender()
    deliveries = Deliveries(sender)
    deliveries.send([output(b"a")], {0: 10, 1: 5})
    deliveries.send([output(b"b")], {0: 20})
    sender.deliver(b"b")
    assert deliveries.acknowledged() == {}
    sender.deliver(b"a")
    assert deliveries.acknowledged() == {0: 20, 1: 5}


def test_a_failed_delivery_is_sent_again() -> None:
    """The failure is reported, the record goes out again, and the offsets wait for it."""
    sender, failures = FakeSender(), list[str]()
    deliveries = Deliveries(sender, on_failure=failures.append)
    deliveries.send([output(b"a")], {0: 10})
    sender.full = 2
    sender.deliver(b"a", KafkaError(KafkaError._MSG_TIMED_OUT))
    assert len(failures) == 1
    assert deliveries.acknowledged() == {}
    sender.deliver(b"a")
    assert deliveries.acknowledged() == {0: 10}


def test_receipts_are_cut_to_size_and_cleared() -> None:
    """No receipt outgrows a record; totals go once; nothing to say is no receipt."""
    book = ReceiptBook(Domain.SOCIAL, "core-0", now_us=lambda: 9)
    assert book.write({"x": 1}) == []
    book.add([(0, n, n, Outcome.PROCESSED, 1) for n in range(RUNS_PER_RECEIPT + 1)])
    outputs = book.write({"x": 1})
    receipts = [decode_receipt(written.value) for written in outputs]
    assert [len(receipt.runs) for receipt in receipts] == [RUNS_PER_RECEIPT, 1]
    assert [receipt.results for receipt in receipts] == [{"x": 1}, {}]
    assert {(written.partition, written.key) for written in outputs} == {(Domain.SOCIAL.number, b"social")}
    assert max(len(written.value) for written in outputs) < 500_000
    assert book.write({}) == []


def test_workers_do_every_task_once() -> None:
    """Large batches are spread over threads, small ones stay where they are."""
    threads: set[str] = set()
    together = threading.Barrier(3, timeout=10)

    def work(task: int) -> int:
        threads.add(threading.current_thread().name)
        if task < 0:
            together.wait()
        return task * 2

    pool: WorkerPool[int, int] = WorkerPool(3, work, name="test")
    assert pool.run([1, 2, 3], INLINE_RECORDS) == [2, 4, 6]
    assert len(threads) == 1
    assert sorted(pool.run([-1, -2, -3], INLINE_RECORDS + 1)) == [-6, -4, -2]
    assert len(threads) == 3
    pool.close()


def test_latency_counts_each_event() -> None:
    """The histogram of a batch is the one that single observations would have made."""
    metrics = CoreMetrics()
    done_us = 10_000_000
    latencies_ms = [0.5, 1, 1.5, 29, 30, 31, 20_000, -3]
    metrics.latency.observe(Domain.COMBAT, [done_us - int(ms * 1_000) for ms in latencies_ms], done_us)
    text = generate_latest(metrics.registry).decode()

    def value(name: str) -> float:
        line = next(line for line in text.splitlines() if line.startswith(f"necp_core_event_latency_seconds_{name}"))
        return float(line.rsplit(" ", 1)[1])

    assert value('bucket{domain="combat",le="0.001"}') == 3
    assert value('bucket{domain="combat",le="0.002"}') == 4
    assert value('bucket{domain="combat",le="0.03"}') == 6
    assert value('bucket{domain="combat",le="10"}') == 7
    assert value('bucket{domain="combat",le="+Inf"}') == 8
    assert value('count{domain="combat"}') == 8
    assert value('sum{domain="combat"}') == pytest.approx(sum(latencies_ms) / 1_000)


def test_a_batch_is_counted_by_outcome_and_reason() -> None:
    """Counters agree with the runs."""
    metrics = CoreMetrics()
    result = BatchResult(partition=0, first_offset=0, last_offset=9, done_us=5)
    result.runs = [(0, 0, 6, Outcome.PROCESSED, 5), (0, 7, 9, Outcome.REJECTED, 5)]
    result.rejected["speed"] += 3
    metrics.batch(Domain.COMBAT, [result], 0.01)
    text = generate_latest(metrics.registry).decode()
    assert 'necp_core_events_total{domain="combat",outcome="processed"} 7.0' in text
    assert 'necp_core_events_total{domain="combat",outcome="rejected"} 3.0' in text
    assert 'necp_core_rejected_total{domain="combat",reason="speed"} 3.0' in text


def test_health_says_200_or_503() -> None:
    """The status follows the report, which is asked each time."""
    states = iter([(False, {"status": "starting"}), (True, {"status": "ok"})])
    server = HealthServer(0, lambda: next(states))
    try:
        url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/health", timeout=5)
        assert (caught.value.code, json.load(caught.value)) == (503, {"status": "starting"})
        caught.value.close()
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            assert (answer.status, json.load(answer)) == (200, {"status": "ok"})
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{url}/other", timeout=5)
        assert missing.value.code == 404
        missing.value.close()
    finally:
        server.close()
