from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import (
    DEAD_LETTERED,
    REJECTED,
    STREAM,
    ack,
    failing,
    finding_of,
    found,
    handled,
    history_of,
    info,
    read,
    run_info,
    unknown,
)
from sound.drills import under
from sound.faults import fault

from necp_validate.core import Verdict
from necp_validate.record import FaultRecord, IntervalSet, Record, StreamRead


def with_readback(history: Record, **changes: Any) -> Record:
    assert history.readback is not None
    return replace(history, readback=replace(history.readback, **changes))


def with_more_read(history: Record, records: int) -> Record:
    """The reader found more in the partition than belongs to the stream."""
    assert history.readback is not None
    (part,) = history.readback.partitions
    part = replace(part, read=part.read + records, high=part.high + records, position=part.high + records)
    return with_readback(history, partitions=(part,), events_read=history.readback.events_read + records)


def stream_read(last: int, duplicates: int = 0) -> StreamRead:
    return StreamRead(read=IntervalSet([(0, last)]), duplicates=duplicates, out_of_order=0, digest=0, partitions=(0,))


@pytest.mark.parametrize(
    ("field", "check"),
    [("bad_key", "key-mismatch"), ("bad_value", "value-mismatch"), ("unknown_records", "unknown-record")],
)
def test_what_the_reader_found_wrong_fails_exactly_its_check(field: str, check: str) -> None:
    history = with_readback(history_of(ack(0), ack(1), read(0), read(1)), **{field: 1})
    if field == "unknown_records":
        history = with_more_read(history, 1)
    assert {check} == failing(history)
    assert found(history, check).count == 1


def test_a_stream_that_nobody_sent_is_unknown_records() -> None:
    history = history_of(ack(0), read(0))
    assert history.readback is not None
    strange = stream_read(2, duplicates=1)
    streams = {**history.readback.streams, "deadbeef": strange}
    assert found(with_readback(history, streams=streams), "unknown-record").count == 4


def test_numbers_beyond_what_a_stream_sent_are_unknown_records() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), read(2))
    assert "unknown-record" in failing(history)
    assert found(history, "unknown-record").count == 1


def test_a_strange_stream_may_be_that_of_a_worker_without_a_record() -> None:
    history = history_of(ack(0), read(0), run=run_info(config={"load": {"processes": 2}}))
    assert history.readback is not None
    streams = {STREAM: history.readback.streams[STREAM], "deadbeef": stream_read(2)}
    finding = finding_of(with_more_read(with_readback(history, streams=streams), 3), "unknown-record")
    assert finding.verdict is Verdict.UNKNOWN
    assert "1 of 2 records of load workers (history/load-*.json)" in finding.summary


def test_conservation_needs_an_outcome_for_every_record() -> None:
    history = history_of(ack(0), ack(1), ack(2), read(0), read(1), read(2), handled(0), handled(1))
    assert {"conservation"} == failing(history)
    finding = found(history, "conservation")
    assert finding.count == 1
    assert finding.examples[0].detail == "records without an outcome at offsets 2"


def test_conservation_fails_on_an_outcome_without_a_record() -> None:
    history = history_of(ack(0), read(0), handled(0), handled(5))
    assert {"conservation"} == failing(history)


def test_conservation_counts_where_the_reader_kept_no_offsets() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0))
    assert history.readback is not None
    parts = (replace(history.readback.partitions[0], offsets=None),)
    finding = found(with_readback(history, partitions=parts), "conservation")
    assert finding.examples[0].detail == "2 records read, 1 have an outcome"


def test_a_partition_without_any_receipt_fails_conservation() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1))
    assert history.readback is not None
    (receipt,) = history.readback.receipts
    elsewhere = replace(receipt, partition=7, accounted=IntervalSet(), processed=0)
    assert found(with_readback(history, receipts=(elsewhere,)), "conservation").count == 2


def test_outcomes_must_add_up() -> None:
    history = history_of(ack(0), read(0))
    assert history.readback is not None
    receipts = (replace(history.readback.receipts[0], processed=3),)
    assert {"conservation"} == failing(with_readback(history, receipts=receipts))


def test_planted_cheats_and_poison_end_as_they_must() -> None:
    ops = (ack(0), ack(1), ack(2), read(0), read(1), read(2))
    ends = (handled(0), handled(1, REJECTED), handled(2, DEAD_LETTERED))
    assert set() == failing(history_of(*ops, *ends, planted={"cheat": 1, "poison": 1}))


def test_a_cheat_that_was_processed_fails_conservation() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), planted={"cheat": 1})
    assert {"conservation", "planted-cheats"} == failing(history)
    (example,) = found(history, "conservation").examples
    assert example.detail == "1 cheat events planted, but 0 events rejected"


def test_a_good_event_that_was_dead_lettered_fails_conservation() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), handled(0), handled(1, DEAD_LETTERED))
    assert {"conservation"} == failing(history)


def test_a_planted_event_that_was_not_acked_may_be_missing() -> None:
    history = history_of(ack(0), info(1), read(0), planted={"cheat": 1})
    assert "conservation" not in failing(history)


def test_a_dead_letter_must_be_in_its_topic() -> None:
    ops = (ack(0), ack(1), read(0), read(1), handled(0), handled(1, DEAD_LETTERED))
    history = with_readback(history_of(*ops, planted={"poison": 1}), dead_letters={})
    assert {"conservation", "planted-poison"} == failing(history)


# One by one: the right number of the wrong events ------------------------------------------------------------------

