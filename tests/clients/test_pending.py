"""Intended times wait by offset until they are taken, however large the backlog grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from necp_validate.clients.pending import PendingOffsets


def test_what_was_put_is_taken_once() -> None:
    pending = PendingOffsets()
    pending.put(10, 3, 111)
    assert pending.take(10, 12).tolist() == [111, 111, 111]
    assert pending.take(10, 12).tolist() == [0, 0, 0]


def test_the_ring_grows_while_events_wait() -> None:
    pending = PendingOffsets()
    for first in range(0, 200_000, 50):
        pending.put(first, 50, first + 1)
    assert pending.overwritten == 0
    for first in range(0, 200_000, 50):
        assert pending.take(first, first + 49).tolist() == [first + 1] * 50


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 300)), max_size=60),
    st.integers(0, 10**6),
)
def test_it_behaves_like_a_dictionary(steps: list[tuple[int, int]], first: int) -> None:
    """Puts at the end with holes between them, each followed by a take of some earlier stretch."""
    pending, model = PendingOffsets(), dict[int, int]()
    at = first
    for number, (count, hole) in enumerate(steps, start=1):
        pending.put(at, count, number)
        model.update(dict.fromkeys(range(at, at + count), number))
        low = max(first, at - hole)
        assert [model.pop(offset, 0) for offset in range(low, at + 1)] == pending.take(low, at).tolist()
        at += count + hole % 7
