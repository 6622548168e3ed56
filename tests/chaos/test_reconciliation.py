"""Reconciliation of committed offsets, outcomes and ledger, on books written by hand."""

from __future__ import annotations

from necp_validate.chaos.reconciliation import differences
from necp_validate.core.intervals import IntervalSet

COMBAT, ECONOMY = ("game.combat.events", 0), ("game.economy.events", 1)


def until(end: int) -> IntervalSet:
    return IntervalSet([(0, end - 1)])


def test_books_that_agree_have_no_differences() -> None:
    """A partition that nobody has written to is in none of them."""
    committed = {COMBAT: 10, ECONOMY: 5, ("game.social.events", 0): 0}

    assert differences(committed, {COMBAT: until(10), ECONOMY: until(5)}, {1: until(5)}, torn=0) == []
    assert differences({}, {}, {}, torn=0) == []


def test_committed_without_an_outcome_is_lost() -> None:
    """What a consumer commits before it processes."""
    outcomes = {COMBAT: IntervalSet([(0, 3), (6, 9)])}

    assert differences({COMBAT: 10}, outcomes, {}, torn=0) == [
        "game.combat.events-0: 2 events before the committed offset 10 have no outcome"
    ]
    assert differences({COMBAT: 10}, {}, {}, torn=0) == [
        "game.combat.events-0: 10 events before the committed offset 10 have no outcome"
    ]


def test_an_outcome_that_is_not_committed_will_come_again() -> None:
    """Consumers that are paused have committed all that they have handled."""
    assert differences({COMBAT: 7}, {COMBAT: until(10)}, {}, torn=0) == [
        "game.combat.events-0: 3 events with an outcome are not committed (at 7)"
    ]


def test_receipts_and_ledger_hold_the_same_events() -> None:
    """Each way, and a trade with one leg."""
    assert differences({ECONOMY: 5}, {ECONOMY: until(5)}, {1: until(4)}, torn=1) == [
        "1 trades in the ledger lack a leg",
        "game.economy.events-1: 1 events are in only one of receipts and ledger",
    ]
    assert differences({}, {}, {1: until(2)}, torn=0) == [
        "game.economy.events-1: 2 events are in only one of receipts and ledger"
    ]
