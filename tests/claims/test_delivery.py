from __future__ import annotations

from dataclasses import replace

from histories import STREAM, ack, fail, failing, found, history_of, info, read, run_info, unknown
from neutral import neutral

from necp_validate.core import Verdict
from necp_validate.record import Record, Sighting

ACKS_1 = {"acks": "1", "enable.idempotence": "false"}


def test_a_sound_history_passes_every_check() -> None:
    """Everything acked is read once, in order, where it was acked, and handled once."""
    history = history_of(ack(0), ack(1), read(0), read(1))
    assert set() == failing(history)
    assert set() == unknown(history)


def test_lost_write_is_an_acked_event_missing_below_the_highest_read() -> None:
    """1 was acked and not read, although 2 was."""
    history = history_of(ack(0), ack(1), ack(2), read(0), read(2))
    assert {"lost-write"} == failing(history)
    finding = found(history, "lost-write")
    assert finding.count == 1
    assert finding.examples[0].detail == "acked but not read: 1 (highest read: 2)"
    assert f"game.combat.events key match-0001 stream {STREAM}" == finding.examples[0].where


def test_unseen_is_an_acked_event_above_the_highest_read() -> None:
    """The end of the log is missing: that is not a hole."""
    history = history_of(ack(0), ack(1), ack(2), read(0))
    assert {"unseen"} == failing(history)
    assert found(history, "unseen").count == 2


def test_a_stream_of_which_nothing_is_read_is_unseen_not_lost() -> None:
    history = history_of(ack(0), ack(1))
    assert "lost-write" not in failing(history)
    assert found(history, "unseen").count == 2


def test_an_event_of_unknown_outcome_may_appear_or_not() -> None:
    """A send without an answer is neither lost when missing nor unknown when there."""
    assert set() == failing(history_of(ack(0), info(1), ack(2), read(0), read(2)))
    assert set() == failing(history_of(ack(0), info(1), ack(2), read(0), read(1), read(2)))


def test_a_failed_event_need_not_be_read() -> None:
    """It fails for another reason: no fault explains that the send was refused."""
    assert {"failed-send"} == failing(history_of(ack(0), fail(1), ack(2, at=1), read(0), read(2, at=1)))


def test_losing_acked_events_is_allowed_with_acks_1_and_reported() -> None:
    """Guarantees follow from the configuration; the loss stays counted, and its reason stands there."""
    finding = found(history_of(ack(0), ack(1), ack(2), read(0), read(2), producer=ACKS_1), "lost-write")
    assert (finding.verdict, finding.count) == (Verdict.PASS, 1)
    assert finding.allowed is not None
    assert "acks=all" in finding.allowed


def test_without_a_known_configuration_nothing_is_allowed() -> None:
    assert {"lost-write"} == failing(history_of(ack(0), ack(1), ack(2), read(0), read(2), producer={}))


def test_duplicate_fails_an_idempotent_producer() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), read(1, at=2))
    assert {"duplicate"} == failing(history)
    assert found(history, "duplicate").count == 1


def test_duplicate_is_allowed_without_idempotence() -> None:
    finding = found(history_of(ack(0), read(0), read(0, at=1), producer=ACKS_1), "duplicate")
    assert (finding.verdict, finding.count) == (Verdict.PASS, 1)
    assert finding.allowed is not None


def test_inconsistent_offsets_is_an_event_that_lies_elsewhere_than_acked() -> None:
    history = history_of(ack(0, at=0), ack(1, at=1), read(0, at=0), read(1, at=2))
    assert {"inconsistent-offsets"} == failing(history)


def test_inconsistent_offsets_are_two_acks_at_one_offset() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1))
    load = replace(history.loads[0], inconsistent_offsets=1)
    assert {"inconsistent-offsets"} == failing(replace(history, loads=(load,)))


def test_a_stream_with_an_ack_that_did_not_say_where_is_not_compared() -> None:
    """Its events are there, and in the order they were sent in."""
    history = history_of(ack(0, at=0), ack(1, at=1), read(0, at=0), read(1, at=2))
    (load,) = history.loads
    streams = tuple(replace(stream, unplaced=1) for stream in load.streams)
    finding = found(replace(history, loads=(replace(load, streams=streams),)), "inconsistent-offsets")
    assert (finding.verdict, "1 streams not comparable" in finding.summary) == (Verdict.UNKNOWN, True)


