"""Verdicts on rebalances of consumer groups: a group is stable when it stays so, and the slowest group decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of
from sound.faults import COMBAT_GROUP, REBALANCED, at_us, fault, faulted, group_of

from necp_validate.claims.metrics.recovery import rebalances
from necp_validate.core import Verdict
from necp_validate.record import GroupSample, Record

KILL = fault("core-kill", target="core-1")
SOCIAL_GROUP = "event-core-social"


def killed(*groups: tuple[GroupSample, ...], until: float | None = 20) -> Record:
    """An instance of the event core dies at 10 s; what was seen of the groups."""
    end_us = None if until is None else at_us(until)
    return faulted(replace(KILL, end_us=end_us), groups=tuple(sample for one in groups for sample in one))


def test_a_rebalance_counts_from_the_kill_until_the_group_is_stable_for_good() -> None:
    """Noticed after six seconds, settled after seven and a half; that it grows again later does not count."""
    result = claim_of(killed(REBALANCED), "FT-CONSUMER")

    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("stable within 7.5 s")
    assert "the slowest: event-core-combat after core-kill-1" in result.evidence
    assert "noticed within 6.0 s, 2 → 1 members" in result.evidence


def test_a_slow_rebalance_fails() -> None:
    """Ten seconds are the limit; a moment of stability in between is none."""
    flapping = group_of(
        (0, "STABLE", 2),
        (16, "PREPARING_REBALANCING", 1),
        (17, "STABLE", 1),
        (18, "PREPARING_REBALANCING", 1),
        (21, "STABLE", 1),
    )

    result = claim_of(killed(flapping, until=30), "FT-CONSUMER")

    assert result.verdict is Verdict.FAIL
    assert result.measured.startswith("stable within 11 s")


def test_a_group_that_is_stable_for_two_seconds_and_then_rebalances_to_the_end_never_settled() -> None:
    """The first seconds of calm are no end of a rebalance: neither under the fault nor after it."""
    under_it = group_of((0, "STABLE", 2), (16, "PREPARING_REBALANCING", 1), (17, "STABLE", 1), (19, "EMPTY", 0))
    after_it = group_of(
        (0, "STABLE", 2), (13, "PREPARING_REBALANCING", 1), (14, "STABLE", 1), (22, "PREPARING_REBALANCING", 2)
    )
    for samples, until in ((under_it, None), (under_it, 30), (after_it, 20)):
        result = claim_of(killed(samples, until=until), "FT-CONSUMER")
        assert result.verdict is Verdict.FAIL
        assert result.measured.startswith("stable within never")


def test_a_member_that_is_back_before_its_process_is_ready_begins_a_rebalance_of_its_own() -> None:
    """The others had taken over seven seconds after the kill; that one joins three seconds before the fault is over."""
    back = group_of(
        (0, "STABLE", 2),
        (16, "PREPARING_REBALANCING", 1),
        (17, "STABLE", 1),
        (21, "PREPARING_REBALANCING", 2),
        (24, "STABLE", 2),
    )
    result = claim_of(killed(back, until=23.5), "FT-CONSUMER")
    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("stable within 7 s")


@pytest.mark.parametrize(("stable_at", "took"), [(35, "14.25 s"), (None, "never")])
def test_a_rebalance_by_one_that_is_back_early_is_no_excuse_for_its_own_length(
    stable_at: int | None, took: str
) -> None:
    end = ((stable_at, "STABLE", 2),) if stable_at else ()
    back = group_of(
        (0, "STABLE", 2), (16, "PREPARING_REBALANCING", 1), (17, "STABLE", 1), (21, "PREPARING_REBALANCING", 2), *end
    )
    result = claim_of(killed(back, until=23.5), "FT-CONSUMER")
    assert result.verdict is Verdict.FAIL
    assert result.measured.startswith(f"stable within {took}")


def test_a_coordinator_that_loads_its_group_again_is_no_member_that_is_back() -> None:
    """It is stable with fewer for a moment only."""
    loading = group_of((0, "STABLE", 2), (16, "EMPTY", 0), (17, "STABLE", 1), (18, "STABLE", 2))
    assert claim_of(killed(loading), "FT-CONSUMER").measured.startswith("stable within 7 s")


def test_the_slowest_group_decides() -> None:
    """One took 7.5 s, another 12."""
    slow = group_of((0, "STABLE", 2), (11, "PREPARING_REBALANCING", 1), (22, "STABLE", 2), name=SOCIAL_GROUP)

    result = claim_of(killed(REBALANCED, slow), "FT-CONSUMER")

    assert result.verdict is Verdict.FAIL
    assert result.measured.startswith("stable within 12 s")
    assert "the slowest: event-core-social after core-kill-1" in result.evidence


@pytest.mark.parametrize(
    ("again", "verdict", "took"),
    [
        ((20.5, "STABLE", 2), Verdict.PASS, "7.5 s"),
        ((29, "STABLE", 2), Verdict.PASS, "9 s"),
        ((31, "STABLE", 2), Verdict.FAIL, "11 s"),
        ((60, "PREPARING_REBALANCING", 2), Verdict.FAIL, "never"),
    ],
)
def test_a_group_that_only_the_return_upsets_has_to_settle_as_well(
    again: tuple[float, str, int], verdict: Verdict, took: str
) -> None:
    """It lost no member; from when the instance is back, it rebalances for too long, or to the end."""
    upset = group_of((0, "STABLE", 2), (20.25, "PREPARING_REBALANCING", 2), again, name=SOCIAL_GROUP)

    result = claim_of(killed(REBALANCED, upset), "FT-CONSUMER")

    assert (result.verdict, result.measured.startswith(f"stable within {took}")) == (verdict, True), result.measured


def test_a_kill_that_no_group_noticed_proves_nothing() -> None:
    """Nor does one in a group without a second member, nor one whose groups were not watched."""
    unmoved = killed(group_of((0, "STABLE", 2)))
    later = killed(group_of((0, "STABLE", 2), (20.5, "PREPARING_REBALANCING", 2), (21, "STABLE", 2)))
    alone = killed(group_of((0, "STABLE", 1), (16, "EMPTY", 0)))

    for history, words in (
        (unmoved, "no consumer group was seen to rebalance while it lasted"),
        (later, "no consumer group was seen to rebalance while it lasted"),
        (alone, "the groups had no second member that could have taken over"),
        (killed(), "the consumer groups were not watched"),
    ):
        result = claim_of(history, "FT-CONSUMER")
        assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True), result.evidence


def test_a_group_that_was_not_watched_before_the_fault_is_not_known() -> None:
    """How many members it had cannot be told from what was seen afterwards."""
    late = tuple(sample for sample in REBALANCED if sample.t > at_us(11) / 1e6)

    assert claim_of(killed(late), "FT-CONSUMER").verdict is Verdict.UNKNOWN


def test_what_follows_on_a_later_fault_is_not_this_ones() -> None:
    """A second kill while the first one's members come back begins a rebalance of its own."""
    again = fault("core-kill", at=40, until=50, id="core-kill-2", target="core-1")
    samples = group_of(
        (0, "STABLE", 2), (12, "STABLE", 1), (21, "STABLE", 2), (41, "PREPARING_REBALANCING", 1), (44, "STABLE", 1)
    )
    history = faulted(KILL, again, groups=samples)

    first, second = (
        rebalances(history, one.begin_us, one.end_us or 0)[COMBAT_GROUP].settled_s for one in history.faults
    )
    assert (first, second) == (2.0, 4.0)
    assert claim_of(history, "FT-CONSUMER").verdict is Verdict.PASS
