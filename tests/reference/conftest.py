"""Real brokers for the tests of services, and servers that end at once."""

from __future__ import annotations

from socketserver import BaseServer

import pytest

from necp_validate.stack import LocalStack


@pytest.fixture(autouse=True)
def servers_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP servers of this process look for their end every 10 ms, not twice a second: each gateway has two."""
    monkeypatch.setattr(BaseServer.serve_forever, "__defaults__", (0.01,))


@pytest.fixture
def brokers(local_stack: LocalStack) -> LocalStack:
    """Three brokers with topics, users and ACLs, without an event core."""
    return local_stack
