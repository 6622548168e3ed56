"""Receipts joined with what this process sent, also where others write to the same partitions."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.observer import ReceiptObserver
from necp_validate.clients.rdkafka import Deliveries
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.pending import PendingOffsets
from necp_validate.ledger.producer_account import AckBook


@pytest.fixture
def observer(monkeypatch: pytest.MonkeyPatch) -> ReceiptObserver:
    monkeypatch.setattr(ReceiptObserver, "_consumer", lambda *_: SimpleNamespace(consume=lambda *_: []))
    pending = PendingOffsets()
    pending.put(10, 5, 1_000_000)
    book = cast(AckBook, SimpleNamespace(pending={0: pending}))
    return ReceiptObserver({}, Recorder(["steady"], [0], ["combat"]), {"combat": book})


def receipt(observer: ReceiptObserver, first: int, last: int, *, age_s: float = 0.0, partition: int = 0) -> None:
    seen_us = time.time_ns() // 1000 - int(age_s * 1e6)
    observer._match(seen_us, "combat", partition, first, last, 0, 2_000_000)


def pending_of(observer: ReceiptObserver) -> Any:
    return observer._books["combat"].pending[0]


def test_own_events_end_although_the_run_goes_on_with_somebody_elses(observer: ReceiptObserver) -> None:
    """Else the load would wait for half a minute for events of players, which it never gets acknowledged."""
    receipt(observer, 8, 30)
    assert observer.matched == 5
    assert [early[3:5] for early in observer._early] == [(15, 30)]


def test_what_is_acknowledged_after_its_receipt_ends_too(observer: ReceiptObserver) -> None:
    receipt(observer, 10, 19)
    pending_of(observer).put(17, 3, 1_000_000)
    observer.poll()
    assert observer.matched == 8
    assert not observer._early, "nothing of it can come any more"
    receipt(observer, 10, 19)
    assert observer.matched == 8


def test_a_partition_that_only_others_write_to_is_forgotten_in_time(observer: ReceiptObserver) -> None:
    receipt(observer, 0, 9, partition=3)
    receipt(observer, 0, 9, partition=3, age_s=31)
    assert len(observer._early) == 1
    receipt(observer, 12, 40, age_s=31)
    assert (observer.matched, len(observer._early)) == (3, 1)


def test_an_ack_without_an_offset_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which receipt is its own can't be told: the load would wait for it to the very end."""
    monkeypatch.setattr(ReceiptObserver, "_consumer", lambda *_: SimpleNamespace(consume=lambda *_: []))
    recorder = Recorder(["steady"], [0], ["combat"])
    book = AckBook("combat", "game.combat.events", recorder)
    observer = ReceiptObserver({}, recorder, {"combat": book})
    tag, _ = book.begin(book.open_stream("00000000", "match-0000"), 2, 500_000)
    book.taken(tag, np.zeros(2, dtype=np.int32), 2)
    place = np.array([0, 1], dtype=np.int64)
    offsets = np.array([40, -1001], dtype=np.int64)
    book.settle(Deliveries(np.zeros(2, dtype=np.int32), place * 0 + 3, offsets, tag * MAX_FLUSH + place), 600_000)
    assert observer.waiting == 1
    observer._match(time.time_ns() // 1000, "combat", 3, 40, 40, 0, 700_000)
    assert observer.waiting == 0
