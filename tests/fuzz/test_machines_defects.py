"""Every machine finds the defects that it is there for, and tells them in a few steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import broken_handlers as broken

from necp_validate.events.economy import RewardV1, TradeV1, TransferV2
from necp_validate.fuzz.machines import MACHINES, Alone
from necp_validate.fuzz.machines.play import Found, play
from necp_validate.reference.eventcore.handling import Handler

FEW = 6
"""Hypothesis mostly ends with one to three steps; not always with the fewest that there are."""


def _clocked(handler: type) -> Callable[[], Handler]:
    """Make an economy whose market data are due with every transaction."""
    ticks = iter(range(10, 10**9, 10))
    return lambda: handler(clock_s=lambda: float(next(ticks)))


def _find(
    domain: str,
    make_handler: Callable[[], Handler] | None,
    patch: AbstractContextManager[None] | None = None,
    *,
    steps: int = 20,
) -> Found:
    machine = MACHINES[domain]
    with patch or nullcontext():
        found = play(machine, lambda: Alone(machine.domain, make_handler), seed=7, examples=100, steps=steps)
    assert found is not None, "the defect was not found"
    print(f"\n{found.example}\n{found.error}")
    assert len(_steps(found)) <= FEW
    return found


def _steps(found: Found) -> list[str]:
    """The steps between the machine's beginning and its end; it is all the same which of the two hands over."""
    return [step for step in found.example.splitlines()[1:-1] if step != "state.commit()"]


def test_a_handler_that_throws_on_a_rare_value() -> None:
    """A memo of one character is enough, and it is the first that the encoding does not have."""
    found = _find("economy", None, broken.rule_replaced(TransferV2, broken.throws_on_some_memos))
    step = _steps(found)[-1]
    assert "transfer(" in step
    assert "memo='\u0100'" in step
    assert "ended as dead_lettered, expected" in found.error


def test_money_in_floating_point() -> None:
    """A reward, or a refund, of more than 2**53: the ledger has its neighbour."""
    found = _find("economy", None, broken.rule_replaced(RewardV1, broken.reward_in_floats))
    assert re.search(r"state.(reward|refund)\(", _steps(found)[-1])
    booked, right = map(int, re.findall(r"amount=(\d+)", found.error)[:2])
    assert right > 2**53
    assert booked == int(float(right)) != right


def test_a_trade_that_is_half_applied() -> None:
    """The goods are gone, although nobody could pay."""
    found = _find("economy", None, broken.rule_replaced(TradeV1, broken.trade_half_applied))
    step = _steps(found)[-1]
    assert "trade(" in step
    assert "moves in the ledger" in found.error


def test_a_retry_that_pays_twice() -> None:
    """A reward, and the same again."""
    found = _find("economy", _clocked(broken.PaysRetries))
    assert "state.retry(" in _steps(found)[-1]
    assert "RewardV1(" in found.error
    assert "ended as processed, expected rejected" in found.error


def test_a_retry_that_pays_twice_after_a_crash() -> None:
    """Somebody acts, the event core dies, and the same comes again."""
    found = _find("economy", _clocked(broken.PaysRetriesAfterCrash))
    assert "state.crash(" in found.example
    assert "state.retry" in found.example
    assert "ended as processed, expected rejected" in found.error


def test_a_torn_trade() -> None:
    """One leg is in the ledger, the other is not."""
    found = _find("economy", _clocked(broken.TearsTrades))
    step = _steps(found)[-1]
    assert "trade(" in step
    assert "moves in the ledger" in found.error


def test_books_of_a_transaction_that_was_aborted() -> None:
    """A payment in a transaction that was aborted counts, although it is to come again."""
    found = _find("economy", _clocked(broken.KeepsWhatWasAborted))
    assert "crash(when=<Crash.ABORTED" in found.example


def test_a_damage_check_that_is_off_by_one() -> None:
    """One point too many, with the first weapon of the table."""
    found = _find("combat", None, broken.damage_off_by_one())
    assert "over_damage=1" in _steps(found)[-1]
    assert "ended as processed, expected rejected" in found.error


def test_a_cooldown_check_that_is_off_by_one() -> None:
    """One millisecond too early."""
    found = _find("combat", broken.CooldownOffByOne)
    step = _steps(found)[-1]
    assert "cast(" in step
    assert "over_ms=1" in step


def test_chat_in_the_wrong_order() -> None:
    """Two messages in one channel, by two senders."""
    found = _find("social", broken.ReordersChat)
    assert [step.count("state.say") for step in _steps(found)[-2:]] == [1, 1]
    assert "chat, " in found.error


def test_a_leader_who_just_leaves() -> None:
    """Without a successor, and nobody asks."""
    found = _find("social", broken.ForgetsTheLeader)
    step = _steps(found)[-1]
    assert "leave(" in step
    assert "rank='leader'" in step
    assert "successor=None" in step
    assert "ended as processed, expected rejected" in found.error


def test_a_rejected_founding_that_counts() -> None:
    """Somebody leads a guild that never was: nobody else can found it, and they cannot be thrown out of it."""
    found = _find("social", broken.RejectedFoundingCounts, steps=60)
    assert "state.found(" in found.example
    assert "ended as rejected, expected processed" in found.error
