"""Checks of transactions, the economy's books, consumers and leaders, each on a history of a few operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, ack, failing, found, history_of, read, unknown

from necp_validate.claims import judge_claims, run_checks
from necp_validate.core import Verdict
from necp_validate.record import (
    EpochRead,
    FaultRecord,
    GroupSample,
    History,
    IntervalSet,
    Jump,
    LeaderSample,
    LedgerRead,
    OutcomesSeen,
)

TOPIC = "game.economy.events"
S = 1_000_000
BOOK = LedgerRead(partition=0, covered=IntervalSet([(0, 2)]), entries=3, moved={"eddies": 30, "ammo": 2})


def economy(*, book: LedgerRead = BOOK, stakes: dict[str, int] | None = None, **load_changes: Any) -> History:
    """Three events of the economy, booked in one batch; what they move is known."""
    history = history_of(*(ack(n) for n in range(3)), *(read(n) for n in range(3)), domain="economy")
    (load,), readback = history.loads, history.readback
    assert readback is not None
    seen = (OutcomesSeen(topic=TOPIC, partition=0, seen=IntervalSet([(0, 2)])),)
    load = replace(load, outcomes_seen=seen, stakes={"economy": stakes or {"money": 30, "goods": 2}})
    return replace(history, loads=(replace(load, **load_changes),), readback=replace(readback, ledger=(book,)))


def test_sound_books_pass() -> None:
    """And the claim about them with its figures."""
    history = economy()
    assert set() == failing(history)
    assert set() == unknown(history)
    (claim,) = judge_claims(history, run_checks(history), ["EVT-ECONOMY"])
    assert (claim.verdict, claim.measured) == (Verdict.PASS, "0 anomalies in 3 entries")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"covered": IntervalSet([(0, 1)]), "entries": 2}, "torn-transaction"),
        ({"covered": IntervalSet([(0, 3)]), "entries": 4}, "conserved-economy"),
        ({"entries": 2}, "torn-transaction"),
        ({"torn": 1}, "torn-transaction"),
        ({"covered_twice": 3}, "double-booking"),
        ({"repeated": 1}, "double-booking"),
        ({"overdrawn": 1}, "conserved-economy"),
        ({"unfounded": 1}, "conserved-economy"),
        ({"moved": {"eddies": 31, "ammo": 2}}, "conserved-economy"),
        ({"moved": {"eddies": 30}}, "conserved-economy"),
    ],
)
def test_each_wrong_in_the_books_is_found_by_its_check(changes: dict[str, Any], check: str) -> None:
    """A batch that covers an offset without a record is no record's: only what lies in the topic counts."""
    history = economy(book=replace(BOOK, **changes))
    if "covered" in changes and changes["covered"].count == 4:
        assert {"torn-transaction"} == failing(history)
        return
    assert {check} == failing(history)


def test_totals_are_not_compared_where_nobody_can_know_them() -> None:
    """One event has no ack: whether its money moved is open."""
    history = economy(stakes={"money": 99, "goods": 2})
    assert {"conserved-economy"} == failing(history)
    (load,) = history.loads
    (stream,) = load.streams
    open_ended = replace(stream, sent=4, unknown=IntervalSet([(3, 3)]))
    history = replace(history, loads=(replace(load, streams=(open_ended,)),))
    assert set() == failing(history)
    assert "not comparable" in found(history, "conserved-economy").summary


def test_trades_of_the_receipts_must_be_in_the_ledger_with_both_legs() -> None:
    """The receipts count two trades, the ledger has one whole."""
    history = economy(book=replace(BOOK, trades=1))
    assert history.readback is not None
    history = replace(history, readback=replace(history.readback, totals={"economy": {"economy.trade": 2}}))
    assert {"torn-transaction"} == failing(history)


def test_without_a_ledger_nothing_is_known_of_the_books() -> None:
    """And without economy traffic there is nothing to know."""
    history = economy()
    assert history.readback is not None
    history = replace(history, readback=replace(history.readback, ledger=None))
    assert {"torn-transaction", "double-booking", "conserved-economy"} == unknown(history)
    assert found(history_of(ack(0), read(0)), "torn-transaction").verdict is Verdict.PASS


def test_an_outcome_that_was_seen_and_is_gone_was_read_from_an_aborted_transaction() -> None:
    """G1a; that the watcher saw less than there is proves nothing."""
    gone = (OutcomesSeen(topic=TOPIC, partition=0, seen=IntervalSet([(0, 4)])),)
    elsewhere = (OutcomesSeen(topic=TOPIC, partition=5, seen=IntervalSet([(0, 1)])),)

    assert {"aborted-read"} == failing(economy(outcomes_seen=gone))
    assert found(economy(outcomes_seen=gone), "aborted-read").count == 2
    assert found(economy(outcomes_seen=elsewhere), "aborted-read").count == 2
    assert set() == failing(economy(outcomes_seen=()))
    assert {"aborted-read", "precommitted-read"} == unknown(economy(outcomes_seen=None))


