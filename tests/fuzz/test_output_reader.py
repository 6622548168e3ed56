"""Waiting for outputs that are not read any more is an error at once, and no silence of the event core."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from necp_validate.core import SuiteError
from necp_validate.fuzz import kafka
from necp_validate.fuzz.kafka import OutputReader
from necp_validate.fuzz.observed import Observed
from necp_validate.stack import Stack

ENDS = {"receipts": [3]}


class Consumed:
    """A consumer that gives nothing a few times, and then what no consumer should."""

    def __init__(self, _: object) -> None:
        self._left = 3

    def assign(self, _: object) -> None:
        pass

    def consume(self, *_: object) -> list[object]:
        time.sleep(0.01)
        self._left -= 1
        return [] if self._left > 0 else [None]

    def close(self) -> None:
        pass


class Target:
    """A stack without brokers."""

    def client_config(self, _: str) -> dict[str, str]:
        return {}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> OutputReader:
    monkeypatch.setattr(kafka, "end_offsets", lambda config, topics: ENDS)
    monkeypatch.setattr(kafka, "Consumer", Consumed)
    return OutputReader(cast(Stack, cast(Any, Target())), ENDS)


def never(_: Observed) -> bool:
    return False


def test_waiting_ends_at_once_when_the_reader_has_died(reader: OutputReader, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SuiteError, match="the event core's outputs cannot be read any more") as caught:
        reader.wait(never, 200.0)
    assert (caught.value.detail or "").startswith("AttributeError: 'NoneType' object has no attribute 'topic' (")
    with pytest.raises(SuiteError):
        reader.read_to_end(200.0)
    with pytest.raises(SuiteError):
        reader.check()
    with pytest.raises(SuiteError):
        reader.wait(never, 0.0)
    reader.close()
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_is_at_work_is_waited_for(reader: OutputReader) -> None:
    assert reader.wait(lambda _: True, 5.0)
    reader.close()
