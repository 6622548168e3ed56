"""Checks of transactions, the economy's books, consumers and leaders, each on a record of a few operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import (
    START_S,
    ack,
    claim_of,
    failing,
    finding_of,
    found,
    history_of,
    read,
    timed_history,
    unknown,
)
from sound.drills import under
from sound.economy import BOOK, economy, jumped, seen, watched
from sound.faults import fault

from necp_validate.core import Verdict
from necp_validate.record import EpochRead, IntervalSet, LeaderSample, Record

BOOKS = ("torn-transaction", "double-booking", "conserved-economy", "economy-total")


def with_readback(history: Record, **changes: Any) -> Record:
    """The same, read back otherwise."""
    assert history.readback is not None
    return replace(history, readback=replace(history.readback, **changes))


def test_sound_books_pass() -> None:
    """And the claim about them with its figures, and what would have been seen."""
    history = economy()
    assert (failing(history), unknown(history)) == (set(), set())
    claim = claim_of(history, "EVT-ECONOMY")
    assert claim.verdict is Verdict.PASS
    assert "30 eddies and 2 items moved, exactly what the events sent were to move" in claim.evidence
    assert "1 unit of 30 eddies and 2 items" in claim.sees


@pytest.mark.parametrize(
    ("changes", "check", "count"),
    [
        ({"covered": IntervalSet([(0, 1)]), "entries": 2}, "torn-transaction", 1),
        ({"entries": 2}, "torn-transaction", 1),
        ({"torn": 1}, "torn-transaction", 1),
        ({"covered_twice": 3}, "double-booking", 3),
        ({"repeated": 1}, "double-booking", 1),
        ({"overdrawn": 1}, "conserved-economy", 1),
        ({"unfounded": 1}, "conserved-economy", 1),
        ({"moved": {"eddies": 31, "ammo": 2}}, "economy-total", 1),
        ({"moved": {"eddies": 30}}, "economy-total", 2),
        ({"moved": {"eddies": 300, "ammo": 20}}, "economy-total", 288),
    ],
)
def test_each_wrong_in_the_books_is_found_by_its_check(changes: dict[str, Any], check: str, count: int) -> None:
    """And by no other; the claim fails by it."""
    history = economy(book=replace(BOOK, **changes))
    assert failing(history) == {check}
    assert finding_of(history, check).count == count
    assert claim_of(history, "EVT-ECONOMY").verdict is Verdict.FAIL


def test_a_batch_that_covers_an_offset_without_a_record_is_no_records() -> None:
    """Only what lies in the topic counts."""
    history = economy(book=replace(BOOK, covered=IntervalSet([(0, 3)]), entries=4))
    assert failing(history) == {"torn-transaction"}


def test_totals_are_not_compared_where_nobody_can_know_them() -> None:
    """One event has no ack: whether its money moved is open."""
    history = economy(expected_totals={"money": 99, "goods": 2, "postings_sum": 700})
    assert failing(history) == {"economy-total"}
    (load,) = history.loads
    (stream,) = load.streams
    counts = replace((load.phases or {})["steady"]["economy"], scheduled=4, sent=4, unknown=1)
    open_ended = replace(stream, sent=4, unknown=IntervalSet([(3, 3)]))
    history = replace(history, loads=(replace(load, streams=(open_ended,), phases={"steady": {"economy": counts}}),))
    finding = found(history, "economy-total")
    assert (finding.verdict, "not comparable" in finding.summary) == (Verdict.NOT_APPLICABLE, True)


def test_the_right_sums_between_the_wrong_accounts_fail() -> None:
    """Every payment has its event and its amount, and somebody else got it."""
    history = economy(book=replace(BOOK, postings_sum=701))
    assert failing(history) == {"economy-total"}
    (example,) = finding_of(history, "economy-total").examples
    assert "not all of them went from and to the accounts" in example.detail


def test_between_which_accounts_has_to_be_recorded_on_both_sides() -> None:
    for history in (
        economy(book=replace(BOOK, postings_sum=None)),
        economy(expected_totals={"money": 30, "goods": 2}),
    ):
        assert finding_of(history, "economy-total").verdict is Verdict.UNKNOWN


def test_totals_that_the_load_did_not_add_up_are_unknown() -> None:
    """What was not recorded never reads as nothing to compare."""
    history = economy()
    finding = finding_of(
        replace(history, loads=tuple(replace(load, expected_totals=None) for load in history.loads)), "economy-total"
    )
    assert finding.verdict is Verdict.UNKNOWN
    assert "what the events of w0 in economy must add up to was not recorded" in finding.summary


def test_trades_of_the_receipts_must_be_in_the_ledger_with_both_legs() -> None:
    """The receipts count two trades, the ledger has one whole."""
    history = with_readback(economy(book=replace(BOOK, trades=1)), totals={"economy": {"economy.trade": 2}})
    assert failing(history) == {"torn-transaction"}
    assert failing(with_readback(history, totals={"economy": {"economy.trade": 1}})) == set()


@pytest.mark.parametrize("ledger", [None, ()])
def test_without_a_ledger_nothing_is_known_of_the_books(ledger: Any) -> None:
    history = with_readback(economy(), ledger=ledger)
    for name in BOOKS:
        finding = finding_of(history, name)
        assert (finding.verdict, "no ledger (history/readback.json: ledger)" in finding.summary) == (
            Verdict.UNKNOWN,
            True,
        )
    assert claim_of(history, "EVT-ECONOMY").verdict is Verdict.UNKNOWN


def test_without_the_economy_there_is_nothing_to_know() -> None:
    """No transaction, no books; the claim is unknown."""
    history = history_of(ack(0), read(0))
    for name in (*BOOKS, "aborted-read", "precommitted-read"):
        finding = finding_of(history, name)
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert finding.summary == "there is no economy traffic, the only one in transactions"
    assert claim_of(history, "EVT-ECONOMY").verdict is Verdict.UNKNOWN


def test_without_one_event_of_the_economy_nothing_is_known_of_its_transactions() -> None:
    """The books are empty, and there is nothing in them that could be wrong."""
    history = timed_history(seconds=30, eps={"combat": 100.0, "economy": 0.0})
    for name in (*BOOKS, "aborted-read", "precommitted-read"):
        finding = finding_of(history, name)
        assert finding.verdict is Verdict.UNKNOWN
        assert "no acked event of the economy (history/load-*.json)" in finding.summary
    assert claim_of(history, "EVT-ECONOMY").verdict is Verdict.UNKNOWN


def test_an_outcome_that_was_seen_and_is_gone_was_read_from_an_aborted_transaction() -> None:
    """G1a: in a partition that has fewer, and in one that has none."""
    gone = economy(outcomes_seen=(seen(0, 4),))
    assert failing(gone) == {"aborted-read"}
    assert found(gone, "aborted-read").count == 2
    elsewhere = economy(outcomes_seen=(seen(0, 2), seen(0, 1, partition=5)))
    assert found(elsewhere, "aborted-read").count == 2
    assert claim_of(gone, "EVT-ECONOMY").verdict is Verdict.FAIL


def test_transactions_that_nobody_recorded_prove_nothing() -> None:
    """All of them, or some of those that ended while the load ran."""
    for outcomes, words in (
        (None, "outcomes_seen was not recorded in history/load-w0.json"),
        ((), "3 events of theirs ended, 0 were recorded"),
        ((seen(0, 1),), "3 events of theirs ended, 2 were recorded"),
    ):
        finding = finding_of(economy(outcomes_seen=outcomes), "aborted-read")
        assert (finding.verdict, words in finding.summary) == (Verdict.UNKNOWN, True), finding.summary


def test_a_record_that_was_shown_before_its_commit_is_found() -> None:
    """A dirty read."""
    history = economy(precommitted_reads=1)
    assert failing(history) == {"precommitted-read"}
    assert claim_of(history, "EVT-ECONOMY").verdict is Verdict.FAIL
    assert unknown(economy(precommitted_reads=None)) == {"precommitted-read"}


# Consumers --------------------------------------------------------------------------------------------------------


def test_going_ahead_and_going_back_are_found_by_their_checks() -> None:
    """While the group was stable all the time."""
    assert failing(jumped((3, 6))) == {"poll-skip"}
    assert found(jumped((3, 6)), "poll-skip").count == 2
    assert failing(jumped((6, 3))) == {"nonmonotonic-poll"}
    assert finding_of(jumped((6, 3)), "nonmonotonic-poll").examples[0].detail == "core-0 went back from offset 6 to 3"
    assert failing(jumped((3, 4))) == set()


def test_a_rebalance_explains_a_jump() -> None:
    """So does a fault, after which members join anew; a receipt that was sent again is none."""
    moved = watched((0, "STABLE", 2), (5, "PREPARING_REBALANCING", 1), (7, "STABLE", 1))
    kill = fault("core-kill", at=5, until=6)
    for jump in ((3, 6), (6, 3)):
        assert failing(jumped(jump, groups=moved)) == set()
        assert "poll" not in "".join(failing(under(jumped(jump), kill)))
        assert "poll" in "".join(failing(under(jumped(jump, at_s=50), kill)))
        flooded = fault("publisher-flood", at=5, until=6)
        assert "poll" in "".join(failing(under(jumped(jump), flooded))), "a flood upsets no member"
    assert failing(jumped((3, 6), late=IntervalSet([(4, 5)]))) == set()


def test_without_the_groups_a_jump_can_be_anything() -> None:
    """Unknown, not failed: nobody knows whether the group was rebalanced."""
    for jump, name in (((3, 6), "poll-skip"), ((6, 3), "nonmonotonic-poll")):
        finding = finding_of(jumped(jump, groups=()), name)
        assert finding.verdict is Verdict.UNKNOWN
        assert "the groups were not watched to say whether they were rebalanced" in finding.summary


def test_a_rebalance_of_another_group_explains_no_jump() -> None:
    others = tuple(
        replace(sample, group="event-core-social")
        for sample in watched((0, "STABLE", 2), (5, "PREPARING_REBALANCING", 1), (7, "STABLE", 1))
    )
    for jump, name in (((3, 6), "poll-skip"), ((6, 3), "nonmonotonic-poll")):
        sound = jumped(jump)
        assert failing(replace(sound, groups=(*sound.groups, *others))) == {name}


def test_a_group_that_was_not_watched_for_a_while_may_have_been_rebalanced() -> None:
    """Which is no explanation: without one, it is unknown."""
    for jump, name in (((3, 6), "poll-skip"), ((6, 3), "nonmonotonic-poll")):
        sound = jumped(jump)
        seldom = tuple(sample for sample in sound.groups if not 2 < sample.t - sound.groups[0].t < 8)
        finding = finding_of(replace(sound, groups=seldom), name)
        assert finding.verdict is Verdict.UNKNOWN, finding.summary


def test_records_whose_offsets_were_not_kept_may_have_been_passed_over() -> None:
    history = jumped((3, 4))
    assert history.readback is not None
    (part,) = history.readback.partitions
    finding = finding_of(with_readback(history, partitions=(replace(part, offsets=None),)), "poll-skip")
    assert finding.verdict is Verdict.UNKNOWN
    assert "game.combat.events[0]: at which offsets its records lie was not recorded" in finding.summary


def test_jumps_that_were_not_recorded_are_not_known() -> None:
    history = jumped((3, 4))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    history = with_readback(history, receipts=(replace(receipts, jumps=None),))
    assert {"poll-skip", "nonmonotonic-poll"} <= unknown(history)
    assert "jumps was not recorded in history/readback.json" in finding_of(history, "poll-skip").summary


def test_a_record_that_nobody_handled_is_skipped_whatever_the_group_did() -> None:
    """Offsets were committed before the records were processed, and then the instance died."""
    history = jumped((3, 6), groups=watched((0, "STABLE", 2), (5, "STABLE", 1)))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    fewer = replace(receipts, accounted=IntervalSet([(0, 3), (6, 9)]), processed=8)
    history = with_readback(history, receipts=(fewer,))
    finding = found(history, "poll-skip")
    assert (finding.verdict, finding.count) == (Verdict.FAIL, 2)
    assert found(history, "conservation").verdict is Verdict.FAIL


def test_offsets_that_the_fresh_reader_saw_twice_are_found() -> None:
    history = jumped((3, 4))
    assert history.readback is not None
    (part,) = history.readback.partitions
    twice = with_readback(history, partitions=(replace(part, out_of_order_offsets=1),))
    assert failing(twice) == {"nonmonotonic-poll"}


# Leaders ----------------------------------------------------------------------------------------------------------


def led(*epochs: int | None) -> tuple[LeaderSample, ...]:
    """What the brokers said of a partition's leader, once a second."""
    return tuple(
        LeaderSample(t=START_S + i, topic="game.combat.events", partition=0, leader=1, epoch=epoch)
        for i, epoch in enumerate(epochs)
    )