def test_offsets_are_not_compared_where_the_sets_differ() -> None:
    """A digest over different sets says nothing: the check explains that it cannot say."""
    history = history_of(ack(0), info(1), read(0), read(1))
    finding = found(history, "inconsistent-offsets")
    assert finding.verdict is Verdict.UNKNOWN
    assert "1 streams not comparable" in finding.summary


def test_nonmonotonic_send_is_an_event_after_a_later_one() -> None:
    """Acked where it lies, but 1 lies behind 2."""
    history = history_of(ack(0), ack(1, at=2), ack(2, at=1), read(0, at=0), read(2, at=1), read(1, at=2))
    assert {"nonmonotonic-send"} == failing(history)


def test_nonmonotonic_send_is_an_ack_below_an_earlier_one() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1))
    load = replace(history.loads[0], offset_not_monotonic=2)
    assert found(replace(history, loads=(load,)), "nonmonotonic-send").count == 2
    weak = replace(load, guarantees={"combat": ACKS_1})
    assert set() == failing(replace(history, loads=(weak,)))


def test_order_may_break_without_idempotence_only_with_several_requests_in_flight() -> None:
    ops = (ack(0), ack(1, at=2), ack(2, at=1), read(0, at=0), read(2, at=1), read(1, at=2))
    assert set() == failing(history_of(*ops, producer=ACKS_1))
    one_at_a_time = ACKS_1 | {"max.in.flight.requests.per.connection": "1"}
    assert {"nonmonotonic-send"} == failing(history_of(*ops, producer=one_at_a_time))


def test_nonmonotonic_poll_is_an_offset_not_above_the_one_before() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1))
    assert history.readback is not None
    part = replace(history.readback.partitions[0], out_of_order_offsets=1)
    readback = replace(history.readback, partitions=(part,))
    assert {"nonmonotonic-poll"} == failing(replace(history, readback=readback))


def test_offset_gaps_are_legal() -> None:
    """Transactions occupy offsets."""
    assert set() == failing(history_of(ack(0, at=3), ack(1, at=9), read(0, at=3), read(1, at=9)))


def test_without_a_readback_nothing_is_known_of_loss() -> None:
    history = history_of(ack(0), ack(1), readback=None)
    names = {"lost-write", "unseen", "duplicate", "inconsistent-offsets", "nonmonotonic-send"}
    assert names <= unknown(history)
    assert set() == failing(history)


def test_why_nothing_was_read_back_is_told() -> None:
    unread = history_of(
        ack(0),
        ack(1),
        readback=None,
        run=run_info(status="unread", error="it ended\ncombat-3 has no leader\nhint: see its log"),
    )
    assert found(unread, "lost-write").summary == "nothing was read back: combat-3 has no leader"


def test_without_anything_sent_nothing_is_known() -> None:
    assert {"lost-write", "unseen", "duplicate"} <= unknown(history_of(read(0), loads=()))
    assert {"lost-write", "unseen"} <= unknown(history_of(info(0)))


def test_a_load_worker_without_a_record_keeps_a_pass_from_being_one() -> None:
    """Its acked events cannot be missed by anybody; but a loss that is seen stays a loss."""
    two = run_info(config={"load": {"processes": 2}})
    assert "lost-write" in unknown(history_of(ack(0), read(0), run=two))
    assert "lost-write" in failing(history_of(ack(0), ack(1), read(1), run=two))


def test_several_workers_are_judged_together() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1))
    other = replace(history.loads[0].streams[0], stream="0000000b", key="match-0002")
    second = replace(history.loads[0], worker="w1", streams=(other,))
    both = replace(history, loads=(*history.loads, second))
    assert found(both, "unseen").count == 2


def test_examples_that_the_reader_kept_are_shown_with_their_check() -> None:
    history = history_of(ack(0), ack(1), read(0), read(1), read(1, at=2))
    assert history.readback is not None
    sighting = neutral(Sighting, check="duplicate", detail="again", topic="t", partition=3, offset=7)
    with_example = replace(history, readback=replace(history.readback, examples=(sighting,)))
    assert ("t[3]@7", "again") in {(e.where, e.detail) for e in found(with_example, "duplicate").examples}


def test_a_check_that_crashes_is_unknown_with_its_reason() -> None:
    class Broken:
        @property
        def readback(self) -> Record:
            raise KeyError("no such thing")

    finding = found(Broken(), "lost-write")  # type: ignore[arg-type]  # deliberately not a history
    assert finding.verdict is Verdict.UNKNOWN
    assert "KeyError: 'no such thing'" in finding.summary
