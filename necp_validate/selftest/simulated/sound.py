"""The sound simulated run, worked out once: at each stage, as its record, and what differs from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from necp_validate.selftest.contents import Contents
from necp_validate.selftest.simulated.record import Recorded, recorded
from necp_validate.selftest.simulated.simulation import Simulation, Stage, new_simulation


@lru_cache(maxsize=1)
def _stages() -> dict[Stage, Simulation]:
    return dict(new_simulation().through())


@lru_cache(maxsize=1)
def _sound() -> tuple[Recorded, Contents]:
    found = recorded(_stages()[Stage.READ])
    return found, found.contents()


def sound_contents() -> Contents:
    """The parts of its record; of a table that may be changed."""
    return dict(_sound()[1])


def contents_with(seed: Callable[[Simulation], None], after: Stage) -> Contents:
    """The parts of the record of a run that a defect was seeded into.

    Args:
        seed: the defect.
        after: the stage after which it is seeded; those that follow are gone through with it.
    """
    simulation = _stages()[after].copy()
    seed(simulation)
    simulation.go(after)
    return recorded(simulation, _sound()[0]).contents()
