"""What a fresh reader makes of a topic: ours by their header, everybody else's left out."""

from __future__ import annotations

from necp_validate.core.intervals import IntervalSet
from necp_validate.external.accounting import RecordAccounting
from necp_validate.external.identity import HEADER, Identity, crc
from necp_validate.record.readback import Readback

ORDERS, REFUNDS = "0000000a", "0000000b"
PLACE = ("orders", 0)


def _headers(seq: int, value: bytes = b"v", key: bytes | None = b"k", stream: str = ORDERS) -> list[tuple[str, bytes]]:
    return [(HEADER, Identity(stream=stream, seq=seq, value_crc=crc(value), key_crc=crc(key)).encode())]


def _read(accounting: RecordAccounting, high: int = 10) -> Readback:
    return accounting.readback({PLACE: (0, high)}, {PLACE: high}, elapsed_s=2.0, cpu_s=1.0)


def _accounting() -> RecordAccounting:
    return RecordAccounting({"orders": ORDERS, "refunds": REFUNDS})


def test_what_lies_there_as_it_was_sent_is_sound() -> None:
    accounting = _accounting()
    for seq in range(4):
        accounting.add(PLACE, seq, b"k", b"v", _headers(seq))
    found = _read(accounting)
    assert found.streams[ORDERS].read == IntervalSet([(0, 3)])
    assert (found.events_read, found.bad_value, found.bad_key, found.unknown_records, found.others) == (4, 0, 0, 0, 0)
    assert found.events_per_s == 2
    assert found.examples == ()


def test_records_of_others_are_left_out_of_every_figure() -> None:
    accounting = _accounting()
    accounting.add(PLACE, 0, b"k", b"v", None)
    accounting.add(PLACE, 1, b"k", b"v", [(HEADER, b"somebody else's header of that name")])
    accounting.add(PLACE, 2, b"k", b"v", _headers(0, stream="ffffffff"))  # of an earlier run
    found = _read(accounting)
    assert (found.events_read, found.others, found.partitions[0].read) == (0, 3, 3)
    assert found.streams[ORDERS].read.count == 0


def test_a_second_record_of_an_event_is_a_duplicate_and_no_disorder() -> None:
    accounting = _accounting()
    for offset, seq in enumerate((0, 1, 0)):
        accounting.add(PLACE, offset, b"k", b"v", _headers(seq))
    found = _read(accounting).streams[ORDERS]
    assert (found.duplicates, found.out_of_order) == (1, 0)


def test_an_event_after_a_later_one_of_its_partition_is_out_of_order() -> None:
    accounting = _accounting()
    for offset, seq in enumerate((0, 2, 1)):
        accounting.add(PLACE, offset, b"k", b"v", _headers(seq))
    accounting.add(("orders", 1), 0, b"k", b"v", _headers(3))
    found = _read(accounting)
    assert found.streams[ORDERS].out_of_order == 1
    assert found.examples[0].check == "nonmonotonic-send"
    assert (found.examples[0].topic, found.examples[0].partition, found.examples[0].offset) == ("orders", 0, 2)


def test_a_changed_value_and_a_changed_key_are_told_apart() -> None:
    accounting = _accounting()
    accounting.add(PLACE, 0, b"k", b"spoilt", _headers(0))
    accounting.add(PLACE, 1, b"other", b"v", _headers(1))
    accounting.add(PLACE, 2, None, b"v", _headers(2, key=None))
    found = _read(accounting)
    assert (found.bad_value, found.bad_key) == (1, 1)
    assert [one.check for one in found.examples] == ["value-mismatch", "key-mismatch"]


def test_an_event_in_a_topic_that_it_was_not_sent_to_is_nobodys() -> None:
    accounting = _accounting()
    accounting.add(PLACE, 0, b"k", b"v", _headers(0, stream=REFUNDS))
    found = _read(accounting)
    assert found.unknown_records == 1
    assert found.streams[REFUNDS].read.count == 0


def test_offsets_that_nobody_holds_are_counted_as_gaps() -> None:
    accounting = _accounting()
    for offset in (0, 1, 5):
        accounting.add(PLACE, offset, b"k", b"v", _headers(offset))
    assert _read(accounting).partitions[0].gaps == 3
