"""Checks and claims of refusals, on rounds written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import ack, history_of, read

from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.judge import judge_claims
from necp_validate.claims.run import verify_history
from necp_validate.core import Verdict
from necp_validate.record import (
    ACCEPTED,
    REFUSED,
    UNTRIED,
    AccessProbe,
    FaultRecord,
    History,
    ListenerProbe,
    SecurityRound,
)

MUTUAL = ("no-certificate", "expired-certificate", "wrong-ca", "wrong-host-name", "plaintext", "tls-1.1")
LOGIN = ("no-login", "wrong-password", "unknown-user", "plain", "plaintext")


def listener(name: str, attempt: str, outcome: str = "", expected: str = REFUSED) -> ListenerProbe:
    return ListenerProbe(
        listener=name, broker=1, attempt=attempt, expected=expected, outcome=outcome or expected, answer="said so"
    )


def cell(principal: str, resource: str, operation: str, *, allowed: bool, outcome: str = "") -> AccessProbe:
    expected = ACCEPTED if allowed else REFUSED
    return AccessProbe(
        principal=principal,
        resource=resource,
        operation=operation,
        allowed=allowed,
        outcome=outcome or expected,
        answer="said so",
    )


SOUND = SecurityRound(
    when="start",
    begin_us=1,
    end_us=2,
    listeners=(
        listener("internal", "valid-certificate", expected=ACCEPTED),
        *(listener("internal", attempt) for attempt in MUTUAL),
        listener("external", "valid-login", expected=ACCEPTED),
        *(listener("external", attempt) for attempt in LOGIN),
    ),
    access=(
        cell("combat-service", "topic:game.combat.events", "Write", allowed=True),
        cell("combat-service", "topic:game.economy.events", "Write", allowed=False),
    ),
)


def history(*rounds: SecurityRound, at: tuple[str, ...] = ("start",)) -> History:
    run = history_of(ack(0), read(0))
    config = {**run.run.config, "security": {"at": list(at)}, "judge": ["SEC-MTLS", "SEC-SASL", "SEC-ACL"]}
    return replace(run, run=replace(run.run, config=config), security=rounds)


def verdicts(of: History) -> dict[str, Verdict]:
    findings, claims, _ = verify_history(of)
    names = {finding.name: finding.verdict for finding in findings}
    return {
        **{name: names[name] for name in ("listener-refusal", "access-matrix")},
        **{claim.id: claim.verdict for claim in claims},
    }


def changed(**changes: tuple[object, ...]) -> SecurityRound:
    return replace(SOUND, **changes)  # type: ignore[arg-type]


ALL_PASS = dict.fromkeys(("listener-refusal", "access-matrix", "SEC-MTLS", "SEC-SASL", "SEC-ACL"), Verdict.PASS)


def test_what_is_refused_as_it_must_be_passes() -> None:
    assert verdicts(history(SOUND)) == ALL_PASS


@pytest.mark.parametrize(
    ("probe", "claim"),
    [
        (listener("internal", "plaintext", ACCEPTED), "SEC-MTLS"),
        (listener("internal", "valid-certificate", REFUSED, expected=ACCEPTED), "SEC-MTLS"),
        (listener("controller", "expired-certificate", ACCEPTED), "SEC-MTLS"),
        (listener("external", "wrong-password", ACCEPTED), "SEC-SASL"),
        (listener("service", "plain", ACCEPTED), "SEC-SASL"),
    ],
)
def test_one_attempt_that_ends_otherwise_fails_its_claim(probe: ListenerProbe, claim: str) -> None:
    found = verdicts(history(changed(listeners=(*SOUND.listeners, probe))))
    assert found == ALL_PASS | {"listener-refusal": Verdict.FAIL, claim: Verdict.FAIL}


@pytest.mark.parametrize(
    "wrong",
    [
        cell("combat-service", "topic:game.economy.events", "Write", allowed=False, outcome=ACCEPTED),
        cell("combat-service", "topic:game.combat.events", "Write", allowed=True, outcome=REFUSED),
    ],
)
def test_one_cell_that_is_not_as_declared_fails_the_matrix(wrong: AccessProbe) -> None:
    found = verdicts(history(changed(access=(*SOUND.access, wrong))))
    assert found == ALL_PASS | {"access-matrix": Verdict.FAIL, "SEC-ACL": Verdict.FAIL}


def test_what_could_not_be_tried_proves_nothing() -> None:
    probe = listener("internal", "weak-cipher", UNTRIED)
    found = verdicts(history(changed(listeners=(*SOUND.listeners, probe))))
    assert found == ALL_PASS | {"listener-refusal": Verdict.UNKNOWN, "SEC-MTLS": Verdict.UNKNOWN}


def test_evidence_without_an_attempt_that_belongs_to_it_is_none() -> None:
    kept = tuple(one for one in SOUND.listeners if one.attempt != "expired-certificate")
    assert verdicts(history(changed(listeners=kept)))["SEC-MTLS"] is Verdict.UNKNOWN


def test_a_round_that_was_to_be_made_and_was_not_is_missed() -> None:
    found = verdicts(history(SOUND, at=("start", "end")))
    assert found["listener-refusal"] is found["access-matrix"] is found["SEC-ACL"] is Verdict.UNKNOWN


def test_without_attempts_the_claims_are_unknown() -> None:
    run = history_of(ack(0), read(0))
    claims = judge_claims(run, [CHECKS[name](run) for name in CHECKS], ["SEC-MTLS", "SEC-SASL", "SEC-ACL"])
    assert [claim.verdict for claim in claims] == [Verdict.UNKNOWN] * 3


KILL = FaultRecord(
    id="broker-kill-1",
    experiment="refused-while-broken",
    kind="broker-kill",
    target="broker-1",
    begin_us=100,
    effective_us=200,
    evidence="pid 1 gone",
    end_us=300,
)
DURING = replace(SOUND, when="fault", begin_us=210, end_us=290)
AFTER = replace(SOUND, when="after the fault", begin_us=310, end_us=390)


def under_chaos(*rounds: SecurityRound, fault: FaultRecord = KILL) -> tuple[Verdict, str]:
    run = replace(history(*rounds), faults=(fault,))
    findings = [CHECKS[name](run) for name in ("listener-refusal", "access-matrix")]
    (claim,) = judge_claims(run, findings, ["SEC-UNDER-CHAOS"])
    return claim.verdict, claim.evidence


def test_refusals_that_hold_under_a_fault_and_after_it_pass() -> None:
    dead = listener("internal", "valid-certificate", UNTRIED, expected=ACCEPTED)
    verdict, evidence = under_chaos(replace(DURING, listeners=(*DURING.listeners, dead)), AFTER)
    assert verdict is Verdict.PASS
    assert evidence.startswith("1 rounds under broker-kill-1, 1 afterwards")


@pytest.mark.parametrize("broken", [DURING, AFTER], ids=["during", "after"])
def test_a_door_that_opens_under_a_fault_fails(broken: SecurityRound) -> None:
    opened = replace(broken, listeners=(*broken.listeners, listener("external", "no-login", ACCEPTED)))
    rounds = [opened if one is broken else one for one in (DURING, AFTER)]
    assert under_chaos(*rounds)[0] is Verdict.FAIL


@pytest.mark.parametrize(
    ("rounds", "fault"),
    [
        ((DURING,), KILL),
        ((AFTER,), KILL),
        ((DURING, AFTER), replace(KILL, effective_us=None)),
        ((replace(DURING, begin_us=150), AFTER), KILL),
    ],
    ids=["nothing after", "nothing during", "no fault seen", "begun before it was seen"],
)
def test_without_a_round_under_a_seen_fault_and_one_after_it_nothing_is_known(
    rounds: tuple[SecurityRound, ...], fault: FaultRecord
) -> None:
    assert under_chaos(*rounds, fault=fault)[0] is Verdict.UNKNOWN
