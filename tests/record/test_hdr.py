from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from necp_validate.core.histogram import (
    BUCKETS,
    MAX_VALUE_US,
    HdrHistogram,
    highest_of,
    index_of,
    indexes_of,
    lowest_of,
)

# A busy machine is no failure of what is tested.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
values = st.integers(0, MAX_VALUE_US)
samples = st.lists(values, min_size=1, max_size=300)


def array(numbers: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


@unhurried
@given(values)
@example(127)
@example(128)
@example(255)
@example(256)
@example(MAX_VALUE_US)
def test_a_bucket_holds_its_value_to_better_than_one_percent(value: int) -> None:
    index = index_of(value)
    assert lowest_of(index) <= value <= highest_of(index)
    assert highest_of(index) - lowest_of(index) <= value / 100
    assert index < BUCKETS


def test_buckets_are_contiguous() -> None:
    """Every bucket begins where the one before ended, from 0 to 19 hours."""
    assert lowest_of(0) == 0
    assert all(lowest_of(i + 1) == highest_of(i) + 1 for i in range(BUCKETS - 1))
    assert highest_of(BUCKETS - 1) == MAX_VALUE_US
    assert MAX_VALUE_US / 3.6e9 > 19


@unhurried
@given(st.lists(st.integers(0, 2**45), min_size=1))
def test_many_indexes_agree_with_one_by_one(numbers: list[int]) -> None:
    assert [index_of(number) for number in numbers] == indexes_of(array(numbers)).tolist()


@unhurried
@given(samples, st.sampled_from([0.1, 1.0, 50.0, 95.0, 99.0, 99.9, 100.0]))
def test_percentiles_agree_with_a_sorted_list(numbers: list[int], q: float) -> None:
    """Nearest rank over the sorted values, rounded up to the end of the bucket."""
    histogram = HdrHistogram()
    histogram.record_many(array(numbers))
    rank = max(1, math.ceil(round(q / 100 * len(numbers), 6)))
    assert highest_of(index_of(sorted(numbers)[rank - 1])) == histogram.percentile(q)
    assert histogram.total == len(numbers)
    assert histogram.max == highest_of(index_of(max(numbers)))


@unhurried
@given(st.lists(st.integers(-1000, MAX_VALUE_US)), st.integers(1, 9))
def test_recording_many_is_recording_one_by_one(numbers: list[int], count: int) -> None:
    many, each, one = HdrHistogram(), HdrHistogram(), HdrHistogram()
    many.record_many(array(numbers), count)
    each.record_many(array(numbers), np.full(len(numbers), count, dtype=np.int64))
    for number in numbers:
        one.record(number, count)
    assert one == many
    assert one == each
    assert one.negative == count * sum(number < 0 for number in numbers)


@unhurried
@given(samples, samples)
def test_merging_is_recording_both(a: list[int], b: list[int]) -> None:
    left, right, both = HdrHistogram(), HdrHistogram(), HdrHistogram()
    left.record_many(array(a))
    right.record_many(array(b))
    right.record(-1)
    both.record_many(array(a + b + [-1]))
    left.merge(right)
    assert both == left


def test_an_array_brings_it_back() -> None:
    histogram = HdrHistogram()
    histogram.record(500, 3)
    histogram.record(-1)
    assert histogram == HdrHistogram.from_array(histogram.to_array(), negative=1)
    with pytest.raises(ValueError, match="integers"):
        HdrHistogram.from_array(np.zeros(7, dtype=np.int64))


def test_values_beyond_the_range_land_in_the_last_bucket() -> None:
    histogram = HdrHistogram()
    histogram.record(2**50)
    histogram.record_many(array([2**60]))
    assert histogram.counts[-1] == 2


def test_an_empty_histogram_is_all_zero() -> None:
    empty = HdrHistogram()
    empty.record_many(array([]))
    assert (empty.total, empty.max, empty.percentile(99), empty.mean) == (0, 0, 0, 0.0)


def test_mean_and_values_above_a_limit() -> None:
    histogram = HdrHistogram()
    histogram.record_many(array([10, 20, 30, 100_000]))
    assert histogram.count_above(30) == 1
    assert histogram.count_above(0) == 4
    assert histogram.mean == pytest.approx(25_015, rel=0.01)
