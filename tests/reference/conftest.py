"""Real brokers for the tests of the event core, brought up once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.stack import LocalStack


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Three brokers with topics, users and ACLs, without an event core."""
    log_dir: Path = tmp_path_factory.mktemp("stack-logs")
    stack = LocalStack(log_dir=log_dir)
    try:
        stack.start(lambda _: None)
        yield stack
    finally:
        stack.stop()
