"""Committed offsets after the coordinator was lost: the errors are the client library's, the group is a stand-in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from necp_validate.reference.clients import Clients
from necp_validate.reference.eventcore import recovery
from necp_validate.reference.eventcore.recovery import LedgerReader, RecoveryError, committed_offsets


class Group:
    """Answers with the errors it is told, then with offsets."""

    def __init__(self, *errors: int) -> None:
        self._errors: Iterator[int] = iter(errors)
        self.asked = 0

    def ask(self, _timeout_s: float) -> Mapping[int, int]:
        self.asked += 1
        for code in self._errors:
            raise KafkaException(KafkaError(code))
        return {0: 7}


def test_a_coordinator_that_moves_is_waited_for() -> None:
    group = Group(KafkaError.NOT_COORDINATOR, KafkaError._TIMED_OUT)
    assert committed_offsets(group.ask, threading.Event()) == {0: 7}
    assert group.asked == 3


def test_what_may_not_be_known_is_asked_for_once() -> None:
    group = Group(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(RecoveryError, match="not to be had"):
        committed_offsets(group.ask, threading.Event())
    assert group.asked == 1


def test_who_is_told_to_stop_asks_no_more() -> None:
    stop = threading.Event()
    stop.set()
    group = Group(KafkaError.NOT_COORDINATOR)
    with pytest.raises(RecoveryError):
        committed_offsets(group.ask, stop)
    assert group.asked == 1


def test_a_coordinator_that_never_comes_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "OFFSETS_TIMEOUT_S", 0.0)
    group = Group(KafkaError.NOT_COORDINATOR)
    with pytest.raises(RecoveryError, match="coordinator"):
        committed_offsets(group.ask, threading.Event())


class EmptyLedger:
    """Stands for a reader's consumer: every partition ends at once. Also for the maker of clients."""

    def __init__(self) -> None:
        self.assigned: list[set[int]] = []

    def consumer(self, _config: Mapping[str, object]) -> EmptyLedger:
        return self

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned.append({place.partition for place in places})

    def consume(self, _count: int, _timeout_s: float) -> list[EndOfPartition]:
        return [EndOfPartition(number) for number in self.assigned[-1]]

    def unassign(self) -> None:
        """Nothing is held."""


class EndOfPartition:
    def __init__(self, number: int) -> None:
        self.number = number

    def partition(self) -> int:
        return self.number

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._PARTITION_EOF)


def test_a_partition_may_fall_behind_while_another_is_read_again() -> None:
    """Whoever had it until now, and hung, comes back and commits."""
    ledger, offsets = EmptyLedger(), iter([{1: 5}, {0: 5, 1: 5}, {}])
    reader = LedgerReader(cast(Clients, ledger), {})
    books = reader.rebuild([0, 1], committed=lambda: next(offsets))
    assert ledger.assigned == [{0, 1}, {1}, {0, 1}]
    assert set(books) == {0, 1}
