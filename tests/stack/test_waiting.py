"""Waiting for a condition ends with it, or with an error that says what was wrong last."""

from __future__ import annotations

import pytest

from necp_validate.core import StackError
from necp_validate.stack.waiting import wait_until


def test_it_comes_back_when_the_condition_holds() -> None:
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), timeout_s=5, backoff_s=0.01, message="no") < 5


def test_the_last_exception_is_chained() -> None:
    def refuse() -> bool:
        raise LookupError("topic is missing")

    with pytest.raises(StackError, match=r"broker 2 did not start in 0\.05 s\nlast error: topic") as caught:
        wait_until(refuse, timeout_s=0.05, backoff_s=0.01, retry_on=(LookupError,), message="broker 2 did not start")
    assert isinstance(caught.value.__cause__, LookupError)


def test_an_unexpected_exception_comes_through_at_once() -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait_until(broken, timeout_s=60, retry_on=(LookupError,), message="no")
