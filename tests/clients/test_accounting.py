"""The reader's books, on hand-written records: each anomaly lands in exactly the count that is its own."""

from __future__ import annotations

from typing import Any

import pytest

from necp_validate.events import tail
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.ledger.outcomes import ReceiptAccounting
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.ledger.stream_account import digest_of
from necp_validate.record import IntervalSet, Jump, ReceiptsRecord

TOPIC, STREAM, KEY = "game.combat.events", "0a1b2c3d", b"match-0001"
Record = tuple[int, int, bytes, bytes]


def record(seq: int, offset: int | None = None, *, stream: str = STREAM, key: bytes = KEY) -> Record:
    head = b'{"type":"combat.damage","v":1,"key":"match-0001","data":{"n":%d}' % seq
    value = tail.seal(head, 1_790_000_000_000_000, tail.event_id(stream, seq))
    return 3, seq if offset is None else offset, key, value


def books(*records: Record) -> dict[str, Any]:
    accounting = ReadAccounting({STREAM: (TOPIC, KEY.decode())})
    accounting.add_records(TOPIC, records)
    result = accounting.record({(TOPIC, 3): (0, 100)}, {(TOPIC, 3): 100})
    stream = result.streams[STREAM]
    return {
        "read": stream.read.to_list(),
        "duplicates": stream.duplicates,
        "out_of_order": stream.out_of_order,
        "bad_value": result.bad_value,
        "bad_key": result.bad_key,
        "unknown": result.unknown_records,
    }


CLEAN = {"read": [[0, 3]], "duplicates": 0, "out_of_order": 0, "bad_value": 0, "bad_key": 0, "unknown": 0}


def test_a_healthy_stream() -> None:
    assert books(*(record(seq) for seq in range(4))) == CLEAN


def test_a_hole_stays_open() -> None:
    assert books(record(0), record(1), record(3)) == {**CLEAN, "read": [[0, 1], [3, 3]]}


def test_a_duplicate_is_not_also_a_reordering() -> None:
    got = books(record(0), record(1), record(2), record(3), record(1, 4))
    assert got == {**CLEAN, "duplicates": 1}


def test_a_reordering() -> None:
    assert books(record(0), record(2, 1), record(1, 2), record(3)) == {**CLEAN, "out_of_order": 1}


def test_one_flipped_bit() -> None:
    partition, offset, key, value = record(1)
    damaged = bytearray(value)
    damaged[70] ^= 1
    got = books(record(0), (partition, offset, key, bytes(damaged)), record(2), record(3))
    assert got == {**CLEAN, "bad_value": 1}


@pytest.mark.parametrize("key", [b"match-0002", b"match-00011", b"m", b""])
def test_a_wrong_key(key: bytes) -> None:
    assert books(record(0), record(1, key=key), record(2), record(3)) == {**CLEAN, "bad_key": 1}


@pytest.mark.parametrize("value", [b"", b"x", b"{" * 69, b"{" * 400])
def test_a_record_that_is_no_event(value: bytes) -> None:
    records = [record(0), record(1), record(2), record(3), (3, 4, KEY, value)]
    assert books(*records) == {**CLEAN, "unknown": 1}


def test_an_event_of_a_stream_that_was_never_sent() -> None:
    records = [*(record(seq) for seq in range(4)), record(4, stream="ffffffff")]
    assert books(*records) == {**CLEAN, "unknown": 1}


def test_an_event_in_another_streams_topic() -> None:
    accounting = ReadAccounting({STREAM: ("game.economy.events", KEY.decode())})
    accounting.add_records(TOPIC, [record(0)])
    assert accounting.record({}, {}).unknown_records == 1


def test_where_the_planted_cheats_lie() -> None:
    """Also one that was written twice."""
    accounting = ReadAccounting({STREAM: (TOPIC, KEY.decode())}, {STREAM: IntervalSet([(1, 1), (3, 3)])})
    accounting.add_records(TOPIC, [record(0, 10), record(1, 11), record(2, 12), record(3, 13), record(1, 20)])
    (part,) = accounting.record({(TOPIC, 3): (0, 100)}, {(TOPIC, 3): 100}).partitions
    assert part.cheats is not None
    assert part.cheats.to_list() == [[11, 11], [13, 13], [20, 20]]


def test_a_dead_letter_says_itself_which_event_it_was() -> None:
    partition, offset, key, value = record(7, 2)
    altered = (partition, offset, key, bytes([value[0] ^ 1]) + value[1:])
    accounting = ReadAccounting({STREAM: (TOPIC, KEY.decode())})
    accounting.add_records(
        TOPIC, [record(5, 0), record(5, 1), altered, record(9, 3, key=b"other"), (3, 4, KEY, b"cut")]
    )
    found = accounting.dead_letters(f"{TOPIC}.dlt")
    assert {name: numbers.to_list() for name, numbers in found.streams.items()} == {STREAM: [[5, 5], [7, 7], [9, 9]]}
    assert (found.repeated, found.altered, found.unknown_records) == (1, 2, 1)


def test_digests_agree_with_acknowledgements_of_the_same_places_only() -> None:
    accounting = ReadAccounting({STREAM: (TOPIC, KEY.decode())})
    accounting.add_records(TOPIC, [record(0, 10), record(1, 11), record(2, 15)])
    digest = accounting.record({}, {}).streams[STREAM].digest
    assert (digest_of(0, 10, 3, 2) + digest_of(2, 15, 3, 1)) % 2**64 == digest
    assert (digest_of(0, 10, 3, 2) + digest_of(2, 16, 3, 1)) % 2**64 != digest
    assert (digest_of(0, 10, 4, 2) + digest_of(2, 15, 4, 1)) % 2**64 != digest
    swapped = digest_of(0, 11, 3, 1) + digest_of(1, 10, 3, 1) + digest_of(2, 15, 3, 1)
    assert swapped % 2**64 != digest


def test_receipts_are_accounted_by_offset() -> None:
    accounting = ReceiptAccounting()
    runs = [(3, 0, 9, Outcome.PROCESSED, 1), (3, 10, 10, Outcome.REJECTED, 1), (3, 10, 11, Outcome.PROCESSED, 2)]
    receipt = Receipt(instance="core-0", domain="combat", topic=TOPIC, sent_us=1, transactional=False, runs=runs)
    accounting.add([(receipt, None)])
    assert accounting.records() == (
        ReceiptsRecord(
            topic=TOPIC,
            partition=3,
            accounted=IntervalSet([(0, 11)]),
            processed=12,
            rejected=1,
            dead_lettered=0,
            duplicate_outcomes=1,
            jumps=(Jump(instance="core-0", after=10, first=10, from_us=1, to_us=2),),
            jumps_left_out=0,
            late=IntervalSet(),
            ended_early=None,
            rejected_at=IntervalSet([(10, 10)]),
        ),
    )
