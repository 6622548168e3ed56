"""When a backlog is gone, also while the load goes on after the busiest phase."""

from __future__ import annotations

import pytest
from neutral import neutral

from necp_validate.ledger.drain import caught_up_us, drain_of
from necp_validate.record.model import LagSample, TimelineRow

END_US = 100_000_000


def _lag(*samples: tuple[float, str, int]) -> list[LagSample]:
    return [LagSample(t=t, domain=topic, lag=lag) for t, topic, lag in samples]


def _acked(topic: str, *seconds: float, each: int = 10) -> list[TimelineRow]:
    return [neutral(TimelineRow, t=t, domain=topic, acked=each) for t in seconds]


def test_without_further_load_it_is_gone_when_nothing_waits() -> None:
    lag = _lag((99, "a", 50), (102, "a", 20), (104, "a", 0), (106, "a", 0))
    assert caught_up_us(lag, [], END_US) == 104_000_000


def test_what_came_after_the_phase_is_no_backlog_of_it() -> None:
    lag = _lag((102, "a", 50), (104, "a", 35), (106, "a", 30))
    assert caught_up_us(lag, _acked("a", 99, 101, 102, 103, 104), END_US) == 104_000_000


def test_every_topic_must_have_been_caught_up_with_at_the_same_moment() -> None:
    lag = _lag((102, "a", 0), (102, "b", 5), (104, "a", 0), (104, "b", 0))
    assert caught_up_us(lag, _acked("a", 101, 102), END_US) == 104_000_000


@pytest.mark.parametrize("lag", [[], _lag((99, "a", 0)), _lag((102, "a", 1)), [neutral(LagSample, t=102, domain="a")]])
def test_a_backlog_that_was_never_seen_to_be_gone_is_there(lag: list[LagSample]) -> None:
    assert caught_up_us(lag, [], END_US) is None


def test_a_run_keeps_what_waited_at_the_end_and_how_long_it_took() -> None:
    lag = _lag((97, "a", 99), (99, "a", 30), (99, "b", 5), (102, "a", 0))
    drain = drain_of(lag, END_US, 102_500_000)
    assert (drain.lag_at_end, drain.drain_s) == (35, 2.5)
    assert drain_of(lag, END_US, None).drain_s is None
