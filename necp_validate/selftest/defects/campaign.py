"""Defects of what becomes of fuzzed events, in a campaign that is sound otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.selftest.campaign import CampaignRun, new_campaign
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Defect


def _forget(run: CampaignRun) -> None:
    """One event has no outcome; all that it changed is there."""
    del run.outcomes[run.of(Domain.SOCIAL, Outcome.PROCESSED).place]


def _let_through(run: CampaignRun) -> None:
    """A cheat is said to be processed, and changed nothing."""
    run.outcomes[run.of(Domain.COMBAT, Outcome.REJECTED).place] = Outcome.PROCESSED


def _lose_letter(run: CampaignRun) -> None:
    victim = run.of(Domain.SYSTEM, Outcome.DEAD_LETTERED).place
    run.letters = [one for one in run.letters if one.of != victim]


def _cut_letter(run: CampaignRun) -> None:
    """A dead letter is not the event byte for byte."""
    letter = run.letters[len(run.letters) // 2]
    letter.value = (letter.value or b"")[:-1]


def _hit_harder(run: CampaignRun) -> None:
    run.damage += 7


def _leave_out_posting(run: CampaignRun) -> None:
    (record,) = run.ledger
    run.ledger = [structs.replace(record, postings=record.postings[1:])]


def _say_twice(run: CampaignRun) -> None:
    run.chat.append(run.chat[0])


def _leave_out_entry(run: CampaignRun) -> None:
    run.audit.pop()


def _enter_twice(run: CampaignRun) -> None:
    run.audit.append(run.audit[0])


def _stall(run: CampaignRun) -> None:
    run.committed[Domain.ECONOMY.value] -= 5


def _end_with_an_error(run: CampaignRun) -> None:
    run.shutdown = replace(run.shutdown, exit_code=1)


def _keep_shorter(run: CampaignRun) -> None:
    run.settings[Domain.SYSTEM.topic]["retention.ms"] = "604800000"


def _made(seed: Callable[[CampaignRun], None]) -> Callable[[], Contents]:
    def make() -> Contents:
        run = new_campaign()
        seed(run)
        return run.contents()

    return make


CAMPAIGN_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=f"fuzz: {name}", caught_by=caught_by, make=_made(seed), others=others)
    for name, caught_by, seed, others in (
        ("an event without an outcome", "fuzz-unaccounted", _forget, ("fuzz-social",)),
        ("a cheat let through", "fuzz-outcome", _let_through, ("fuzz-combat",)),
        ("a dead letter lost", "fuzz-dead-letter", _lose_letter, ("fuzz-system",)),
        ("a dead letter cut", "fuzz-dead-letter", _cut_letter, ("fuzz-social",)),
        ("more damage than the oracle's", "fuzz-combat", _hit_harder, ("fuzz-effect",)),
        ("a posting left out", "fuzz-economy", _leave_out_posting, ("fuzz-effect",)),
        ("a message delivered twice", "fuzz-social", _say_twice, ("fuzz-effect",)),
        ("an audit entry written twice", "fuzz-effect", _enter_twice, ("fuzz-system",)),
        ("an audit entry left out", "fuzz-system", _leave_out_entry, ("fuzz-effect",)),
        ("a consumer that stalls", "fuzz-crash", _stall, ()),
        ("a core that ends with an error", "fuzz-crash", _end_with_an_error, ("graceful-shutdown",)),
        ("a topic kept for a week", "topic-settings", _keep_shorter, ()),
    )
)
