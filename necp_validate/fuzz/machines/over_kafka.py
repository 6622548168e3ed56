"""The real event core on real Kafka: events through a producer, outcomes from receipts, and a core that is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from necp_validate.clients.watermarks import watermarks
from necp_validate.core import SuiteError
from necp_validate.events.receipts import Outcome, decode_receipt
from necp_validate.events.topics import (
    AUDIT_TOPIC,
    CHAT_TOPIC,
    LEDGER_TOPIC,
    MARKET_TOPIC,
    RECEIPTS_TOPIC,
    TOPICS,
    VERIFIER_PRINCIPAL,
    Domain,
)
from necp_validate.fuzz.machines.driver import Crash, Sent, Written
from necp_validate.stack import ServiceHandle, Stack

READY_TIMEOUT_S: Final = 60.0
OUTCOME_TIMEOUT_S: Final = 60.0
SETTLE_TIMEOUT_S: Final = 20.0
_KILL_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.02
_OUTPUTS: Final[Mapping[Domain, tuple[str, ...]]] = {
    Domain.COMBAT: (),
    Domain.ECONOMY: (LEDGER_TOPIC, MARKET_TOPIC),
    Domain.SOCIAL: (CHAT_TOPIC,),
    Domain.SYSTEM: (AUDIT_TOPIC,),
}
Place = tuple[int, int]
"""``(partition, offset)`` in the domain's topic."""


class KafkaCore:
    """An event core that dies and comes again, under the same name.

    Args:
        stack: brokers that run; the event core is nobody else's.
        env: further environment of the event core.
    """

    def __init__(self, stack: Stack, env: Mapping[str, str] | None = None) -> None:
        self.stack: Final = stack
        self.killed: Final[list[tuple[Crash, bool]]] = []
        """Each crash that was asked for, and whether it left a transaction open, which Kafka then aborted."""
        self._env = dict(env or {})
        self._handle: ServiceHandle | None = None
        self._numbers = count(int(time.time()) % 0x800000)

    def next_number(self) -> int:
        """Give a number that no driver of these brokers has had."""
        return next(self._numbers)

    def start(self) -> None:
        """Start it, and wait until it takes part.

        Raises:
            StackError: it does not become healthy.
        """
        self._handle = self.stack.start_core("core-machines", self._env)
        self._handle.wait_ready(READY_TIMEOUT_S)

    def kill(self) -> None:
        """End it without warning."""
        if self._handle is not None:
            self._handle.kill()
            self._handle = None

    def assert_alive(self) -> None:
        """Tell that it has ended, with its last words, if nobody has killed it.

        Raises:
            AssertionError: it has.
        """
        if self._handle is not None and not self._handle.alive():
            raise AssertionError(f"the event core has ended:\n{self._handle.log_tail()}")


@contextmanager
def kafka_core(stack: Stack, env: Mapping[str, str] | None = None) -> Iterator[KafkaCore]:
    """Have an event core on a stack for a while."""
    core = KafkaCore(stack, env)
    try:
        core.start()
        yield core
    finally:
        core.kill()


