"""What the tests of the event core need on real brokers: traffic with known outcomes, and readers of outputs."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.receipts import Receipt, decode_receipt
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import RECEIPTS_TOPIC, TOPICS, Domain
from necp_validate.stack import Stack

Place = tuple[str, int, int]
"""``(topic, partition, offset)``"""

OUTCOME = {"valid": 0, "cheat": 1, "poison": 2, "duplicate": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One acknowledged event."""

    kind: str
    key: str
    id: str
    value: bytes


class Traffic:
    """Sends events whose outcomes are known, and remembers where each of them ended up."""

    def __init__(self, stack: Stack, *, seed: int) -> None:
        self._stack = stack
        self._rng = random.Random(seed)
        self._producers: dict[Domain, Producer] = {}
        self._seq: Counter[str] = Counter()
        self._name = f"{seed:03d}{int(time.time()) % 100_000:05d}"
        self.sent: dict[Place, Sent] = {}

    def send(self, domain: Domain, count: int, *, streams: int = 8, cheats: float = 0.1, poison: float = 0.1) -> None:
        """Send ``count`` events, spread over streams, and wait until all are acknowledged."""
        for number in range(count):
            draw = self._rng.random()
            kind: SampleKind = "poison" if draw < poison else "cheat" if draw < poison + cheats else "valid"
            self.send_one(domain, sample_event(domain, self._rng, kind=kind), kind, stream=number % streams)
        self.flush()

    def send_one(
        self, domain: Domain, sample: tuple[str, int, bytes], kind: str, *, stream: int = 0, repeat: bool = False
    ) -> None:
        """Send one event; ``repeat`` gives it the id of the one before."""
        key = f"{domain.value}-{self._name}-{stream}"
        name = f"{domain.number:x}{stream:02x}{self._name[-5:]}"
        seq = self._seq[name] - 1 if repeat else self._seq[name]
        self._seq[name] = seq + 1
        type_name, version, data = sample
        identity = event_id(name, seq)
        value = seal(head(type_name, version, key=key, data=data), time.time_ns() // 1_000, identity)
        sent = Sent(kind=kind, key=key, id=identity, value=value)

        def delivered(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            self.sent[message.topic() or "", message.partition() or 0, message.offset() or 0] = sent

        producer = self._producer(domain)
        producer.produce(domain.topic, value, key, on_delivery=delivered)
        producer.poll(0)

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        for producer in self._producers.values():
            assert producer.flush(30) == 0

    def _producer(self, domain: Domain) -> Producer:
        if domain not in self._producers:
            config: dict[str, Any] = dict(self._stack.client_config(domain.service))
            self._producers[domain] = Producer({**config, "enable.idempotence": True, "linger.ms": 5})
        return self._producers[domain]


class Tail:
    """Reads topics from where they ended when it was made; committed records only."""

    def __init__(self, stack: Stack, topics: Iterable[str]) -> None:
        config: dict[str, Any] = dict(stack.client_config("necp-verifier"))
        self._consumer = Consumer(
            {
                **config,
                "group.id": "necp-verifier-tests",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "enable.partition.eof": True,
            }
        )
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(TOPICS[topic].partitions)]
        for place in places:
            place.offset = self._end(place)
        self._consumer.assign(places)
        self._places = places
        self._read_to: dict[tuple[str, int], int] = {}
        self.messages: list[Message] = []

    def read_until(self, done: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        """Read until a condition on what was read holds."""
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, f"not in {timeout_s} s; read {len(self.messages)} records"
            for message in self._consumer.consume(1_000, 0.05):
                if message.error() is None:
                    self.messages.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    self._read_to[message.topic() or "", message.partition() or 0] = message.offset() or 0

    def read_for(self, seconds: float) -> None:
        """Read whatever comes within a time."""
        deadline = time.monotonic() + seconds
        self.read_until(lambda: time.monotonic() > deadline)

    def read_to_end(self) -> None:
        """Read everything that is there by now; where nobody writes any more, nothing comes after it."""
        ends = {(place.topic, place.partition): self._end(place) for place in self._places}
        self.read_until(lambda: all(self._read_to.get(place, 0) >= end for place, end in ends.items()))

    def _end(self, place: TopicPartition) -> int:
        return int(self._consumer.get_watermark_offsets(place, timeout=20)[1])

    def of(self, topic: str) -> list[Message]:
        """What was read from a topic."""
        return [message for message in self.messages if message.topic() == topic]

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


class Accounts:
    """The receipts since it was made, by place of the event."""

    def __init__(self, stack: Stack) -> None:
        self._tail = Tail(stack, [RECEIPTS_TOPIC])
        self._read = 0
        self.receipts: list[Receipt] = []
        self.outcomes: dict[Place, list[int]] = {}

    def wait_for(self, places: Iterable[Place], *, timeout_s: float = 60.0) -> None:
        """Wait until every place is accounted for."""
        missing = set(places)

        def all_there() -> bool:
            self._take()
            missing.difference_update(self.outcomes)
            return not missing

        self._tail.read_until(all_there, timeout_s=timeout_s)

    def settle(self, seconds: float) -> None:
        """Read on for a while."""
        self._tail.read_for(seconds)
        self._take()

    def read_to_end(self) -> None:
        """Read what is there by now, to see what came twice."""
        self._tail.read_to_end()
        self._take()

    def close(self) -> None:
        """Let go of the connection."""
        self._tail.close()

    def _take(self) -> None:
        for message in self._tail.messages[self._read :]:
            receipt = decode_receipt(message.value() or b"")
            self.receipts.append(receipt)
            for partition, first, last, outcome, _ in receipt.runs:
                for offset in range(first, last + 1):
                    self.outcomes.setdefault((receipt.topic, partition, offset), []).append(int(outcome))
        self._read = len(self._tail.messages)
