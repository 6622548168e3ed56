"""Sessions that broke or went silent: which fault explains it, and how fast the players were back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import finding_of
from sound.faults import at_us, fault, with_config
from sound.players import ROWS, played, process

from necp_validate.claims.checks.players.players import fault_behind
from necp_validate.core import Finding, Verdict
from necp_validate.record import Interruption, Record

PAUSE = fault("gateway-pause", at=10, until=14, effective_us=at_us(11), target="gateway-0", evidence="no answer")


def cut(
    lost_s: float, back_s: float | None, *, how: str = "broken", leaving: bool = False, attempts: int = 3
) -> Interruption:
    """A session that broke, and when its player saw itself in the world again."""
    back_us = None if back_s is None else at_us(back_s)
    return Interruption(
        how=how, lost_us=at_us(lost_s), login_us=back_us, converged_us=back_us, attempts=attempts, leaving=leaving
    )


def interrupted(*cuts: Interruption, faults: Any = (PAUSE,), **changes: Any) -> Record:
    """Players of whom some were cut off by a pause of the gateway; or by nothing."""
    first = process("p0", interruptions=cuts)
    return played(first, process("p1"), faults=faults, **changes)


def back(*cuts: Interruption, **changes: Any) -> Finding:
    """What becomes of the check."""
    return finding_of(interrupted(*cuts, **changes), "gateway-recovery")


@pytest.mark.parametrize(
    ("how", "lost_s", "explained"),
    [
        ("silent", 9.955, True),  # the last state came in the tick before the gateway stopped
        ("broken", 9.955, False),  # a session that breaks before the fault breaks without it
        ("silent", 8.0, False),
        ("broken", 12.0, True),
        ("broken", 28.0, True),  # found to be broken a while later
        ("silent", 60.0, False),
    ],
)
def test_a_silence_begins_up_to_a_tick_before_its_fault(how: str, lost_s: float, explained: bool) -> None:
    history = played(faults=(PAUSE,))
    assert (fault_behind(history, cut(lost_s, lost_s, how=how)) == PAUSE) == explained


def test_a_fault_that_was_never_seen_explains_nothing() -> None:
    history = played(faults=(replace(PAUSE, effective_us=None),))
    assert fault_behind(history, cut(12, 16)) is None


def test_a_run_without_an_interruption_passes() -> None:
    finding = finding_of(played(), "gateway-recovery")
    assert (finding.verdict, finding.summary) == (Verdict.PASS, "no session was interrupted")
    assert finding.sees == "1 session interrupted without a fault, or 1 player not back within 30 s"


def test_players_who_come_back_in_time_pass() -> None:
    """The time counts from when the fault was over, for those who were cut off before."""
    finding = back(cut(12, 20), cut(15, 22), cut(16, None, leaving=True))
    assert finding.verdict is Verdict.PASS
    assert (
        "3 sessions were interrupted, all by faults; the last player was back 7.0 s after its fault" in finding.summary
    )


@pytest.mark.parametrize(
    ("cuts", "faults", "words"),
    [
        ((cut(5, 6),), (PAUSE,), "1 sessions interrupted (broken), with no fault to explain it"),
        ((cut(12, 13, how="silent"),), (), "1 sessions interrupted (silent), with no fault to explain it"),
        ((cut(12, None), cut(13, 14)), (PAUSE,), "1 players never came back"),
        ((cut(12, 44.5),), (PAUSE,), "1 players came back late, the last after 30.5 s"),
    ],
)
def test_players_who_are_cut_off_without_a_fault_or_stay_away_fail(
    cuts: tuple[Interruption, ...], faults: Any, words: str
) -> None:
    finding = back(*cuts, faults=faults)
    assert (finding.verdict, [one.detail for one in finding.examples]) == (Verdict.FAIL, [words])


def test_a_gateway_after_whose_fault_nobody_is_online_has_not_recovered() -> None:
    dark = tuple(replace(row, online=0) if row.t * 1e6 > at_us(14) else row for row in ROWS)
    finding = back(players_timeline=dark)
    assert finding.verdict is Verdict.FAIL
    assert [one.detail for one in finding.examples] == ["nobody was online afterwards"]


def test_players_have_to_be_back_as_fast_as_the_scenario_wants_it() -> None:
    history = interrupted(cut(12, 25))
    assert finding_of(history, "gateway-recovery").verdict is Verdict.PASS
    stricter = finding_of(with_config(history, thresholds={"gateway_recovery_s": 10}), "gateway-recovery")
    assert (stricter.verdict, "a return in 10 s" in stricter.summary) == (Verdict.FAIL, True)
    looser = finding_of(with_config(history, thresholds={"gateway_recovery_s": 60}), "gateway-recovery")
    assert looser.verdict is Verdict.UNKNOWN
    assert "judged by a looser limit than claimed: gateway_recovery_s is 60 s, claimed 30 s" in looser.summary


def test_an_interruption_whose_fault_may_be_missing_is_not_known_to_have_none() -> None:
    """The experiment says that it injected one, and there is no row of it."""
    history = interrupted(cut(12, 16))
    assert finding_of(history, "gateway-recovery").verdict is Verdict.PASS
    for name in ("gateway-recovery", "action-conservation"):
        finding = finding_of(replace(history, faults=()), name)
        assert finding.verdict is Verdict.UNKNOWN
        assert "no faults that experiments have injected (history/faults.jsonl); missing: gateway-pause-1" in (
            finding.summary
        )


@pytest.mark.parametrize(("cuts", "verdict"), [((cut(12, 16),), Verdict.PASS), ((), Verdict.FAIL)])
def test_actions_may_be_cut_off_by_a_fault_and_by_nothing_else(
    cuts: tuple[Interruption, ...], verdict: Verdict
) -> None:
    """Nobody could tell what became of them."""
    lost = process("p0", interruptions=cuts, actions={"hit": {"processed": 900, "cut_off": 4}})
    finding = finding_of(played(lost, process("p1"), faults=(PAUSE,)), "action-conservation")
    assert finding.verdict is verdict
    if cuts:
        assert "4 cut off by faults" in finding.summary
    else:
        assert finding.examples[0].detail == "4 hit actions cut off, with no fault to explain it"