class OverKafka:
    """One domain of a real event core, from now on.

    Args:
        core: the event core; one driver at a time.
        domain: the domain.
        most_crashes: so many crashes at most; each costs about ten seconds.
    """

    def __init__(self, core: KafkaCore, domain: Domain, *, most_crashes: int = 1) -> None:
        self.domain: Final = domain
        self.number: Final = core.next_number()
        self._core = core
        self._crashes_left = most_crashes
        self._reader = _Reader(core.stack, (RECEIPTS_TOPIC, *_OUTPUTS[domain]))
        self._producer: Producer | None = Producer(
            {**core.stack.client_config(domain.service), "enable.idempotence": True}
        )
        self._answers: dict[Place, tuple[Outcome, ...]] = {}

    @property
    def crashes(self) -> Sequence[Crash]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`.

        Where events are handled at least once, nobody can foresee which of them are handled again by a successor; so
        an event core of these domains is killed only when all is committed.
        """
        if not self._crashes_left:
            return ()
        if self.domain is Domain.ECONOMY:
            return (Crash.AFTER_COMMIT, Crash.BEFORE_COMMIT, Crash.BEFORE_OUTPUT)
        return (Crash.AFTER_COMMIT,)

    def deliver(self, batch: Sequence[Sent], crash: Crash | None = None) -> list[tuple[Outcome, ...]]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`.

        Raises:
            AssertionError: an event has no outcome in time, or the event core ended by itself.
            SuiteError: the brokers did not take the events.
        """
        if crash is None:
            places = self._produce(batch)
        else:
            self._crashes_left -= 1
            places = self._produce_and_kill(batch, crash)
        self._wait_for(places)
        outcomes = self._outcomes()
        self._answers.update({place: outcomes[place] for place in places})
        return [self._answers[place] for place in places]

    def written(self, topic: str) -> list[Written]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        return [_written(message) for message in self._reader.of(topic)]

    def total(self, name: str) -> int:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        totals = [receipt.results.get(name, 0) for receipt in self._receipts()]
        return sum(sum(total.values()) if isinstance(total, dict) else total for total in totals)

    def holding(self, shard: str, account: str, asset: str) -> int | None:  # noqa: ARG002
        """See :class:`necp_validate.fuzz.machines.driver.Driver`; the event core does not tell."""
        return None

    def members(self, region: str, guild: str) -> set[str] | None:  # noqa: ARG002
        """See :class:`necp_validate.fuzz.machines.driver.Driver`; the event core does not tell."""
        return None

    def settle(self, check: Callable[[], None]) -> None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            self._reader.read(_POLL_S)
            try:
                check()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            else:
                break
        outcomes = self._outcomes()
        again = {place: outcomes[place] for place, told in self._answers.items() if outcomes[place] != told}
        assert not again, f"handled again, although all was reported: {again}"

    def audit_keys(self) -> Path:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        return self._core.stack.audit_keyring()

    def close(self) -> None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        self._reader.close()
        self._producer = None  # a producer ends when nobody has it any more

    def _produce(self, batch: Sequence[Sent]) -> list[Place]:
        producer, places = self._producer, dict[int, Place]()
        assert producer is not None, "the driver is closed"

        def noting(index: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                if error is None:
                    places[index] = (message.partition() or 0, message.offset() or 0)

            return delivered

        for index, sent in enumerate(batch):
            producer.produce(self.domain.topic, sent.value, sent.key, on_delivery=noting(index))
        producer.flush(OUTCOME_TIMEOUT_S)
        if len(places) < len(batch):
            raise SuiteError(f"the brokers took {len(places)} of {len(batch)} events", hint="do all brokers run?")
        ordered = [places[index] for index in range(len(batch))]
        _assert_in_order(batch, ordered)
        return ordered

    def _produce_and_kill(self, batch: Sequence[Sent], crash: Crash) -> list[Place]:
        watch = None
        if crash is Crash.BEFORE_COMMIT and batch:
            watch = _Reader(self._core.stack, (LEDGER_TOPIC,), isolation="read_uncommitted")
        places = self._produce(batch)
        try:
            if watch is not None:
                deadline = time.monotonic() + _KILL_TIMEOUT_S
                while not watch.of(LEDGER_TOPIC) and time.monotonic() < deadline:
                    watch.read(0.002)
            elif crash is Crash.AFTER_COMMIT:
                self._wait_for(places)
                self._wait_until_committed()
            self._core.kill()
            self._core.start()
            self._wait_for(places)
            self._core.killed.append((crash, watch is not None and self._was_aborted(watch.of(LEDGER_TOPIC))))
        finally:
            if watch is not None:
                watch.close()
        return places

    def _was_aborted(self, seen: Iterable[Message]) -> bool:
        """Tell whether a record that was seen before its commit never was committed."""
        committed = {(record.partition, record.offset) for record in self.written(LEDGER_TOPIC)}
        return any((message.partition(), message.offset()) not in committed for message in seen)

    def _wait_for(self, places: Sequence[Place]) -> None:
        deadline = time.monotonic() + OUTCOME_TIMEOUT_S
        while missing := set(places) - self._outcomes().keys():
            self._core.assert_alive()
            assert time.monotonic() < deadline, f"no outcome in {OUTCOME_TIMEOUT_S:.0f} s: {sorted(missing)[:5]}"
            self._reader.read(_POLL_S)

    def _wait_until_committed(self) -> None:
        """Wait until the event core's group has committed all that this driver has sent."""
        ends: dict[int, int] = {}
        for partition, offset in self._outcomes():
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        wanted = [TopicPartition(self.domain.topic, partition) for partition in ends]
        config = {**self._core.stack.client_config(VERIFIER_PRINCIPAL), "group.id": self.domain.group}
        consumer = Consumer(config)
        try:
            deadline = time.monotonic() + OUTCOME_TIMEOUT_S
            while any(place.offset < ends[place.partition] for place in consumer.committed(wanted, 10.0)):
                assert time.monotonic() < deadline, f"offsets were not committed in {OUTCOME_TIMEOUT_S:.0f} s"
                time.sleep(_POLL_S)
        finally:
            consumer.close()

    def _receipts(self) -> list[Any]:
        receipts = [decode_receipt(message.value() or b"") for message in self._reader.of(RECEIPTS_TOPIC)]
        return [receipt for receipt in receipts if receipt.domain == self.domain]

    def _outcomes(self) -> dict[Place, tuple[Outcome, ...]]:
        outcomes: dict[Place, tuple[Outcome, ...]] = {}
        for receipt in self._receipts():
            for partition, first, last, outcome, _ in receipt.runs:
                for offset in range(first, last + 1):
                    outcomes[partition, offset] = (*outcomes.get((partition, offset), ()), outcome)
        return outcomes