def test_leader_epochs_only_grow_in_the_log() -> None:
    history = history_of(ack(0), read(0))
    part = EpochRead(topic="game.combat.events", partition=0, highest=0, decreases=1)
    assert failing(with_readback(history, epochs=(part,))) == {"leader-epoch"}
    unread = with_readback(history, epochs=None)
    finding = finding_of(unread, "leader-epoch")
    assert (finding.verdict, "no partitions with leader epochs" in finding.summary) == (Verdict.UNKNOWN, True)


def test_leader_epochs_only_grow_in_what_the_brokers_say() -> None:
    """One that is cut off may answer with what it knew; who does not answer says nothing."""
    history = history_of(ack(0), read(0))
    assert found(replace(history, leaders=led(3, 3, None, 4)), "leader-epoch").verdict is Verdict.PASS
    back = replace(history, leaders=led(3, 4, 3))
    assert found(back, "leader-epoch").examples[0].detail == "the epoch was 4, and 3 later (leader 1)"
    assert found(under(back, fault("cut", at=0, until=None)), "leader-epoch").verdict is Verdict.PASS
    assert found(under(back, fault("poison-breaker", at=0, until=None)), "leader-epoch").verdict is Verdict.FAIL


def test_an_epoch_that_goes_back_while_a_fault_is_missing_from_the_record_is_not_known() -> None:
    """The fault may be why it was said."""
    cut = fault("cut", at=0, until=None)
    history = under(replace(history_of(ack(0), read(0)), leaders=led(3, 4, 3)), cut)
    finding = finding_of(replace(history, faults=()), "leader-epoch")
    assert finding.verdict is Verdict.UNKNOWN
    assert "no faults that experiments have injected (history/faults.jsonl); missing: cut-1" in finding.summary


def test_an_ack_below_what_was_known_is_found() -> None:
    """The log had been cut back."""
    history = history_of(ack(0), read(0))
    (load,) = history.loads
    assert failing(replace(history, loads=(replace(load, acked_below_known=2),))) == {"acked-below-known"}
    assert unknown(replace(history, loads=(replace(load, acked_below_known=None),))) == {"acked-below-known"}
