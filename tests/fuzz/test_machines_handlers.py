"""The machines on the handlers alone: sound ones pass, and a round can be repeated from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest

from necp_validate.core import SuiteError
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import LEDGER_TOPIC, MARKET_TOPIC, Domain
from necp_validate.fuzz.machines import (
    MACHINES,
    Alone,
    Crash,
    DomainMachine,
    Driver,
    EconomyMachine,
    Sent,
    SocialMachine,
)
from necp_validate.fuzz.machines.play import play, play_for

EXAMPLES = {"economy": 40, "combat": 40, "social": 40, "system": 6}


@pytest.mark.parametrize("name", MACHINES)
def test_sound_handlers_pass(name: str) -> None:
    """A few thousand steps, with every crash that there is."""
    machine = MACHINES[name]
    found = play(machine, lambda: Alone(machine.domain), seed=1, examples=EXAMPLES[name], steps=30)
    assert found is None, f"{found.example}\n{found.error}"


@pytest.mark.parametrize("when", Crash)
def test_a_crash_at_any_point_books_once(when: Crash) -> None:
    """Whatever had been written, it is committed once, in batches without a gap."""
    machine = EconomyMachine(Alone(Domain.ECONOMY))
    machine.transfer("one", "alice", "bob", 7, None)
    machine.commit()
    machine.trade("one", "alice", "bob", "ammo", 3, 5)
    machine.crash(when)
    machine.commit()
    assert len(machine.driver.written(LEDGER_TOPIC)) == 2
    assert machine.driver.written(MARKET_TOPIC)
    machine.teardown()


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (Crash.BEFORE_OUTPUT, 1),
        (Crash.BEFORE_COMMIT, 2),
        (Crash.AFTER_COMMIT, 1),
    ],
)
def test_at_least_once_is_once_or_twice(when: Crash, expected: int) -> None:
    """What was written but not committed is handled again."""
    driver = Alone(Domain.SOCIAL)
    machine = SocialMachine(driver)
    said = machine.say("one", "general", "judy", "hello", 1)
    assert driver.deliver([said], when) == [(Outcome.PROCESSED,) * expected]


def test_a_batch_without_events_can_crash() -> None:
    """The event core may die while it has nothing to do."""
    machine = EconomyMachine(Alone(Domain.ECONOMY))
    for when in Crash:
        machine.crash(when)
    machine.teardown()


class Lying(Alone):
    """Says of the first event of each stream that it was dead-lettered."""

    def deliver(self, batch: Sequence[Sent], crash: Crash | None = None) -> list[tuple[Outcome, ...]]:
        outcomes = super().deliver(batch, crash)
        return [
            (Outcome.DEAD_LETTERED,) if sent.id.endswith("-000000000000") else told
            for sent, told in zip(batch, outcomes, strict=True)
        ]


def test_a_seed_repeats_its_story() -> None:
    """Story and error are the same."""
    first, second = (
        play(EconomyMachine, lambda: Lying(Domain.ECONOMY), seed=5, examples=10, steps=10) for _ in range(2)
    )
    assert first is not None
    assert first == second
    assert first.example.startswith("state = EconomyMachine()")
    assert "expected" in first.error


def test_a_driver_that_cannot_work_is_no_finding() -> None:
    """It ends the play as what it is."""

    class Helpless(Alone):
        def deliver(self, batch: Sequence[Sent], crash: Crash | None = None) -> list[tuple[Outcome, ...]]:
            raise SuiteError("no brokers")

    with pytest.raises(SuiteError, match="no brokers"):
        play(EconomyMachine, lambda: Helpless(Domain.ECONOMY), seed=1)


def _lying_economy(machine: type[DomainMachine]) -> Driver:
    return Lying(machine.domain) if machine.domain is Domain.ECONOMY else Alone(machine.domain)


def test_the_first_time_around_is_played_in_any_case() -> None:
    """Even if there is no time at all."""
    played = [MACHINES["economy"], MACHINES["social"]]
    rounds = play_for(played, lambda machine: Alone(machine.domain), max_time_s=0.0, seed=3, examples=2)
    assert [(one.machine, one.seed, one.found) for one in rounds] == [("economy", 3, None), ("social", 3, None)]


def test_the_next_time_around_has_the_next_seed() -> None:
    """And what has found something is not played again."""
    played = [MACHINES["economy"], MACHINES["social"]]
    rounds = play_for(played, _lying_economy, max_time_s=3_600.0, seed=3, examples=10)
    told = [(one.machine, one.seed, one.found is not None) for one in islice(rounds, 3)]
    assert told == [("economy", 3, True), ("social", 3, False), ("social", 4, False)]