class _Reader:
    """Reads topics from where they end now; the audit trail, whose records form chains, from its beginning."""

    def __init__(self, stack: Stack, topics: Iterable[str], *, isolation: str = "read_committed") -> None:
        self._consumer = Consumer(
            {
                **stack.client_config(VERIFIER_PRINCIPAL),
                "group.id": "necp-verifier-machines",
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "fetch.wait.max.ms": 10,
            }
        )
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(TOPICS[topic].partitions)]
        for place in places:
            low, high = watermarks(self._consumer, place)
            place.offset = low if place.topic == AUDIT_TOPIC else high
        self._consumer.assign(places)
        self._messages: dict[str, list[Message]] = {}

    def read(self, timeout_s: float) -> None:
        """Take what has come; wait for it so long at most."""
        for message in self._consumer.consume(1_000, timeout_s):
            if message.error() is None:
                self._messages.setdefault(message.topic() or "", []).append(message)

    def of(self, topic: str) -> list[Message]:
        """What has come of a topic."""
        return self._messages.get(topic, [])

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def _assert_in_order(batch: Sequence[Sent], places: Sequence[Place]) -> None:
    """The events of one key (a match, a shard, a region, a server) lie in one partition in the order of sending."""
    last: dict[str, Place] = {}
    for sent, (partition, offset) in zip(batch, places, strict=True):
        before = last.get(sent.key, (partition, -1))
        assert (partition, offset) > before, f"{sent!r} lies at {partition}/{offset}, the one before it at {before}"
        assert partition == before[0], f"{sent!r} lies in partition {partition}, the one before it in {before[0]}"
        last[sent.key] = (partition, offset)


def _written(message: Message) -> Written:
    return Written(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
    )


def _bytes(raw: str | bytes | None) -> bytes:
    return raw.encode() if isinstance(raw, str) else raw or b""
