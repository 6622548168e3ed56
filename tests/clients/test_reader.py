"""Asking brokers for the ends of topics when there is nobody to answer; real reads are in the scenarios' tests."""

from __future__ import annotations

import pytest

from necp_validate.clients import reader, watermarks
from necp_validate.core import SuiteError
from necp_validate.stack.ports import free_ports


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(reader, "ANSWER_S", 0.2)
    monkeypatch.setattr(watermarks, "ANSWER_S", 0.2)
    return {"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"}


def test_brokers_that_do_not_answer_are_an_error_that_says_so(nobody: dict[str, str]) -> None:
    with pytest.raises(SuiteError, match=r"Kafka did not say where its topics end: .*\n?hint: is every broker up"):
        reader.end_offsets(nobody, ["orders"])
    with pytest.raises(SuiteError, match="Kafka did not say"):
        reader.has_topic(nobody, "orders")
