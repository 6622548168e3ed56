"""Verdicts on secrets that are changed under load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S, claim_of
from sound.drills import CHANGED_US, DAY_US, RELOADED, ROTATED, certificate_swapped, change, password_changed, swap
from sound.faults import S, fault, faulted, gap, silence, with_config

from necp_validate.core import Verdict
from necp_validate.record import Record


def test_a_password_that_changed_without_a_trace_passes_and_says_how_long_the_window_was() -> None:
    result = claim_of(password_changed(), "SEC-SECRETS")
    assert result.verdict is Verdict.PASS, result.evidence
    assert "known to every client within 120 ms" in result.measured
    assert "logins renewed within 5 s, 45,000 events after that" in result.evidence
    assert "1 login with an old password, or 5 s without success" in result.sees


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"refused_us": None}, Verdict.FAIL, "did not refuse the old password"),
        ({"let_in_later": 2}, Verdict.FAIL, "2 of 3 logins"),
        ({"tried_later": 0}, Verdict.UNKNOWN, "no broker answered"),
        ({"tried_later": None, "let_in_later": None}, Verdict.UNKNOWN, "no broker answered"),
        ({"accepted_us": None}, Verdict.FAIL, "did not accept the new password"),
        ({"taken_us": {"load w0": CHANGED_US, "load w1": None}}, Verdict.FAIL, "load w1 never had the new password"),
        ({"taken_us": {}}, Verdict.UNKNOWN, "combat-service: no client was at work"),
        ({"session_ms": 0}, Verdict.UNKNOWN, "hold for ever"),
        ({"watched_us": CHANGED_US + 3 * S}, Verdict.UNKNOWN, "before every login from before"),
        ({"watched_us": None}, Verdict.UNKNOWN, "watched_us was not recorded in history/password-changes.jsonl"),
        (
            {"watched_us": CHANGED_US + 200 * S, "session_ms": 100_000},
            Verdict.UNKNOWN,
            "of 0 events after",
        ),
    ],
)
def test_what_is_wrong_with_a_change_of_a_password_is_said(changes: dict[str, Any], verdict: Verdict, why: str) -> None:
    result = claim_of(password_changed(change(**changes)), "SEC-SECRETS")
    assert (result.verdict, why in result.evidence) == (verdict, True), result.evidence


def test_clients_that_send_and_get_nothing_acknowledged_with_the_new_password_fail() -> None:
    """A quarter of the minute's events is acknowledged: all of them before the last login from before has ended."""
    history = password_changed(acked_eps=250.0)
    rows = tuple(
        replace(row, acked=acked, unknown=1_000 - acked, processed=acked)
        for row in history.timeline
        for acked in [1_000 if row.t <= START_S + 15 else 0]
    )
    result = claim_of(replace(history, timeline=rows), "SEC-SECRETS")
    assert result.verdict is Verdict.FAIL
    assert "of 45,000 events after the last login from before had ended, none was done" in result.evidence


@pytest.mark.parametrize(("record", "claim"), [(password_changed, "SEC-SECRETS"), (certificate_swapped, "SEC-CERTS")])
def test_whoever_is_silent_for_too_long_while_a_secret_changes_was_down(record: Any, claim: str) -> None:
    """A partition or the event core; several short silences are no long one; five seconds are the limit, or less."""
    assert claim_of(record(gaps=(gap(10.5, 14), gap(14.5, 17))), claim).verdict is Verdict.PASS
    until = 18 if claim == "SEC-SECRETS" else 20
    for silent, who in (
        ({"gaps": (gap(10.5, 16.5),)}, "a partition was without success for 6.0 s"),
        ({"outcome_gaps": (silence(10.5, 16.5),)}, "the event core, combat was without success for 6.0 s"),
        ({"gaps": (gap(10.5, None),)}, f"a partition was without success for {until - 10.5:.1f} s"),
    ):
        result = claim_of(record(**silent), claim)
        assert (result.verdict, who in result.evidence) == (Verdict.FAIL, True), result.evidence

    stricter = with_config(record(gaps=(gap(10.5, 14),)), thresholds={"downtime_s": 3})
    assert claim_of(stricter, claim).verdict is Verdict.FAIL
    looser = claim_of(with_config(record(), thresholds={"downtime_s": 10}), claim)
    assert looser.verdict is Verdict.UNKNOWN
    assert "judged by a looser limit than claimed: downtime_s is 10 s, claimed 5 s" in looser.evidence


