"""A transaction whose producer is not to be trusted any more is given up, and the producer replaced.

Most producers are stand-ins: a real one hangs only by a race in the client library, which no test can bring about.
"""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from necp_validate.clients.rdkafka import library
from necp_validate.reference.eventcore import transactions
from necp_validate.reference.eventcore.handling import Output
from necp_validate.reference.eventcore.transactions import Transactions

OFFSETS = [TopicPartition("game.economy.events", 0, 10)]


class Standin:
    """Takes every call; sending offsets does what it is told to."""

    def __init__(self, send_offsets: Any = lambda: None, *, purges: int = 0, silent: int = 0) -> None:
        self._send_offsets = send_offsets
        self._purges = purges
        self._silent = silent
        self._reports: list[Any] = []
        self.calls: list[str] = []

    def produce(self, *_: Any, on_delivery: Any, **__: Any) -> None:
        self._reports.append(on_delivery)

    def flush(self, _timeout: float) -> int:
        """Report on every record: the first few were purged, and of the last few nothing is heard."""
        reports, self._reports = self._reports, []
        for number, report in enumerate(reports[: len(reports) - self._silent]):
            purged = KafkaError(KafkaError._PURGE_QUEUE) if number < self._purges else None
            report(purged, SimpleNamespace(topic=lambda: "game.economy.ledger"))
        return self._silent

    def init_transactions(self, _timeout: float) -> None:
        self.calls.append("init")

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def send_offsets_to_transaction(self, *_: Any) -> None:
        self.calls.append("offsets")
        self._send_offsets()

    def commit_transaction(self, _timeout: float) -> None:
        self.calls.append("commit")

    def abort_transaction(self, _timeout: float) -> None:
        self.calls.append("abort")


def test_a_call_that_never_comes_back_costs_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "HUNG_AFTER_S", 0.05)
    let_go = threading.Event()
    hung, sound = Standin(let_go.wait), Standin()
    made = iter([hung, sound])
    loop = Transactions(lambda: next(made), threading.Event())  # type: ignore[arg-type, return-value]
    assert not loop.commit([], OFFSETS, lambda: None)
    assert hung.calls == ["init", "begin", "offsets"], "nothing more is asked of it"
    assert loop.commit([], OFFSETS, lambda: None)
    assert sound.calls == ["init", "begin", "offsets", "commit"]
    let_go.set()


def test_an_error_of_the_call_is_the_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "RETRY_FOR_S", 0.0)

    def fail() -> None:
        raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    failing, sound = Standin(fail), Standin()
    made = iter([failing, sound])
    loop = Transactions(lambda: next(made), threading.Event())  # type: ignore[arg-type, return-value]
    assert not loop.commit([], OFFSETS, lambda: None)
    assert failing.calls == ["init", "begin", "offsets"]
    assert loop.open()
    assert sound.calls == ["init"], "its successor settles what it left open"


OUTPUTS = [
    Output(topic="game.economy.ledger", partition=0, key=b"0", value=b"books"),
    Output(topic="game.core.receipts", partition=1, key=None, value=b"receipt"),
]


@pytest.mark.parametrize("producer", [Standin(purges=1), Standin(silent=1)], ids=["purged", "not acknowledged"])
def test_a_transaction_without_one_of_its_records_is_not_committed(producer: Standin) -> None:
    loop = Transactions(lambda: producer, threading.Event())  # type: ignore[arg-type, return-value]
    assert not loop.commit(OUTPUTS, OFFSETS, lambda: None)
    assert producer.calls == ["init", "begin", "offsets"]


@pytest.mark.parametrize("failing", [Standin(purges=1), Standin(silent=1)], ids=["purged", "not acknowledged"])
def test_no_producer_is_used_again_after_a_transaction_that_was_not_committed(failing: Standin) -> None:
    """Its sequence numbers may be the partition's already: then the broker drops records and acknowledges them."""
    sound = Standin()
    made = iter([failing, sound])
    loop = Transactions(lambda: next(made), threading.Event())  # type: ignore[arg-type, return-value]
    assert not loop.commit(OUTPUTS, OFFSETS, lambda: None)
    assert loop.commit(OUTPUTS, OFFSETS, lambda: None)
    assert failing.calls == ["init", "begin", "offsets"]
    assert sound.calls == ["init", "begin", "offsets", "commit"]


def test_a_whole_transaction_is_committed() -> None:
    producer = Standin()
    loop = Transactions(lambda: producer, threading.Event())  # type: ignore[arg-type, return-value]
    assert loop.commit(OUTPUTS, OFFSETS, lambda: None)
    assert producer.calls == ["init", "begin", "offsets", "commit"]


def _fail_for_good(producer: Producer) -> None:
    """Raise a fatal error in a real client, as a broker does whose sequence numbers are not the client's."""
    raise_fatal = library().rd_kafka_test_fatal_error
    raise_fatal.argtypes, raise_fatal.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p], ctypes.c_int
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)  # its first field
    assert raise_fatal(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"sequence desynchronization") == 0


class FailsOnce(Producer):
    """A real producer that fails for good while its first records are under way."""

    failing = True

    def flush(self, timeout: float = -1) -> int:
        if FailsOnce.failing:
            FailsOnce.failing = False
            _fail_for_good(self)
        return int(super().flush(timeout))


def test_a_fatal_error_of_the_client_costs_one_transaction() -> None:
    """The client is real; the broker is the client library's own mock, which needs nobody to be desynchronised."""
    made: list[Producer] = []
    config = {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "transactional.id": "core", "acks": "all"}

    def make() -> Producer:
        made.append(FailsOnce(config))
        return made[-1]

    loop = Transactions(make, threading.Event())
    assert not loop.commit(OUTPUTS, [], lambda: None)
    assert loop.commit(OUTPUTS, [], lambda: None)
    assert len(made) == 2
