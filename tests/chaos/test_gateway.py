"""Breaking the gateway: a stand-in for it really dies, freezes and is replaced; the link's effect must be counted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from chaoslib.exceptions import ActivityFailed

from necp_validate.chaos import actions, probes
from necp_validate.chaos.session import Session, opened
from necp_validate.core import StackError
from necp_validate.record import parts
from necp_validate.stack import GatewayHandle, Stack
from necp_validate.stack.fleet import CoreFleet, GatewayFleet
from necp_validate.stack.gateway import PlayersAddress, gateway_environment, start_gateway_process

STAND_IN = [sys.executable, str(Path(__file__).parents[1] / "stack" / "gateway_stand_in.py")]


class FakeStack:
    """A stack that starts stand-ins, and whose link to players is a number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = PlayersAddress.free("127.0.0.1")
        self.slowed: list[tuple[str, float, float]] = []
        self.packets = 0

    def start_gateway(self, instance: str, env: Mapping[str, str]) -> GatewayHandle:
        given = {**gateway_environment(self._address, "c", "k", "a"), **env}
        log = self._folder / f"{instance}.log"
        return start_gateway_process(
            instance, {"bootstrap.servers": "x"}, given, self._address, log=log, command=STAND_IN
        )

    def slow(self, node: str, *, delay_ms: float, loss: float = 0.0) -> None:
        self.slowed.append((node, delay_ms, loss))

    def touched_packets(self, node: str) -> int:
        self.packets += 7 if self.slowed else 0
        return self.packets

    def heal(self) -> None:
        self.slowed.clear()

    def check_alive(self) -> None: ...

    def undo_faults(self) -> None: ...


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    stack = FakeStack(tmp_path)
    gateways = GatewayFleet(cast(Stack, stack))
    session = Session(cast(Stack, stack), CoreFleet(cast(Stack, stack)), tmp_path, gateways=gateways)
    session.enter("x", ["DUR-ACKED"])
    try:
        gateways.start(1)
        with opened(session):
            yield session
    finally:
        gateways.close()


def the_gateway(session: Session) -> GatewayHandle:
    assert session.gateways is not None
    (gateway,) = session.gateways.running()
    return gateway


def test_a_killed_gateway_is_seen_gone_and_replaced_at_its_address(session: Session) -> None:
    before = the_gateway(session)
    told = actions.kill_gateway()
    assert (told["target"], told["evidence"]) == ("gateway-0", f"pid {before.pid} gone")
    session.check_alive()  # it was killed on purpose
    assert not probes.gateway_answers()
    assert probes.players_online() == 0
    assert actions.replace_gateway() == {"undone": 1}
    after = the_gateway(session)
    assert (after.name, after.websocket_url) == ("gateway-1", before.websocket_url)
    assert probes.gateway_answers()
    assert (probes.players_online(at_least=3), probes.gateway_hz()) == (3, 20.0)
    (record,) = parts.FAULTS.read(session.run_dir)
    assert (record.kind, record.target) == ("gateway-kill", "gateway-0")
    assert record.effective_us is not None
    assert record.end_us is not None


def test_a_frozen_gateway_is_seen_mute_and_goes_on(session: Session) -> None:
    told = actions.pause_gateway()
    assert "is there, and /health gave no answer" in str(told["evidence"])
    assert actions.resume_gateway() == {"undone": 1}
    assert probes.gateway_answers(within_s=10)
    assert [record.kind for record in parts.FAULTS.read(session.run_dir)] == ["gateway-pause"]


def test_a_bad_line_counts_when_datagrams_were_touched(session: Session) -> None:
    stack = cast(FakeStack, session.stack)
    told = actions.lossy_gateway_link(loss=0.1, delay_ms=40)
    assert stack.slowed == [("gateway", 40, 0.1)]
    assert told["target"] == "gateway-0: 10.0% of the players' datagrams lost, 40 ms later"
    assert told["evidence"] == "7 datagrams lost or held back by the kernel's count"
    assert actions.heal_gateway_link() == {"undone": 1}
    assert stack.slowed == []


def test_a_gateway_that_dies_by_itself_breaks_the_run_off(session: Session) -> None:
    the_gateway(session).kill()
    with pytest.raises(StackError, match="gateway gateway-0 died under load"):
        session.check_alive()


def test_whatever_is_in_force_is_undone_with_the_run(session: Session) -> None:
    gateway = the_gateway(session)
    actions.pause_gateway()
    session.close()
    assert not gateway.paused()


def test_without_players_there_is_nothing_to_break(tmp_path: Path) -> None:
    stack = cast(Stack, FakeStack(tmp_path))
    with opened(Session(stack, CoreFleet(stack), tmp_path)):
        with pytest.raises(ActivityFailed, match="needs a scenario with players"):
            actions.kill_gateway()
        assert not probes.gateway_answers()
