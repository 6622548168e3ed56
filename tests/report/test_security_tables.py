"""Refusals in the report: attempts by listener, the matrix of access, and what is wrong in either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fabricate import START_S

from necp_validate.record import ACCEPTED, REFUSED, AccessProbe, ListenerProbe, SecurityRound, parts, read_record
from necp_validate.report.frames import load_run
from necp_validate.report.gate import gate
from necp_validate.report.html import render
from necp_validate.report.security import AccessCell, security_tables
from necp_validate.report.verdict import read_verdict
from necp_validate.security.access import cells_of
from necp_validate.security.listeners import attempts_at
from necp_validate.security.policy import load_policy


def sound_round() -> SecurityRound:
    """Every attempt at one broker and every cell of the matrix, each with the end that it must have."""
    policy = load_policy()
    listeners = [
        ListenerProbe(
            listener=name,
            broker=1,
            attempt=attempt.name,
            expected=attempt.expected,
            outcome=attempt.expected,
            answer="",
            log_line="",
        )
        for name in ("internal", "controller", "external")
        for attempt in attempts_at(mutual=name != "external")
    ]
    access = [
        AccessProbe(
            principal=principal,
            resource=resource,
            operation=operation,
            allowed=policy.allows(principal, resource, operation),
            outcome=ACCEPTED if policy.allows(principal, resource, operation) else REFUSED,
            answer="",
            log_line="",
        )
        for principal, resource, operation in cells_of(policy)
    ]
    return SecurityRound(
        when="start",
        begin_us=START_S * 10**6,
        end_us=START_S * 10**6,
        listeners=tuple(listeners),
        access=tuple(access),
    )


def test_a_run_without_attempts_has_no_tables(judged: dict[str, Path]) -> None:
    assert security_tables(read_record(judged["sound"])) is None
    run = load_run(judged["sound"])
    assert 'id="security"' not in render(run, read_verdict(judged["sound"]))


def test_both_tables_show_what_was_tried_and_what_is_wrong(sound: Path) -> None:
    one = sound_round()
    listeners = tuple(
        replace(probe, outcome=ACCEPTED, answer="answered a request") if probe.attempt == "plaintext" else probe
        for probe in one.listeners
    )
    wide = AccessProbe(
        principal="combat-service",
        resource="topic:game.economy.events",
        operation="Read",
        allowed=False,
        outcome=ACCEPTED,
        answer="NONE",
        log_line="",
    )
    parts.SECURITY.append(sound, replace(one, listeners=listeners, access=(*one.access, wide)))
    tables = security_tables(read_record(sound))
    assert tables is not None
    assert tables.listeners == ["internal", "controller", "external"]
    attempts = dict(tables.attempts)
    assert [cell.verdict for cell in attempts["plaintext"]] == ["fail"] * 3
    assert [cell.words for cell in attempts["wrong-password"]] == ["", "", "refused 1x"]
    cells = dict(zip(tables.principals, dict(tables.access)["topic:game.economy.events"], strict=True))
    assert cells["combat-service"].letters == (("R", False),)
    assert cells["economy-service"] == AccessCell(letters=(("D", True), ("W", True)), denied=5)
    page = render(load_run(sound), gate(sound))
    assert 'id="security"' in page
    assert "R!" in page