def test_a_record_that_was_shown_before_its_commit_is_found() -> None:
    """A dirty read."""
    assert {"precommitted-read"} == failing(economy(precommitted_reads=1))


def jumped(jump: tuple[int, int], *, at_s: float = 10, **changes: Any) -> History:
    """Ten combat events, handled by one instance that jumps from one offset to another."""
    history = history_of(*(ack(n) for n in range(10)), *(read(n) for n in range(10)))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    at_us = round((START_S + at_s) * S)
    made = Jump(instance="core-0", after=jump[0], first=jump[1], from_us=at_us, to_us=at_us + 10_000)
    late = changes.pop("late", IntervalSet())
    receipts = replace(receipts, jumps=(made,), late=late)
    return replace(history, readback=replace(history.readback, receipts=(receipts,)), **changes)


def watched(*states: tuple[float, str, int]) -> tuple[GroupSample, ...]:
    return tuple(
        GroupSample(
            t=START_S + second,
            group="event-core-combat",
            state=[state for at, state, _ in states if at <= second][-1],
            members=[members for at, _, members in states if at <= second][-1],
        )
        for second in range(60)
    )


STABLE = watched((0, "STABLE", 2))


def test_going_ahead_and_going_back_are_found_by_their_checks() -> None:
    """While the group was stable all the time."""
    assert {"poll-skip"} == failing(jumped((3, 6), groups=STABLE))
    assert found(jumped((3, 6), groups=STABLE), "poll-skip").count == 2
    assert {"nonmonotonic-poll"} == failing(jumped((6, 3), groups=STABLE))


def test_a_rebalance_explains_a_jump() -> None:
    """So does a fault, after which members join anew; a receipt that was sent again is none."""
    moved = watched((0, "STABLE", 2), (10, "PREPARING_REBALANCING", 1), (12, "STABLE", 1))
    kill = FaultRecord(
        id="core-kill-1",
        experiment="core-kill",
        kind="core-kill",
        target="core-1",
        begin_us=(START_S + 5) * S,
        effective_us=(START_S + 5) * S,
        evidence="pid 1 gone",
        end_us=(START_S + 6) * S,
    )
    for jump in ((3, 6), (6, 3)):
        assert set() == failing(jumped(jump, groups=moved))
        assert set() == failing(jumped(jump, groups=STABLE, faults=(kill,)))
        assert set() != failing(jumped(jump, at_s=50, groups=STABLE, faults=(kill,)))
    assert set() == failing(jumped((3, 6), groups=STABLE, late=IntervalSet([(4, 5)])))


def test_without_the_groups_a_jump_can_be_anything() -> None:
    """Unknown, not failed."""
    assert {"poll-skip"} == unknown(jumped((3, 6)))
    assert {"nonmonotonic-poll"} == unknown(jumped((6, 3)))


def test_a_record_that_nobody_handled_is_skipped_whatever_the_group_did() -> None:
    """Offsets were committed before the records were processed, and then the instance died."""
    history = jumped((3, 6), groups=watched((0, "STABLE", 2), (10, "STABLE", 1)))
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    fewer = replace(receipts, accounted=IntervalSet([(0, 3), (6, 9)]), processed=8)
    history = replace(history, readback=replace(history.readback, receipts=(fewer,)))
    assert {"poll-skip", "conservation"} == failing(history)
    assert found(history, "poll-skip").count == 2


def test_leader_epochs_only_grow() -> None:
    """In the log, and in what the brokers say; one that is cut off may answer with what it knew."""
    history = history_of(ack(0), read(0))
    assert history.readback is not None
    part = EpochRead(topic="game.combat.events", partition=0, highest=5, decreases=1)
    assert {"leader-epoch"} == failing(replace(history, readback=replace(history.readback, epochs=(part,))))

    def seen(*epochs: int | None) -> tuple[LeaderSample, ...]:
        return tuple(
            LeaderSample(t=START_S + i, topic="t", partition=0, leader=1, epoch=epoch) for i, epoch in enumerate(epochs)
        )

    assert set() == failing(replace(history, leaders=seen(3, 3, None, 4)))
    assert {"leader-epoch"} == failing(replace(history, leaders=seen(3, 4, 3)))
    cut = FaultRecord(
        id="cut-1",
        experiment="cut",
        kind="cut",
        target="broker-1",
        begin_us=START_S * S,
        effective_us=START_S * S,
        evidence="",
        end_us=None,
    )
    assert set() == failing(replace(history, leaders=seen(3, 4, 3), faults=(cut,)))
    unread = replace(history, readback=replace(history.readback, epochs=None))
    assert {"leader-epoch"} == unknown(unread)


def test_an_ack_below_what_was_known_is_found() -> None:
    """The log had been cut back."""
    history = history_of(ack(0), read(0))
    assert {"acked-below-known"} == failing(replace(history, loads=(replace(history.loads[0], acked_below_known=2),)))
