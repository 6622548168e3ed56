"""How the tests of seeded defects look for one: the same stories every time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from necp_validate.fuzz.machines import MACHINES, Alone
from necp_validate.fuzz.machines.play import Found, play
from necp_validate.reference.eventcore.handling import Handler

FEW = 6
"""Hypothesis mostly ends with one to three steps; not always with the fewest that there are."""


def find_story(
    domain: str,
    make_handler: Callable[[], Handler] | None,
    patch: AbstractContextManager[None] | None = None,
    *,
    steps: int = 20,
) -> Found:
    """Play a machine on a broken handler until it has found the defect, and print the shortest story."""
    machine = MACHINES[domain]
    with patch or nullcontext():
        found = play(machine, lambda: Alone(machine.domain, make_handler), seed=7, examples=100, steps=steps)
    assert found is not None, "the defect was not found"
    print(f"\n{found.example}\n{found.error}")
    assert len(steps_of(found)) <= FEW
    return found


def steps_of(found: Found) -> list[str]:
    """The steps between the machine's beginning and its end; it is all the same which of the two hands over."""
    return [step for step in found.example.splitlines()[1:-1] if step != "state.commit()"]
