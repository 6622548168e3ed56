from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from necp_validate.record import IntervalSet

# A busy machine is no failure of what is tested.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
runs = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 15)).map(lambda run: (run[0], run[0] + run[1])))


def numbers_of(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}


def as_intervals(numbers: set[int]) -> list[tuple[int, int]]:
    """The plain reference: walk the sorted numbers."""
    intervals: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if intervals and intervals[-1][1] == number - 1:
            intervals[-1] = (intervals[-1][0], number)
        else:
            intervals.append((number, number))
    return intervals


@unhurried
@given(runs)
def test_adding_agrees_with_a_plain_set_and_counts_what_was_there(pairs: list[tuple[int, int]]) -> None:
    reference: set[int] = set()
    subject = IntervalSet()
    for first, last in pairs:
        run = set(range(first, last + 1))
        assert len(run & reference) == subject.overlap(first, last)
        assert len(run & reference) == subject.add(first, last)
        reference |= run
        assert as_intervals(reference) == subject.intervals()
        assert len(reference) == subject.count == len(subject)
    assert sorted(reference) == list(subject)
    assert (min(reference, default=None), max(reference, default=None)) == (subject.first, subject.last)
    assert bool(reference) == bool(subject)


@unhurried
@given(runs, runs)
def test_set_operations_agree_with_plain_sets(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    left, right = IntervalSet(a), IntervalSet(b)
    plain_left, plain_right = numbers_of(a), numbers_of(b)
    assert as_intervals(plain_left - plain_right) == left.difference(right).intervals()
    assert as_intervals(plain_left | plain_right) == left.union(right).intervals()
    assert as_intervals(plain_left & plain_right) == left.intersection(right).intervals()
    assert (plain_left == plain_right) == (left == right)
    assert as_intervals(plain_left) == left.intervals(), "operations leave their operands alone"


@unhurried
@given(runs, st.integers(-5, 150))
def test_membership_agrees_with_a_plain_set(pairs: list[tuple[int, int]], number: int) -> None:
    assert (number in numbers_of(pairs)) == (number in IntervalSet(pairs))


@unhurried
@given(runs)
def test_lists_and_copies_bring_it_back(pairs: list[tuple[int, int]]) -> None:
    subject = IntervalSet(pairs)
    assert subject == IntervalSet.from_list(subject.to_list())
    copy = subject.copy()
    copy.add(1000, 1001)
    assert copy.count == subject.count + 2


def test_a_run_at_the_end_continues_the_last_interval() -> None:
    subject = IntervalSet()
    assert [subject.add(0, 4), subject.add(5, 9), subject.add(11, 11)] == [0, 0, 0]
    assert subject.to_list() == [[0, 9], [11, 11]]
    assert repr(subject) == "IntervalSet([[0, 9], [11, 11]])"


def test_an_interval_must_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        IntervalSet().add(5, 4)


def test_only_integers_are_members() -> None:
    assert "1" not in IntervalSet([(0, 9)])
