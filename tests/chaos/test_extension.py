"""The extension as Chaos Toolkit sees it: what it discovers, that every fault has a way back, that words hold."""

from __future__ import annotations

import inspect

import pytest
from chaoslib.discovery.package import get_discover_function

import necp_validate
from necp_validate.chaos import actions, probes, tolerances
from necp_validate.chaos.registry import FAULTS
from necp_validate.chaos.roles import ROLES, parse_role
from necp_validate.chaos.session import current
from necp_validate.clients.connection import Fields
from necp_validate.clients.wire import leader_of_quorum
from necp_validate.core import SuiteError, UsageError
from necp_validate.stack.protocol import FAULT_KINDS


def test_chaos_discover_finds_every_activity_with_typed_arguments() -> None:
    # Chaos Toolkit finds the package by the files of an installed wheel; what it then calls is this.
    found = get_discover_function(necp_validate)(discover_system=False)
    activities = {activity["name"]: activity for activity in found["activities"]}
    assert set(activities) == {*actions.__all__, *probes.__all__, *tolerances.__all__}
    kinds = {"string", "number", "integer", "boolean", "list"}
    for activity in activities.values():
        assert activity["doc"], activity["name"]
        assert {argument["type"] for argument in activity["arguments"]} <= kinds, activity["name"]
    assert activities["kill_broker"]["arguments"] == [{"name": "role", "default": "leader", "type": "string"}]


def test_every_fault_names_its_rollback_and_what_it_needs() -> None:
    for name, fault in FAULTS.items():
        assert name in actions.__all__
        assert fault.rollback is None or fault.rollback in actions.__all__
        assert set(fault.needs) <= set(FAULT_KINDS)
        text = inspect.getdoc(getattr(actions, name)) or ""
        assert fault.rollback is None or f"Rollback: {fault.rollback}." in " ".join(text.split())


def test_outside_of_a_run_an_action_says_what_is_missing() -> None:
    with pytest.raises(SuiteError, match="no run is going on") as caught:
        current()
    assert "necp_validate.chaos.controls" in (caught.value.hint or "")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_be_written_alone(role: str) -> None:
    assert parse_role(role).name == role


def test_a_role_can_name_its_partition_or_group() -> None:
    leader = parse_role("leader:game.economy.events-11")
    assert (leader.topic, leader.partition) == ("game.economy.events", 11)
    assert parse_role("coordinator:event-core-economy").group == "event-core-economy"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("leaderr", 'did you mean "leader"?'),
        ("2", "roles: leader"),
        ("leader:game.combat.event-1", 'did you mean "game.combat.events"?'),
        ("leader:game.combat.events", "write it as game.combat.events-3"),
        ("controller:x", "the active controller"),
        ("coordinator:event-core-combt", 'did you mean "event-core-combat"?'),
    ],
)
def test_a_role_that_is_none_is_refused(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_role(text)
    assert hint in (caught.value.hint or "")


def test_the_active_controller_is_read_out_of_a_brokers_answer() -> None:
    """As a broker of Kafka 4.1 sent it: controller 3 in epoch 4."""
    topic = b"\x13__cluster_metadata"
    partition = b"\x00\x00\x00\x00" + b"\x00\x00" + b"\x00\x00\x00\x03" + b"\x00\x00\x00\x04"
    answer = b"\x00\x00" + b"\x02" + topic + b"\x02" + partition
    assert leader_of_quorum(Fields(answer)) == 3
    with pytest.raises(LookupError):
        leader_of_quorum(Fields(answer.replace(b"\x00\x00\x00\x03", b"\xff\xff\xff\xff")))


@pytest.mark.parametrize(
    ("value", "expected"), [(0, (True, False, False)), (5, (True, True, True)), (6, (False, True, True))]
)
def test_tolerances_include_their_limits(value: float, expected: tuple[bool, bool, bool]) -> None:
    found = (tolerances.at_most(5, value), tolerances.at_least(5, value), tolerances.between(1, 9, value))
    assert found == expected
