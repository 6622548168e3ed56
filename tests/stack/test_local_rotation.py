"""Passwords, certificates and allowances that change in the running local stack."""

from __future__ import annotations

import pytest
from rotation_cases import RotationCases

from necp_validate.stack.local import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack


class TestLocal(RotationCases):
    """With brokers as processes."""
