"""Intended times wait by offset until they are taken, however large the backlog grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from necp_validate.ledger.pending import PendingOffsets


def test_what_was_put_is_taken_once() -> None:
    pending = PendingOffsets()
    pending.put(10, 3, 111)
    assert pending.take(10, 12) == [(10, 12, 111)]
    assert pending.take(10, 12) == []


def test_a_receipt_may_cover_parts_of_several_flushes() -> None:
    pending = PendingOffsets()
    pending.put(0, 10, 1)
    pending.put(10, 10, 2)
    assert pending.take(5, 14) == [(5, 9, 1), (10, 14, 2)]
    assert len(pending) == 10
    assert pending.take(0, 99) == [(0, 4, 1), (15, 19, 2)]
    assert len(pending) == 0


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 100)), max_size=60),
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
        expected: dict[int, int] = {}
        for offset in range(low, at + 1):
            if (intended := model.pop(offset, None)) is not None:
                expected[intended] = expected.get(intended, 0) + 1
        got: dict[int, int] = {}
        for taken, last, intended in pending.take(low, at):
            got[intended] = got.get(intended, 0) + last - taken + 1
        assert expected == got
        assert len(model) == len(pending)
        at += count + hole % 7
