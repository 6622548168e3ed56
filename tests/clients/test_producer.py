"""A producer holds what is due while its partition has a batch under way.

The broker is librdkafka's own mock, inside the client: what is tested here is the client's side, and a real broker's
answers could not be held back until the test is ready for them. The runs on real brokers are marked ``kafka``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from necp_validate.clients.flush import FlushTemplate
from necp_validate.clients.producer import EventProducer
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.ledger.latency import Recorder

EVENTS = 5


@pytest.fixture
def producer() -> Iterator[EventProducer]:
    config = {"test.mock.num.brokers": "1", "enable.idempotence": "true", "linger.ms": "1", "log_level": "0"}
    made = EventProducer("combat", Domain.COMBAT.topic, config, Recorder(["steady"], [0], ["combat"]))
    yield made
    made.close()


def template() -> FlushTemplate:
    rng = random.Random(1)
    values = []
    for number in range(EVENTS):
        name, version, data = sample_event(Domain.COMBAT, rng)
        values.append(seal(head(name, version, key="match-0001", data=data), 0, event_id("0a1b2c3d", number)))
    return FlushTemplate(values, b"match-0001", {"cheat": [1], "poison": [0, 4], "fuzz": []})


def settle(producer: EventProducer) -> None:
    deadline = time.monotonic() + 30
    while producer.queued:
        assert time.monotonic() < deadline, f"{producer.queued} events not answered"
        producer.poll()
        time.sleep(0.001)


def test_what_is_due_while_a_batch_is_under_way_goes_with_the_next(producer: EventProducer) -> None:
    stream, flush = producer.book.open_stream("0a1b2c3d", "match-0001"), template()
    producer.send(stream, flush, 1)
    settle(producer)  # from here on the stream's partition is known
    for intended_us in (2, 3, 4):
        producer.send(stream, flush, intended_us)
    assert stream.sent == 2 * EVENTS, "one batch under way, two flushes held"
    assert producer.queued == 3 * EVENTS
    settle(producer)
    assert stream.acked.to_list() == [[0, 4 * EVENTS - 1]]
    assert {kind: list(numbers) for kind, numbers in stream.planted.items()} == {
        "cheat": [1, 6, 11, 16],
        "poison": [0, 4, 5, 9, 10, 14, 15, 19],
    }
    waiting = producer.book.pending[stream.partition].take(0, 10**6)
    assert [(last - first + 1, us) for first, last, us in waiting] == [(EVENTS, us) for us in (1, 2, 3, 4)]


def test_another_partition_is_not_held_up(producer: EventProducer) -> None:
    one = producer.book.open_stream("0a1b2c3d", "match-0001")
    other = producer.book.open_stream("0a1b2c3e", "match-0001")
    flush = template()
    producer.send(one, flush, 1)
    settle(producer)
    other.partition = one.partition + 1  # as if it had been acknowledged elsewhere
    producer.send(one, flush, 2)
    producer.send(other, flush, 3)
    assert (one.sent, other.sent) == (2 * EVENTS, EVENTS)
    settle(producer)


def test_what_was_held_when_the_client_closes_was_never_sent(producer: EventProducer) -> None:
    stream, flush = producer.book.open_stream("0a1b2c3d", "match-0001"), template()
    producer.send(stream, flush, 1)
    settle(producer)
    producer.send(stream, flush, 2)
    producer.send(stream, flush, 3)
    producer.close()
    (row,) = [stream.record() for stream in producer.book.streams]
    assert row.sent == 2 * EVENTS
    assert row.acked.to_list() == [[0, EVENTS - 1]]
    assert row.unknown.to_list() == [[EVENTS, 2 * EVENTS - 1]]


def test_a_client_that_is_denied_gives_way_to_another_and_what_is_due_meanwhile_waits(
    producer: EventProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service would restart: one that was denied goes on refusing by itself, one that failed for good for ever."""
    monkeypatch.setattr("necp_validate.clients.producer._REST_S", 0.0)
    stream, flush = producer.book.open_stream("0a1b2c3d", "match-0001"), template()
    producer.send(stream, flush, 1)
    settle(producer)
    denied = producer._client
    denied.failed = True
    producer.send(stream, flush, 2)
    assert (producer.queued, stream.sent) == (EVENTS, EVENTS), "it waits"
    producer.poll()
    assert producer._client is not denied
    settle(producer)
    assert stream.acked.to_list() == [[0, 2 * EVENTS - 1]]
    assert stream.failed.to_list() == []


def test_what_a_client_holds_when_it_fails_is_counted_as_failed(producer: EventProducer) -> None:
    stream, flush = producer.book.open_stream("0a1b2c3d", "match-0001"), template()
    producer.send(stream, flush, 1)
    producer._client.failed = True
    deadline = time.monotonic() + 30
    while producer._client.failed:
        assert time.monotonic() < deadline
        producer.poll()
        time.sleep(0.001)
    settle(producer)
    assert stream.failed.count + stream.acked.count == EVENTS
