"""Passwords, certificates and allowances that change in the running local stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rotation_cases import RotationCases
from running import running

from necp_validate.stack.local import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running(LocalStack(parent=tmp_path_factory.mktemp("stack"), log_dir=tmp_path_factory.mktemp("logs"))) as stack:
        yield stack
    assert not stack.layout.directory.exists()


class TestLocal(RotationCases):
    """With brokers as processes."""
