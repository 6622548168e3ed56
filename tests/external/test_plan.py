"""The schedule of a topic: how many events, when, in which phase; and the identity that travels with each."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.external.identity import HEADER, Identity, crc, read_identity, stream_of
from necp_validate.external.plan import Course, PlannedPhase

PHASES = st.lists(
    st.builds(
        PlannedPhase,
        name=st.just("p"),
        kind=st.just("steady"),
        duration_s=st.integers(1, 20),
        load=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        ramp_s=st.integers(0, 30),
    ),
    min_size=1,
    max_size=4,
)


def _phase(duration_s: float, load: float, ramp_s: float = 0.0) -> PlannedPhase:
    return PlannedPhase(name="p", kind="steady", duration_s=duration_s, load=load, ramp_s=ramp_s)


def test_a_constant_rate_spreads_its_events_evenly() -> None:
    course = Course(10.0, [_phase(2, 1)])
    assert course.total == 20
    assert [course.due_s(number) for number in (0, 1, 19)] == pytest.approx([0.05, 0.15, 1.95])
    assert course.due_s(20) == math.inf


def test_a_ramp_goes_from_the_load_before_in_a_straight_line() -> None:
    course = Course(10.0, [_phase(2, 1), _phase(4, 3, ramp_s=2)])
    assert course.total == 20 + 40 + 60
    assert course.due_s(20 + 40) == pytest.approx(4.0, abs=0.05)


@given(rate_eps=st.integers(1, 200), phases=PHASES)
def test_events_are_due_in_order_within_the_run_and_none_is_left_out(rate_eps: int, phases: list[PlannedPhase]) -> None:
    course = Course(rate_eps, phases)
    due = [course.due_s(number) for number in range(course.total)]
    assert due == sorted(due)
    assert all(0 <= at <= course.end_s for at in due)
    load, events = 0.0, 0.0
    for phase in phases:
        ramp_s = min(phase.ramp_s, phase.duration_s)
        events += rate_eps * (ramp_s * (load + phase.load) / 2 + (phase.duration_s - ramp_s) * phase.load)
        load = phase.load
    assert course.total == math.floor(events + 1e-6)


@given(phases=PHASES)
def test_no_event_is_due_in_a_phase_without_load(phases: list[PlannedPhase]) -> None:
    course = Course(50, phases)
    silent = {
        place
        for place, phase in enumerate(phases)
        if phase.load == 0 and (place == 0 or phases[place - 1].load == 0 or phase.ramp_s == 0)
    }
    due = [course.due_s(number) for number in range(course.total)]
    # An event may be due just where such a phase begins or ends.
    assert all({course.phase_at(at - 1e-6), course.phase_at(at + 1e-6)} - silent for at in due)


def test_what_is_after_the_end_belongs_to_the_last_phase() -> None:
    course = Course(1.0, [_phase(2, 1), _phase(3, 1)])
    assert [course.phase_at(at) for at in (0, 1.9, 2, 4.9, 99)] == [0, 0, 1, 1, 1]


def test_an_identity_is_read_as_it_was_written() -> None:
    identity = Identity(stream=stream_of("run", "orders"), seq=42, value_crc=crc(b"value"), key_crc=crc(None))
    assert read_identity([("trace", b"x"), (HEADER, identity.encode())]) == identity


@pytest.mark.parametrize(
    "headers",
    [None, [], [("other", b"x")], [(HEADER, None)], [(HEADER, b"not ours")], [(HEADER, b"")], "nonsense"],
)
def test_what_is_no_identity_is_none(headers: object) -> None:
    assert read_identity(headers) is None


def test_streams_differ_by_run_and_by_topic() -> None:
    assert len({stream_of("run-1", "a"), stream_of("run-1", "b"), stream_of("run-2", "a")}) == 3
