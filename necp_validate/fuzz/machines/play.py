"""Plays machines: by Hypothesis, from a seed, and tells the shortest story that goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from necp_validate.core import SuiteError
from necp_validate.fuzz.machines.driver import Driver
from necp_validate.fuzz.machines.machine import DomainMachine

EXAMPLES: Final = 50
"""Stories of one length in a round; a seed means the same stories only together with these numbers."""
STEPS: Final = 40
SHORT_STEPS: Final = (3, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A story that goes wrong.

    Args:
        error: what is wrong in the end.
        example: the steps, as Python would take them.
    """

    error: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one machine's stories of one seed.

    Args:
        machine: the machine's name.
        seed: repeats the round.
        found: the shortest story that goes wrong, if there is one.
        elapsed_s: how long it took.
    """

    machine: str
    seed: int
    found: Found | None
    elapsed_s: float


def play(
    machine: type[DomainMachine],
    make_driver: Callable[[], Driver],
    *,
    seed: int,
    examples: int = EXAMPLES,
    steps: int = STEPS,
    shrink: bool = True,
) -> Found | None:
    """Play stories until one goes wrong, and shorten it; None if none does.

    Short stories come first: they cost little, and what they find is told in few steps without much shortening.

    Args:
        machine: what tells the stories.
        make_driver: makes a driver for each story.
        seed: the same seed gives the same stories, as long as the drivers do the same.
        examples: so many stories of each length.
        steps: so many steps in the longest stories.
        shrink: whether a story is shortened, which plays many more.

    Raises:
        SuiteError: the driver itself could not do its work.
    """
    for length in (*(short for short in SHORT_STEPS if short < steps), steps):
        found = _play(machine, make_driver, seed=seed, examples=examples, steps=length, shrink=shrink)
        if found is not None:
            return found
    return None


def _play(
    machine: type[DomainMachine],
    make_driver: Callable[[], Driver],
    *,
    seed: int,
    examples: int,
    steps: int,
    shrink: bool,
) -> Found | None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run: Callable[..., None] = run_state_machine_as_test  # the library says nothing of its types
    try:
        run(seeded(seed)(lambda: machine(make_driver())), settings=chosen)
    except SuiteError:
        raise
    except Exception as error:
        steps_told = _steps(error)
        if not steps_told:
            raise
        return Found(error=str(error) or repr(error), example="\n".join(steps_told))
    return None


def play_for(
    machines: Iterable[type[DomainMachine]],
    make_driver: Callable[[type[DomainMachine]], Driver],
    *,
    max_time_s: float,
    seed: int,
    examples: int = EXAMPLES,
) -> Iterator[Round]:
    """Play one round of each machine after the other, with the next seed each time around, until time is up.

    The first time around is played in any case; a machine that has found something is not played again.

    Args:
        machines: what tells the stories.
        make_driver: makes a driver of a machine's domain.
        max_time_s: no round begins later than this.
        seed: of the first time around.
        examples: so many stories in a round.
    """
    left = list(machines)
    first, deadline = seed, time.monotonic() + max_time_s
    while left:
        for machine in tuple(left):
            if seed > first and time.monotonic() >= deadline:
                return
            started = time.monotonic()
            found = play(machine, partial(make_driver, machine), seed=seed, examples=examples)
            if found is not None:
                left.remove(machine)
            elapsed_s = time.monotonic() - started
            yield Round(machine=machine.domain.value, seed=seed, found=found, elapsed_s=elapsed_s)
        seed += 1


def _steps(error: BaseException) -> list[str]:
    """Give the steps that Hypothesis has noted at an error, without what stands around them."""
    notes = [line for note in getattr(error, "__notes__", []) for line in str(note).splitlines()]
    starts = [number for number, line in enumerate(notes) if line.startswith("state = ")]
    if not starts:
        return []
    story = notes[starts[-1] :]
    ends = [number for number, line in enumerate(story) if line.startswith("state.teardown()")]
    return story[: ends[0] + 1] if ends else story
