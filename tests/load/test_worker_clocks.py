"""The offset of another clock is told within half of the shortest way there and back, whatever the ways were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from necp_validate.load.clock import Ping, estimate

BASE_NS = 1_790_000_000 * 10**9


def ping(offset_ns: int, there_ns: int, back_ns: int, *, stays_ns: int = 1_000, at_ns: int = 0) -> Ping:
    sent = BASE_NS + at_ns
    arrives = sent + there_ns
    leaves = arrives + stays_ns
    return Ping(
        sent_ns=sent,
        received_ns=arrives + offset_ns,
        answered_ns=leaves + offset_ns,
        returned_ns=leaves + back_ns,
    )


ways = st.tuples(st.integers(1_000, 10**9), st.integers(1_000, 10**9), st.integers(0, 10**9))


@given(offset_ns=st.integers(-(10**13), 10**13), trips=st.lists(ways, min_size=1, max_size=20))
def test_the_true_offset_is_within_the_uncertainty(offset_ns: int, trips: list[tuple[int, int, int]]) -> None:
    found = estimate([ping(offset_ns, there, back, stays_ns=stays) for there, back, stays in trips])
    assert found is not None
    assert abs(found.offset_us - offset_ns / 1000) <= found.uncertainty_us + 1e-3
    assert found.uncertainty_us <= min(there + back for there, back, _ in trips) / 2000 + 1e-3
    assert found.bound_us + 1e-3 >= abs(offset_ns) / 1000


def test_equal_ways_tell_the_offset_exactly() -> None:
    found = estimate([ping(5_000_000, 300_000, 300_000)])
    assert found is not None
    assert (found.offset_us, found.uncertainty_us, found.samples) == (5_000.0, 300.0, 1)


def test_the_quickest_answer_counts_and_not_the_mean() -> None:
    """Seeded: nineteen answers were held up on their way back; their mean would be 25 ms off."""
    slow = [ping(2_000_000, 200_000, 50_000_000, at_ns=n) for n in range(19)]
    found = estimate([*slow, ping(2_000_000, 200_000, 200_000)])
    assert found is not None
    assert found.offset_us == 2_000.0


def test_answers_across_a_clock_that_was_set_are_no_evidence() -> None:
    backwards = Ping(sent_ns=BASE_NS, received_ns=BASE_NS, answered_ns=BASE_NS + 5, returned_ns=BASE_NS - 1)
    assert estimate([backwards]) is None
    assert estimate([]) is None
    found = estimate([backwards, ping(7_000, 100_000, 100_000)])
    assert found is not None
    assert found.samples == 1
