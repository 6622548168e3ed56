"""Verdicts on secrets that are changed under load, each from a hand-written history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import START_S
from test_fault_verdicts import S, faulted, gap
from test_fault_verdicts import fault as any_fault

from necp_validate.claims import judge_claims, run_checks
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import CertificateSwap, Drills, FaultRecord, History, PasswordChange

AT_US = (START_S + 10) * S
DAY_US = 86_400 * S


def fault(kind: str, claim: str) -> FaultRecord:
    return any_fault(kind, claims=(claim,))


def change(**changes: Any) -> PasswordChange:
    sound = PasswordChange(
        fault="password-rotation-1",
        principal="combat-service",
        domains=("combat",),
        asked_us=AT_US,
        refused_us=AT_US + 50_000,
        accepted_us=AT_US + 60_000,
        taken_us={"load w0": AT_US + 120_000},
        session_ms=5_000,
        watched_us=AT_US + 8 * S,
        tried_later=3,
    )
    return replace(sound, **changes)


def swap(**changes: Any) -> CertificateSwap:
    sound = CertificateSwap(
        fault="certificate-reload-1",
        how="reload",
        broker=1,
        listener="external",
        before="a",
        issued="b",
        served="b",
        valid_until_us=AT_US + 90 * DAY_US,
        pid_before=7,
        pid_after=7,
        asked_us=AT_US,
        served_us=AT_US + S,
    )
    return replace(sound, **changes)


def judged(history: History, claim: str) -> ClaimResult:
    (result,) = judge_claims(history, run_checks(history), [claim])
    return result


def with_password(one: PasswordChange | None, **more: Any) -> ClaimResult:
    drills = Drills(passwords=() if one is None else (one,))
    return judged(faulted(fault("password-rotation", "SEC-SECRETS"), drills=drills, **more), "SEC-SECRETS")


def with_certificates(*swaps: CertificateSwap, **more: Any) -> ClaimResult:
    drills = Drills(certificates=swaps)
    return judged(faulted(fault("certificate-reload", "SEC-CERTS"), drills=drills, **more), "SEC-CERTS")


def test_a_password_that_changed_without_a_trace_passes_and_says_how_long_the_window_was() -> None:
    result = with_password(change())
    assert result.verdict is Verdict.PASS, result.evidence
    assert "known to every client within 120 ms" in result.measured
    assert "logins renewed within 5 s" in result.evidence


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"refused_us": None}, Verdict.FAIL, "did not refuse the old password"),
        ({"let_in_later": 2}, Verdict.FAIL, "2 of 3 logins"),
        ({"tried_later": 0}, Verdict.UNKNOWN, "no broker answered"),
        ({"accepted_us": None}, Verdict.FAIL, "did not accept the new password"),
        ({"taken_us": {"load w0": AT_US, "load w1": None}}, Verdict.FAIL, "load w1 never had the new password"),
        ({"taken_us": {}}, Verdict.UNKNOWN, "no client of combat-service was at work"),
        ({"session_ms": 0}, Verdict.UNKNOWN, "hold for ever"),
        ({"watched_us": AT_US + 3 * S}, Verdict.UNKNOWN, "before every login from before"),
        ({"watched_us": AT_US + 200 * S, "session_ms": 100_000}, Verdict.UNKNOWN, "of 0 events after the last login"),
    ],
)
def test_what_is_wrong_with_a_change_of_a_password_is_said(changes: dict[str, Any], verdict: Verdict, why: str) -> None:
    result = with_password(change(**changes))
    assert (result.verdict, why in result.evidence) == (verdict, True), result.evidence


def test_clients_that_send_and_get_nothing_acknowledged_with_the_new_password_fail() -> None:
    history = faulted(fault("password-rotation", "SEC-SECRETS"), drills=Drills(passwords=(change(),)))
    late = (AT_US + 5 * S) / S
    rows = tuple(replace(row, acked=0) if row.t > late else row for row in history.timeline)
    result = judged(replace(history, timeline=rows), "SEC-SECRETS")
    assert result.verdict is Verdict.FAIL
    assert "none was done" in result.evidence


def test_a_partition_that_is_silent_while_a_password_changes_is_downtime() -> None:
    assert with_password(change(), gaps=(gap(10.5, 14), gap(14.5, 17))).verdict is Verdict.PASS
    result = with_password(change(), gaps=(gap(10.5, 16.5),))
    assert result.verdict is Verdict.FAIL
    assert "a partition was without success for 6.0 s" in result.evidence


def test_without_a_record_of_the_clients_a_change_proves_nothing() -> None:
    assert with_password(None).verdict is Verdict.UNKNOWN


def test_a_swap_says_whether_the_schedule_was_shown_too() -> None:
    result = with_certificates(swap())
    assert result.verdict is Verdict.PASS, result.evidence
    assert "not the schedule" in result.evidence
    assert "renewed by itself" in with_certificates(swap(), swap(how="renewal")).evidence


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"served": "a", "served_us": None}, Verdict.FAIL, "serves a and not the new b"),
        ({"issued": "a", "served": "a"}, Verdict.FAIL, "serves a and not the new a"),
        ({"served": "", "served_us": None}, Verdict.UNKNOWN, "showed no certificate"),
        ({"pid_after": 8}, Verdict.FAIL, "broker 1 was restarted"),
        ({"pid_before": 0, "pid_after": 0}, Verdict.UNKNOWN, "cannot be seen"),
        ({"valid_until_us": AT_US + 29 * DAY_US}, Verdict.FAIL, "valid for 29.0 days"),
    ],
)
def test_what_is_wrong_with_a_swap_is_said(changes: dict[str, Any], verdict: Verdict, why: str) -> None:
    result = with_certificates(swap(), swap(listener="internal", **changes))
    assert (result.verdict, why in result.evidence) == (verdict, True), result.evidence


@pytest.mark.parametrize("claim", ["SEC-SECRETS", "SEC-CERTS"])
def test_a_target_that_cannot_do_it_leaves_the_claim_unknown(claim: str) -> None:
    kind = "password-rotation" if claim == "SEC-SECRETS" else "certificate-reload"
    needs = replace(fault(kind, claim), needs="needs the local or the docker stack", effective_us=None, end_us=None)
    result = judged(faulted(needs), claim)
    assert result.verdict is Verdict.UNKNOWN
    assert "needs the local or the docker stack" in result.evidence
    assert judged(faulted(), claim).verdict is Verdict.UNKNOWN
