"""Whatever is reported of a stream's events, each is acked, failed or unknown in the end, and only one of these."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from necp_validate.core.intervals import IntervalSet
from necp_validate.ledger.stream_account import AckedOffsets, StreamAccount, digest_of


def account() -> StreamAccount:
    return StreamAccount("0a1b2c3d", domain="combat", topic="game.combat.events", key="match-0001")


# begin so many; ack or fail from a number on, so many, at an offset that may be unknown
steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(1, 9), st.just(0), st.just(0)),
        st.tuples(st.just("ack"), st.integers(0, 40), st.integers(1, 9), st.integers(-1, 100)),
        st.tuples(st.just("fail"), st.integers(0, 40), st.integers(1, 9), st.just(0)),
    )
)


@given(steps=steps)
def test_acked_failed_and_unknown_are_all_that_was_sent_each_once(steps: list[tuple[str, int, int, int]]) -> None:
    stream = account()
    for what, first, count, offset in steps:
        if what == "begin":
            stream.begin(first)
        elif what == "ack":
            stream.ack(first, count, 3, offset)
        else:
            stream.fail(first, count)
    record = stream.record()
    assert record.failed is not None
    sets = (record.acked, record.failed, record.unknown)
    assert sum(one.count for one in sets) == record.sent
    together = record.acked.union(record.failed).union(record.unknown)
    assert together == (IntervalSet([(0, record.sent - 1)]) if record.sent else IntervalSet())


def test_an_ack_counts_once_and_says_where_its_events_lie() -> None:
    stream = account()
    assert [stream.begin(3), stream.begin(2)] == [0, 3]
    assert stream.ack(0, 3, 1, 10)
    assert not stream.ack(0, 3, 1, 20)
    assert stream.ack(3, 1, 1, -1)
    record = stream.record()
    assert (record.digest, record.max_acked_offset, record.unplaced) == (digest_of(0, 10, 1, 3), 12, 1)
    assert (record.acked.to_list(), record.unknown.to_list()) == ([[0, 3]], [[4, 4]])


def test_events_in_another_order_than_they_were_sent_in_are_noticed() -> None:
    stream = account()
    stream.begin(6)
    stream.ack(0, 2, 1, 10)
    stream.ack(4, 2, 1, 20)
    assert stream.not_monotonic == 0
    stream.ack(2, 1, 1, 12)  # reported late, and where it must lie
    assert stream.not_monotonic == 0
    stream.ack(3, 1, 1, 11)
    assert stream.not_monotonic == 1


def test_two_events_cannot_share_an_offset() -> None:
    offsets = AckedOffsets()
    for partition, offset, count in ((0, 5, 3), (1, 5, 3), (0, 8, 2), (0, -1, 4), (0, 7, 1)):
        offsets.add("t", partition, offset, count)
    assert offsets.repeated == 1
