"""The machine of the economy finds the defects that it is there for, and tells them in a few steps."""

from __future__ import annotations

import re
from collections.abc import Callable

import broken_handlers as broken
from finding import find_story, steps_of

from necp_validate.events.economy import RewardV1, TradeV1, TransferV2
from necp_validate.reference.eventcore.handling import Handler


def _clocked(handler: type) -> Callable[[], Handler]:
    """Make an economy whose market data are due with every transaction."""
    ticks = iter(range(10, 10**9, 10))
    return lambda: handler(clock_s=lambda: float(next(ticks)))


def test_a_handler_that_throws_on_a_rare_value() -> None:
    """A memo of one character is enough, and it is the first that the encoding does not have."""
    found = find_story("economy", None, broken.rule_replaced(TransferV2, broken.throws_on_some_memos))
    step = steps_of(found)[-1]
    assert "transfer(" in step
    assert "memo='\u0100'" in step
    assert "ended as dead_lettered, expected" in found.error


def test_money_in_floating_point() -> None:
    """A reward, or a refund, of more than 2**53: the ledger has its neighbour."""
    found = find_story("economy", None, broken.rule_replaced(RewardV1, broken.reward_in_floats))
    assert re.search(r"state.(reward|refund)\(", steps_of(found)[-1])
    booked, right = map(int, re.findall(r"amount=(\d+)", found.error)[:2])
    assert right > 2**53
    assert booked == int(float(right)) != right


def test_a_trade_that_is_half_applied() -> None:
    """The goods are gone, although nobody could pay."""
    found = find_story("economy", None, broken.rule_replaced(TradeV1, broken.trade_half_applied))
    step = steps_of(found)[-1]
    assert "trade(" in step
    assert "moves in the ledger" in found.error


def test_a_retry_that_pays_twice() -> None:
    """A reward, and the same again."""
    found = find_story("economy", _clocked(broken.PaysRetries))
    assert any("state.retry(" in step for step in steps_of(found))
    assert "RewardV1(" in found.error
    assert "ended as processed, expected rejected" in found.error


def test_a_retry_that_pays_twice_after_a_crash() -> None:
    """Somebody acts, the event core dies, and the same comes again."""
    found = find_story("economy", _clocked(broken.PaysRetriesAfterCrash))
    assert "state.crash(" in found.example
    assert "state.retry" in found.example
    assert "ended as processed, expected rejected" in found.error


def test_a_torn_trade() -> None:
    """One leg is in the ledger, the other is not."""
    found = find_story("economy", _clocked(broken.TearsTrades))
    step = steps_of(found)[-1]
    assert "trade(" in step
    assert "moves in the ledger" in found.error


def test_books_of_a_transaction_that_was_aborted() -> None:
    """A payment in a transaction that was aborted counts, although it is to come again."""
    found = find_story("economy", _clocked(broken.KeepsWhatWasAborted))
    assert "crash(when=<Crash.ABORTED" in found.example