@pytest.mark.parametrize(("record", "claim"), [(password_changed, "SEC-SECRETS"), (certificate_swapped, "SEC-CERTS")])
@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"gaps": None}, "did not record the silences of single partitions"),
        ({"outcome_gaps": None}, "did not record in which times no event ended"),
    ],
)
def test_silences_that_were_not_recorded_are_not_known(
    record: Any, claim: str, missing: dict[str, None], words: str
) -> None:
    result = claim_of(record(**missing), claim)
    assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True), result.evidence


def test_without_a_record_of_the_clients_a_change_proves_nothing() -> None:
    """Of one of two passwords that were changed."""
    second = fault("password-rotation", at=30, until=40, id="password-rotation-2", claims=("SEC-SECRETS",))
    history = faulted(ROTATED, second, password_changes=(change(),))
    result = claim_of(history, "SEC-SECRETS")
    assert result.verdict is Verdict.UNKNOWN
    assert "1 of 2 password changes whose clients were watched (history/password-changes.jsonl)" in result.evidence
    assert "password-rotation-2: its clients were not watched until their logins had ended" in result.evidence


def test_a_swap_says_whether_the_schedule_was_shown_too() -> None:
    result = claim_of(certificate_swapped(), "SEC-CERTS")
    assert result.verdict is Verdict.PASS, result.evidence
    assert "not the schedule" in result.evidence
    renewed = claim_of(certificate_swapped(swap(), swap(how="renewal")), "SEC-CERTS")
    assert "renewed by itself" in renewed.evidence


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"served": "a", "served_us": None}, Verdict.FAIL, "serves a and not the new b"),
        ({"issued": "a", "served": "a"}, Verdict.FAIL, "serves a and not the new a"),
        ({"served": "", "served_us": None}, Verdict.UNKNOWN, "showed no certificate"),
        ({"pid_after": 8}, Verdict.FAIL, "broker was restarted"),
        ({"pid_before": 0, "pid_after": 0}, Verdict.UNKNOWN, "cannot be seen"),
        ({"valid_until_us": CHANGED_US + 29 * DAY_US}, Verdict.FAIL, "valid for 29.0 days"),
    ],
)
def test_what_is_wrong_with_a_swap_is_said(changes: dict[str, Any], verdict: Verdict, why: str) -> None:
    result = claim_of(certificate_swapped(swap(), swap(listener="internal", **changes)), "SEC-CERTS")
    assert (result.verdict, why in result.evidence) == (verdict, True), result.evidence


def test_certificates_may_have_to_be_valid_for_longer_than_claimed_but_not_for_less() -> None:
    """Those of this run are valid for 89 days after their swap."""
    stricter = claim_of(with_config(certificate_swapped(), thresholds={"certificate_days": 120}), "SEC-CERTS")
    assert (stricter.verdict, "valid for 90.0 days" in stricter.evidence) == (Verdict.FAIL, True)
    looser = claim_of(with_config(certificate_swapped(), thresholds={"certificate_days": 1}), "SEC-CERTS")
    assert (looser.verdict, "certificate_days is 1 days, claimed 30 days" in looser.evidence) == (Verdict.UNKNOWN, True)


def test_a_swap_that_nobody_looked_at_proves_nothing() -> None:
    result = claim_of(faulted(RELOADED, certificate_swaps=()), "SEC-CERTS")
    assert result.verdict is Verdict.UNKNOWN
    assert "no certificate swaps that were looked at (history/certificate-swaps.jsonl)" in result.evidence


@pytest.mark.parametrize(("made", "claim"), [(password_changed, "SEC-SECRETS"), (certificate_swapped, "SEC-CERTS")])
def test_a_target_that_cannot_do_it_leaves_the_claim_unknown(made: Any, claim: str) -> None:
    sound: Record = made()
    needs = tuple(
        replace(one, needs="needs the local or the docker stack", effective_us=None, end_us=None)
        for one in sound.faults
    )
    result = claim_of(replace(sound, faults=needs, password_changes=(), certificate_swaps=()), claim)
    assert result.verdict is Verdict.UNKNOWN
    assert "needs the local or the docker stack" in result.evidence
    assert claim_of(faulted(fault()), claim).verdict is Verdict.UNKNOWN
