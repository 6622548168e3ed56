"""The session: a fault is proven, recorded, and undone on every way out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from necp_validate.chaos.session import Interrupted, Session
from necp_validate.core import StackError
from necp_validate.record import parts
from necp_validate.stack import Stack
from necp_validate.stack.fleet import CoreFleet
from necp_validate.stack.protocol import FaultUnavailable


class Nothing:
    """A stack in which nothing is left to be undone."""

    def undo_faults(self) -> None: ...


class World:
    """Something that can be broken."""

    def __init__(self, tmp_path: Path) -> None:
        self.broken = False
        stack = cast(Stack, Nothing())
        self.session = Session(stack, CoreFleet(stack), tmp_path)
        self.session.enter("broker-kill", ["FT-BROKER"])
        self.run_dir = tmp_path

    def break_it(self) -> None:
        self.broken = True

    def mend(self) -> None:
        self.broken = False

    def inject(self, **changes: Any) -> None:
        parts: dict[str, Any] = {
            "do": self.break_it,
            "seen": lambda: "pid 1 gone" if self.broken else "",
            "undo": self.mend,
            "within_s": 0.0,
        }
        self.session.inject("broker-kill", "broker-1", **{**parts, **changes})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_fault_is_recorded_when_it_is_over(world: World) -> None:
    world.inject()
    assert world.broken
    assert parts.FAULTS.read(world.run_dir) == ()
    assert world.session.undo("broker-kill") == 1
    (record,) = parts.FAULTS.read(world.run_dir)
    assert (record.id, record.experiment, record.claims) == ("broker-kill-1", "broker-kill", ("FT-BROKER",))
    assert record.evidence == "pid 1 gone"
    assert record.begin_us <= (record.effective_us or 0) <= (record.end_us or 0)
    assert world.session.undo() == 0


def test_a_fault_that_was_never_seen_has_no_effective_time(world: World) -> None:
    world.inject(do=lambda: None)
    world.session.close()
    (record,) = parts.FAULTS.read(world.run_dir)
    assert record.effective_us is None
    assert record.evidence == "no effect was seen within 0 s"


def test_what_the_stack_cannot_do_is_recorded_with_what_it_needs(world: World) -> None:
    def refuse() -> None:
        raise FaultUnavailable("needs root and iptables")

    with pytest.raises(FaultUnavailable):
        world.inject(do=refuse)
    (record,) = parts.FAULTS.read(world.run_dir)
    assert (record.needs, record.effective_us, record.end_us) == ("needs root and iptables", None, None)
    assert world.session.needs == "needs root and iptables"
    assert world.session.in_force == ()


def test_a_fault_that_failed_half_way_is_undone_all_the_same(world: World) -> None:
    def half() -> None:
        world.broken = True
        raise StackError("something else went wrong")

    with pytest.raises(StackError, match="something else"):
        world.inject(do=half)
    world.session.close()
    assert not world.broken
    (record,) = parts.FAULTS.read(world.run_dir)
    assert record.effective_us is None
    assert record.end_us is not None


def test_whoever_waits_comes_back_when_the_run_is_stopped(world: World) -> None:
    raised = threading.Event()

    def hold() -> None:
        with pytest.raises(Interrupted):
            world.session.wait(60)
        raised.set()

    thread = threading.Thread(target=hold)
    thread.start()
    world.session.stop()
    assert raised.wait(10)
    thread.join()
    with pytest.raises(Interrupted):
        world.inject()
    assert not world.broken


def test_the_last_fault_is_undone_first_and_one_that_cannot_be_does_not_keep_the_others(world: World) -> None:
    order: list[str] = []

    def stuck() -> None:
        raise StackError("it does not start")

    world.inject(undo=lambda: order.append("first"))
    world.inject(undo=stuck)
    world.inject(undo=lambda: order.append("third"))
    with pytest.raises(StackError, match="could not be undone"):
        world.session.close()
    assert order == ["third", "first"]
    ended = {record.id: record.end_us is not None for record in parts.FAULTS.read(world.run_dir)}
    assert ended == {"broker-kill-1": True, "broker-kill-2": False, "broker-kill-3": True}
