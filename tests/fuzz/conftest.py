"""What Hypothesis draws in these tests is the same whatever else has been imported; and real brokers."""

from __future__ import annotations

import pytest
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from necp_validate.stack import LocalStack


@pytest.fixture(autouse=True)
def no_constants_of_imported_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis also draws constants that stand in imported modules.

    With those, what a test finds, and how small it gets, would depend on the tests before; there is no setting for it.
    """
    monkeypatch.setattr(providers, "_get_local_constants", Constants)
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", LRUCache(1024))


@pytest.fixture
def brokers(local_stack: LocalStack) -> LocalStack:
    """Three brokers with topics, users and ACLs, without an event core."""
    return local_stack
