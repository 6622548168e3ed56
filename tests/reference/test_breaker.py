"""The circuit breaker on a clock moved by hand, against what it must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.reference.environment import ConfigError
from necp_validate.reference.eventcore.breaker import (
    SLOTS,
    Breaker,
    BreakerSettings,
    BreakerState,
    SlidingWindow,
)
from necp_validate.reference.eventcore.config import load_config

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


class Hands:
    """A breaker, its clock, and the states it went through."""

    def __init__(self, **settings: float) -> None:
        self.now_s = 1_000.0
        self.states: list[BreakerState] = []
        self.times_s: list[float] = []
        self.breaker = Breaker(BreakerSettings(**settings), lambda: self.now_s, self._changed)  # type: ignore[arg-type]

    def _changed(self, state: BreakerState) -> None:
        self.states.append(state)
        self.times_s.append(self.now_s)

    def after(self, seconds: float) -> int | None:
        self.now_s += seconds
        return self.breaker.allowance()

    def opened(self) -> Hands:
        self.breaker.record(100, 100)
        assert self.breaker.state is OPEN
        return self


def test_half_of_the_events_failing_opens_it() -> None:
    """At the threshold, not above it, and not before there are enough events to tell."""
    hands = Hands()
    hands.breaker.record(99, 99)
    assert (hands.breaker.state, hands.breaker.allowance()) == (CLOSED, None)
    hands.breaker.record(99, 0)
    assert hands.states == [OPEN]
    assert hands.breaker.describe()["ratio_at_opening"] == 0.5
    assert hands.breaker.allowance() == 0


def test_less_than_half_never_opens_it() -> None:
    """A poison storm of three in ten goes on for hours."""
    hands = Hands()
    for _ in range(10_000):
        hands.breaker.record(100, 30)
        assert hands.after(1.0) is None
    assert hands.states == []


def test_what_was_good_long_ago_does_not_excuse_what_is_bad_now() -> None:
    hands = Hands(monitoring_window_s=300.0)
    hands.breaker.record(100_000, 0)
    hands.after(301.0)
    hands.breaker.record(100, 60)
    assert hands.states == [OPEN]


def test_it_stays_open_for_the_recovery_timeout() -> None:
    hands = Hands(recovery_timeout_s=60.0).opened()
    assert hands.after(59.9) == 0
    hands.breaker.record(50, 0)  # a batch that was read before
    assert hands.after(0.2) == 100
    assert hands.states == [OPEN, HALF_OPEN]


def test_a_good_trial_closes_it_with_an_empty_window() -> None:
    hands = Hands().opened()
    assert hands.after(60.0) == 100
    hands.breaker.record(60, 10)
    assert hands.breaker.allowance() == 40
    hands.breaker.record(40, 0)
    assert hands.states == [OPEN, HALF_OPEN, CLOSED]
    assert hands.breaker.allowance() is None
    assert hands.breaker.describe()["window_events"] == 0


def test_a_bad_trial_opens_it_again_as_soon_as_it_is_lost() -> None:
    hands = Hands().opened()
    hands.after(60.0)
    hands.breaker.record(55, 49)
    assert hands.breaker.state is HALF_OPEN
    hands.breaker.record(1, 1)
    assert hands.states == [OPEN, HALF_OPEN, OPEN]
    assert hands.after(59.0) == 0
    assert hands.breaker.describe()["openings"] == 2


Step = tuple[float, int, float]
STEPS = st.lists(st.tuples(st.floats(0.0, 400.0), st.integers(1, 500), st.floats(0.0, 1.0)), min_size=1, max_size=60)


@given(STEPS)
def test_the_window_is_what_a_list_of_everything_says(steps: list[Step]) -> None:
    """Parts of the time that are within the window count, all others do not."""
    now_s, slot_s = 77.0, 300.0 / SLOTS
    window = SlidingWindow(300.0, now_s)
    seen: list[tuple[int, int, int]] = []
    for pause_s, events, share in steps:
        now_s += pause_s
        failures = int(events * share)
        window.add(now_s, events, failures)
        seen.append((int(now_s / slot_s), events, failures))
        within = [one for one in seen if one[0] > int(now_s / slot_s) - SLOTS]
        assert window.events == sum(events for _, events, _ in within)
        assert window.failures == sum(failures for _, _, failures in within)


@given(STEPS)
def test_it_only_ever_moves_as_a_breaker_may(steps: list[Step]) -> None:
    """Closed opens; open goes half-open, after its time; half-open closes or opens; a trial never exceeds its bound."""
    hands = Hands(recovery_timeout_s=60.0)
    trials: dict[int, int] = {}
    for pause_s, events, share in steps:
        allowance = hands.after(pause_s)
        count = events if allowance is None else min(events, allowance)
        if allowance is not None:
            trials[hands.states.count(HALF_OPEN)] = trials.get(hands.states.count(HALF_OPEN), 0) + count
        if count:
            hands.breaker.record(count, int(count * share))
    moves = list(zip([CLOSED, *hands.states], hands.states, strict=False))
    assert set(moves) <= {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}
    assert all(count <= 100 for count in trials.values())
    for move, begin_s, end_s in zip(moves[1:], hands.times_s, hands.times_s[1:], strict=False):
        assert move != (OPEN, HALF_OPEN) or end_s - begin_s >= 60.0


PLAIN = {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "AUDIT_KEYRING": __file__}


def test_the_defaults_are_the_claimed_ones() -> None:
    breaker = load_config(PLAIN).breaker
    assert (breaker.failure_threshold, breaker.recovery_timeout_s, breaker.monitoring_window_s) == (0.5, 60.0, 300.0)


def test_everything_can_be_set() -> None:
    env = {
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "0.25",
        "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "1500ms",
        "CIRCUIT_BREAKER_MONITORING_WINDOW": "1m",
        "CIRCUIT_BREAKER_MINIMUM_EVENTS": "7",
        "CIRCUIT_BREAKER_TRIAL_EVENTS": "8",
    }
    assert load_config({**PLAIN, **env}).breaker == BreakerSettings(
        failure_threshold=0.25, recovery_timeout_s=1.5, monitoring_window_s=60.0, minimum_events=7, trial_events=8
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "half"}, "CIRCUIT_BREAKER_FAILURE_THRESHOLD: 'half' is not a number"),
        ({"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "0"}, "is not a share above 0"),
        ({"CIRCUIT_BREAKER_MONITORING_WINDOW": "10ms"}, "is less than 1s"),
        ({"CIRCUIT_BREAKER_TRIAL_EVENTS": "0"}, "CIRCUIT_BREAKER_TRIAL_EVENTS: 0 is not between"),
    ],
)
def test_a_wrong_setting_names_its_variable(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config({**PLAIN, **changes})
