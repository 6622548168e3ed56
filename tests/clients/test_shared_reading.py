"""Several readers, each of some partitions, find together exactly what one reader of all finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.events import tail
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.ledger.shared_reading import merge_accounts, share_of_partitions
from necp_validate.record import Readback

TOPIC = "game.combat.events"
STREAMS = {f"0000000{n}": (TOPIC, f"match-{n}") for n in range(3)}
PARTITIONS = 5
MARKS = {(TOPIC, partition): (0, 1000) for partition in range(PARTITIONS)}


def value(stream: str, seq: int) -> bytes:
    return tail.seal(b'{"type":"combat.damage","v":1', 1_790_000_000_000_000, tail.event_id(stream, seq))


def account(records: list[tuple[int, str, int]], partitions: set[tuple[str, int]]) -> Readback:
    """What a reader of some partitions says of the log: (partition, stream, sequence number) in order of offset."""
    accounting = ReadAccounting(STREAMS)
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    for partition, stream, seq in records:
        offset = offsets[partition]
        offsets[partition] += 1
        if (TOPIC, partition) in partitions:
            key = STREAMS[stream][1].encode()
            accounting.add_records(TOPIC, [(partition, offset, key, value(stream, seq))])
    found = accounting.record({place: mark for place, mark in MARKS.items() if place in partitions}, {})
    return replace(found, epochs=(), elapsed_s=1.0, cpu_s=0.5, events_per_s=0.0, max_rss_bytes=10)


# A stream's key keeps it in one partition: it moves at most once, when its topic grows.
logs = st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.sampled_from(sorted(STREAMS)), st.integers(0, 15)))


@given(records=logs, readers=st.integers(1, 7))
def test_parts_add_up_to_the_whole(records: list[tuple[int, str, int]], readers: int) -> None:
    shares = [share_of_partitions(MARKS, reader, readers) for reader in range(readers)]
    merged = merge_accounts([account(records, share) for share in shares])
    whole = account(records, set(MARKS))
    assert sum(map(len, shares)) == len(MARKS)
    for name in ("events_read", "bad_key", "bad_value", "unknown_records", "partitions"):
        assert getattr(merged, name) == getattr(whole, name)
    for stream in STREAMS:
        ours, theirs = merged.streams[stream], whole.streams[stream]
        assert replace(ours, out_of_order=0) == replace(theirs, out_of_order=0)
        if len(ours.partitions) <= 1:
            assert ours == theirs


def test_an_event_in_the_partitions_of_two_readers_is_there_twice() -> None:
    records = [(0, "00000000", 7), (1, "00000000", 7)]
    merged = merge_accounts([account(records, {(TOPIC, 0)}), account(records, {(TOPIC, 1)})])
    assert merged.streams["00000000"].duplicates == 1
    assert merged.streams["00000000"].partitions == (0, 1)


def test_a_partition_that_no_reader_took_shows() -> None:
    """Seeded: the second reader is left out; its partitions are in no account, and its events are missing."""
    records = [(partition, "00000001", partition) for partition in range(PARTITIONS)]
    first = account(records, share_of_partitions(MARKS, 0, 2))
    merged = merge_accounts([first])
    assert merged.events_read == 3
    assert merged.streams["00000001"].read.to_list() == [[0, 0], [2, 2], [4, 4]]


def test_times_are_of_the_slowest_and_costs_of_all() -> None:
    one = account([], {(TOPIC, 0)})
    merged = merge_accounts([replace(one, elapsed_s=2.0, events_read=4), one])
    assert (merged.elapsed_s, merged.events_per_s) == (2.0, 2.0)
    assert (merged.cpu_s, merged.max_rss_bytes) == (1.0, 20)


@pytest.mark.parametrize("readers", [1, 2, 3, 50, 51])
def test_partitions_are_dealt_out_evenly(readers: int) -> None:
    places = {(f"topic-{topic}", partition) for topic in range(4) for partition in range(12)}
    shares = [share_of_partitions(places, reader, readers) for reader in range(readers)]
    assert set().union(*shares) == places
    sizes = [len(share) for share in shares]
    assert sum(sizes) == len(places)
    assert max(sizes) - min(sizes) <= 1
