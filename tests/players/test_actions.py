"""The ends of actions, as a player keeps account of them."""

from __future__ import annotations

import pytest
from test_agenda import planned

from necp_validate.events.combat import DamageV2
from necp_validate.events.topics import Domain
from necp_validate.players.account import Account
from necp_validate.players.actions import SessionActions
from necp_validate.realtime.messages import Accepted, Refused, Result, Summary

STREAM = "0a1b2c3d"
HIT = DamageV2(
    attacker="a", target="b", weapon="pistol", damage=1, armour=0, critical=False, zone="torso", distance_cm=1,
    shots=1, window_ms=0,
)  # fmt: skip


@pytest.fixture
def account() -> Account:
    return Account(planned(("steady", 10, 1)), "p0", 0)


@pytest.fixture
def actions(account: Account) -> SessionActions:
    return SessionActions(account, {str(Domain.COMBAT): (STREAM, Domain.COMBAT.topic, "match-1")})


def begin(actions: SessionActions, *, by_udp: bool = False) -> int:
    return actions.begin("hit", str(Domain.COMBAT), 1, HIT, by_udp=by_udp)


def accept(actions: SessionActions, number: int) -> None:
    actions.accepted(
        Accepted(n=number, event=f"{STREAM}-{0:012d}", topic=Domain.COMBAT.topic, partition=0, offset=5), 2
    )


def ends(account: Account) -> dict[str, int]:
    return {end: count for end, count in account.record().actions.get("hit", {}).items() if count}


def test_an_accepted_action_that_is_given_up_at_the_end_has_its_end(account: Account, actions: SessionActions) -> None:
    number = begin(actions)
    accept(actions, number)
    actions.refused(Refused(n=number, reason="unavailable"))
    actions.close(Summary(udp_actions=[], ws_actions=[(1, 1)], datagrams_in=0, dropped={}))
    assert (ends(account), account.answered_twice) == ({"unavailable": 1}, 0)


def test_a_refusal_for_another_reason_after_acceptance_is_one_answer_too_many(
    account: Account, actions: SessionActions
) -> None:
    number = begin(actions)
    accept(actions, number)
    actions.refused(Refused(n=number, reason="rate-limited"))
    assert account.answered_twice == 1
    actions.result(Result(n=number, outcome="processed"), 3)
    assert ends(account) == {"processed": 1}


def test_an_accepted_action_without_any_end_is_unexplained(account: Account, actions: SessionActions) -> None:
    accept(actions, begin(actions, by_udp=True))
    actions.close(Summary(udp_actions=[(1, 1)], ws_actions=[], datagrams_in=1, dropped={}))
    assert ends(account) == {"unexplained": 1}
