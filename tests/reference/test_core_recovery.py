"""Committed offsets after the coordinator was lost: the errors are the client library's, the group is a stand-in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException

from necp_validate.reference.eventcore import recovery
from necp_validate.reference.eventcore.recovery import RecoveryError, committed_offsets


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