FOUR = tuple(op for seq in range(4) for op in (ack(seq), read(seq)))
PLANTED = history_of(
    *FOUR,
    *(handled(0), handled(1, REJECTED), handled(2, DEAD_LETTERED), handled(3)),
    planted={"cheat": 1, "poison": 1},
)


def with_letters(**changes: Any) -> Record:
    """The sound run, whose dead letters are others."""
    assert PLANTED.readback is not None
    (letters,) = PLANTED.readback.letters or ()
    return with_readback(PLANTED, letters=(replace(letters, **changes),))


def with_rejected(*offsets: int) -> Record:
    """The sound run, in which other events were rejected."""
    assert PLANTED.readback is not None
    (receipts,) = PLANTED.readback.receipts
    rejected = IntervalSet([(at, at) for at in offsets])
    return with_readback(PLANTED, receipts=(replace(receipts, rejected_at=rejected),))


@pytest.mark.parametrize(
    ("history", "check", "details"),
    [
        (
            with_letters(streams={STREAM: IntervalSet([(3, 3)])}),
            "planted-poison",
            ["planted and not set aside: events 2", "set aside although nothing is wrong with them: events 3"],
        ),
        (
            with_rejected(3),
            "planted-cheats",
            [
                "planted cheats that were let through, at offsets 1",
                "honest events that were rejected, at offsets 3",
            ],
        ),
    ],
    ids=["set aside", "rejected"],
)
def test_as_many_events_as_were_planted_but_others(history: Record, check: str, details: list[str]) -> None:
    assert failing(history) == {check}
    assert [one.detail for one in found(history, check).examples] == details


def test_a_dead_letter_is_byte_for_byte_what_was_sent_and_was_sent() -> None:
    assert failing(with_letters(altered=1)) == {"planted-poison"}
    assert failing(with_letters(unknown_records=1)) == {"planted-poison"}
    assert failing(with_letters(repeated=1)) == set(), "it was written again before its offset was committed"


def test_which_events_were_planted_or_set_aside_has_to_be_known() -> None:
    assert PLANTED.readback is not None
    (part,), (receipts,) = PLANTED.readback.partitions, PLANTED.readback.receipts
    (load,) = PLANTED.loads
    streams = tuple(replace(stream, planted=None) for stream in load.streams)
    for history, check in (
        (with_readback(PLANTED, letters=None), "planted-poison"),
        (with_readback(PLANTED, letters=()), "planted-poison"),
        (replace(PLANTED, loads=(replace(load, streams=streams),)), "planted-poison"),
        (with_readback(PLANTED, partitions=(replace(part, cheats=None),)), "planted-cheats"),
        (with_readback(PLANTED, receipts=(replace(receipts, rejected_at=None),)), "planted-cheats"),
    ):
        assert finding_of(history, check).verdict is Verdict.UNKNOWN, check


TWICE = history_of(ack(0), read(0), handled(0), handled(0))


@pytest.mark.parametrize("change", [{"state": "PREPARING_REBALANCING"}, {"members": 0}])
def test_handled_twice_is_allowed_after_a_rebalance_where_at_least_once_is_documented(change: dict[str, Any]) -> None:
    *others, last = TWICE.groups
    finding = found(replace(TWICE, groups=(*others, replace(last, **change))), "handled-twice")
    assert (finding.verdict, finding.count) == (Verdict.PASS, 1)
    assert finding.allowed is not None


def unwatched(history: Record) -> Record:
    """For some seconds nobody could describe the group, which was the same before and after."""
    return replace(history, groups=tuple(one for one in history.groups if not 3 < one.t - history.groups[0].t < 9))


def test_handled_twice_is_allowed_while_a_fault_kept_the_group_from_being_described() -> None:
    history = unwatched(TWICE)
    assert len(history.groups) < len(TWICE.groups)
    finding = finding_of(under(history, fault("cut", at=3, until=5)), "handled-twice")
    assert (finding.verdict, finding.allowed is not None) == (Verdict.PASS, True), finding
    without = finding_of(history, "handled-twice")
    assert (without.verdict, "it may have rebalanced" in without.summary) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize(
    "harmless",
    [fault("publisher-flood"), fault("gateway-kill"), fault("broker-kill"), fault("cut", effective_us=None)],
)
def test_a_fault_that_the_group_did_not_feel_explains_nothing(harmless: FaultRecord) -> None:
    assert finding_of(under(TWICE, harmless), "handled-twice").verdict is Verdict.FAIL
    if harmless.effective_us is None:
        assert finding_of(under(unwatched(TWICE), harmless), "handled-twice").verdict is Verdict.UNKNOWN


def test_handled_twice_without_a_restart_or_a_rebalance_fails() -> None:
    assert found(TWICE, "handled-twice").verdict is Verdict.FAIL
    assert finding_of(replace(TWICE, groups=()), "handled-twice").verdict is Verdict.UNKNOWN


def test_handled_twice_fails_economy() -> None:
    """Economy is handled exactly once, in transactions."""
    history = history_of(ack(0), read(0), handled(0), handled(0), domain="economy")
    assert {"handled-twice"} == failing(history)


def test_handled_twice_fails_economy_also_where_its_group_could_not_be_described() -> None:
    history = unwatched(history_of(ack(0), read(0), handled(0), handled(0), domain="economy"))
    assert finding_of(history, "handled-twice").verdict is Verdict.FAIL


def test_without_receipts_nothing_is_known_of_handling() -> None:
    history = with_readback(history_of(ack(0), read(0)), receipts=())
    assert {"conservation", "handled-twice", "poll-skip", "damage-total", "end-account"} == unknown(history)
