"""Checks and claims of refusals, on rounds in which everything that was due was tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of, judged
from sound.faults import at_us, fault, faulted, with_config
from sound.security import (
    AFTER,
    CELLS,
    DURING,
    END,
    START,
    attempt,
    cell,
    listeners_where,
    tried,
    tried_under,
)

from necp_validate.core import Verdict
from necp_validate.record import ACCEPTED, REFUSED, UNTRIED, AccessProbe, ListenerProbe, Record, SecurityRound

CHECK_OF = {"SEC-MTLS": "mtls-refusal", "SEC-SASL": "sasl-refusal", "SEC-ACL": "access-matrix"}


def verdicts(history: Record) -> dict[str, Verdict]:
    """Of each claim; its check says the same."""
    judgement = judged(history, *CHECK_OF)
    checks = {finding.name: finding.verdict for finding in judgement.findings}
    found = {claim.id: claim.verdict for claim in judgement.claims}
    assert {claim: checks[name] for claim, name in CHECK_OF.items()} == found
    return found


def with_probe(one: SecurityRound, probe: ListenerProbe | AccessProbe) -> SecurityRound:
    """The same round, in which one attempt ended like that."""
    if isinstance(probe, ListenerProbe):
        place = (probe.listener, probe.broker, probe.attempt)
        kept = [p for p in one.listeners if (p.listener, p.broker, p.attempt) != place]
        return replace(one, listeners=(*kept, probe))
    where = (probe.principal, probe.resource, probe.operation)
    cells = [p for p in one.access if (p.principal, p.resource, p.operation) != where]
    return replace(one, access=(*cells, probe))


ALL_PASS = dict.fromkeys(CHECK_OF, Verdict.PASS)


def test_what_is_refused_as_it_must_be_passes() -> None:
    """With the figures of both rounds, and what would have been seen."""
    assert verdicts(tried()) == ALL_PASS
    mutual, login, access = (claim_of(tried(), claim) for claim in CHECK_OF)
    assert (mutual.measured, login.measured) == ("96 of 96 bad attempts refused", "54 of 54 bad attempts refused")
    assert access.measured == f"0 of {CELLS} cells wrong; 93 allowed, 2 rounds"
    assert access.sees == f"1 of {CELLS} cells that is not as the policy says"


@pytest.mark.parametrize("when", [START, END], ids=["start", "end"])
@pytest.mark.parametrize(
    ("probe", "claim"),
    [
        (attempt("plaintext", outcome=ACCEPTED), "SEC-MTLS"),
        (attempt("valid-certificate", outcome=REFUSED), "SEC-MTLS"),
        (attempt("expired-certificate", "controller", broker=3, outcome=ACCEPTED), "SEC-MTLS"),
        (attempt("wrong-password", "external", outcome=ACCEPTED), "SEC-SASL"),
        (attempt("plain", "external", broker=2, outcome=ACCEPTED), "SEC-SASL"),
        (cell("combat-service", "topic:game.economy.events", "Write", allowed=False, outcome=ACCEPTED), "SEC-ACL"),
        (cell("combat-service", "topic:game.combat.events", "Write", allowed=True, outcome=REFUSED), "SEC-ACL"),
    ],
)
def test_one_attempt_that_ends_otherwise_fails_its_claim_and_no_other(
    when: SecurityRound, probe: ListenerProbe | AccessProbe, claim: str
) -> None:
    rounds = [with_probe(one, probe) if one is when else one for one in (START, END)]
    assert verdicts(tried(*rounds)) == ALL_PASS | {claim: Verdict.FAIL}
    assert (
        f"{probe.outcome} at the {when.when}, and had to be {probe.expected}"
        in claim_of(tried(*rounds), claim).evidence
    )


@pytest.mark.parametrize(
    ("probe", "claim", "due"),
    [
        (attempt("weak-cipher", outcome=UNTRIED), "SEC-MTLS", "53 of 54 attempts"),
        (
            attempt("wrong-ca", "controller", broker=2, outcome=UNTRIED),
            "SEC-MTLS",
            "53 of 54 attempts",
        ),
        (attempt("scram-sha-256", "external", outcome=UNTRIED), "SEC-SASL", "29 of 30 attempts"),
        (
            cell("combat-service", "topic:game.economy.events", "Write", allowed=False, outcome=UNTRIED),
            "SEC-ACL",
            f"{CELLS - 1} of {CELLS} cells of the access matrix, start",
        ),
    ],
)
def test_what_could_not_be_tried_proves_nothing(probe: ListenerProbe | AccessProbe, claim: str, due: str) -> None:
    """Whether the broker did not answer or this machine cannot do it, that is told with its answer."""
    history = tried(with_probe(START, probe), END)
    assert verdicts(history) == ALL_PASS | {claim: Verdict.UNKNOWN}
    evidence = claim_of(history, claim).evidence
    assert due in evidence
    assert "could not be tried at the start: said so" in evidence


def test_one_cell_of_all_is_no_evidence_for_the_matrix() -> None:
    """Neither is one of the three listeners, or two of three brokers."""
    one_cell = replace(START, access=START.access[:1])
    assert verdicts(tried(one_cell, END)) == ALL_PASS | {"SEC-ACL": Verdict.UNKNOWN}
    assert f"1 of {CELLS} cells of the access matrix, start" in claim_of(tried(one_cell, END), "SEC-ACL").evidence

    internal = listeners_where(START, lambda probe: probe.listener == "internal")
    assert verdicts(tried(internal, END)) == ALL_PASS | {"SEC-MTLS": Verdict.UNKNOWN, "SEC-SASL": Verdict.UNKNOWN}
    assert "27 of 54 attempts to get in, start" in claim_of(tried(internal, END), "SEC-MTLS").evidence
    assert "0 of 30 attempts to get in, start" in claim_of(tried(internal, END), "SEC-SASL").evidence

    two_brokers = listeners_where(END, lambda probe: probe.broker != 2)
    evidence = claim_of(tried(START, two_brokers), "SEC-MTLS").evidence
    assert "36 of 54 attempts to get in, end" in evidence
    assert "missing: valid-certificate at internal of broker 2" in evidence


def test_a_round_that_was_to_be_made_and_was_not_is_missed() -> None:
    """The other one was sound."""
    for rounds in ((START,), (END,)):
        assert set(verdicts(tried(*rounds)).values()) == {Verdict.UNKNOWN}
        (missing,) = {"start", "end"} - {one.when for one in rounds}
        evidence = claim_of(tried(*rounds), "SEC-ACL").evidence
        assert f"1 of 2 rounds of attempts (history/security.jsonl); missing: {missing}" in evidence


def test_an_open_door_fails_though_something_else_was_not_tried() -> None:
    """What is missing cannot have made it."""
    opened = with_probe(replace(START, access=START.access[:1]), attempt("no-certificate", outcome=ACCEPTED))
    assert verdicts(tried(opened)) == {
        "SEC-MTLS": Verdict.FAIL,
        "SEC-SASL": Verdict.UNKNOWN,
        "SEC-ACL": Verdict.UNKNOWN,
    }


def test_without_a_list_of_what_was_due_nobody_knows_what_is_missing() -> None:
    history = replace(tried(), due=None)
    assert set(verdicts(history).values()) == {Verdict.UNKNOWN}
    assert "no list of the attempts that had to be made (history/due.json)" in claim_of(history, "SEC-MTLS").evidence
    assert "no number of the cells that had to be tried" in claim_of(history, "SEC-ACL").evidence


def test_without_attempts_the_checks_are_not_applicable_and_the_claims_unknown() -> None:
    history = faulted(fault())
    for claim, name in CHECK_OF.items():
        finding = finding_of(history, name)
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert finding.summary == "the scenario tries nothing that must be refused before or after the load"
        assert claim_of(history, claim).verdict is Verdict.UNKNOWN


# Under faults -----------------------------------------------------------------------------------------------------


def of_an_experiment_alone(*rounds: SecurityRound) -> Record:
    """Rounds of an experiment, in a scenario that tries nothing itself."""
    history = tried_under(*rounds)
    assert history.due is not None
    due = replace(history.due, listeners=(), access_cells=0)
    return with_config(replace(history, due=due), security=None)


def test_refusals_that_hold_under_a_fault_and_after_it_pass() -> None:
    """One broker of three is dead, and answers nothing."""
    dead = replace(
        DURING,
        listeners=tuple(replace(probe, outcome=UNTRIED) if probe.broker == 1 else probe for probe in DURING.listeners),
    )
    history = tried_under(START, dead, AFTER, END)

    finding = finding_of(history, "refusals-under-faults")
    assert finding.verdict is Verdict.PASS
    assert "in 1 rounds under broker-kill-1 and 2 afterwards" in finding.measured
    assert claim_of(history, "SEC-UNDER-CHAOS").verdict is Verdict.PASS


def test_rounds_of_an_experiment_are_judged_where_the_scenario_itself_tries_nothing() -> None:
    """The checks of a whole target have no subject there, and do not keep the run from passing."""
    judgement = judged(of_an_experiment_alone(DURING, AFTER), "SEC-UNDER-CHAOS")

    of_check = {finding.name: finding.verdict for finding in judgement.findings}
    assert [of_check[name] for name in CHECK_OF.values()] == [Verdict.NOT_APPLICABLE] * 3
    assert of_check["refusals-under-faults"] is Verdict.PASS
    assert judgement.verdict is Verdict.PASS


@pytest.mark.parametrize("opened", [DURING, AFTER, END], ids=["during", "after", "end"])
def test_a_door_that_opens_under_a_fault_or_after_it_fails(opened: SecurityRound) -> None:
    wrong = with_probe(opened, attempt("no-login", "external", outcome=ACCEPTED))
    rounds = [wrong if one is opened else one for one in (START, DURING, AFTER, END)]
    result = claim_of(tried_under(*rounds), "SEC-UNDER-CHAOS")
    assert result.verdict is Verdict.FAIL
    assert f"accepted at the {opened.when}, and had to be refused" in result.evidence


def test_an_open_door_is_found_though_the_other_rounds_are_missing() -> None:
    """Of an experiment that was broken off after its first round."""
    wrong = with_probe(DURING, attempt("no-login", "external", outcome=ACCEPTED))
    finding = finding_of(of_an_experiment_alone(wrong), "refusals-under-faults")
    assert (finding.verdict, finding.count) == (Verdict.FAIL, 1)


@pytest.mark.parametrize(
    ("rounds", "effective_s", "words"),
    [
        ((START, DURING), 10, "nothing was tried after a fault was in force"),
        ((START, AFTER, END), 10, "nothing was tried while a fault was in force"),
        ((START, DURING, AFTER, END), None, "nothing was tried while a fault was in force"),
        ((START, DURING, AFTER, END), 15, "nothing was tried while a fault was in force"),
    ],
    ids=["nothing after", "nothing during", "no fault seen", "begun before it was seen"],
)
def test_without_a_round_under_a_seen_fault_and_one_after_it_nothing_is_known(
    rounds: tuple[SecurityRound, ...], effective_s: float | None, words: str
) -> None:
    broken = fault(effective_us=None if effective_s is None else at_us(effective_s))
    result = claim_of(tried_under(*rounds, broken=broken), "SEC-UNDER-CHAOS")
    assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True), result.evidence


def test_a_round_in_which_nobody_answered_is_none() -> None:
    """All that was tried while it was broken came to nothing; what came afterwards says nothing of that."""
    silent = replace(
        DURING,
        listeners=tuple(replace(probe, outcome=UNTRIED) for probe in DURING.listeners),
        access=tuple(replace(probe, outcome=UNTRIED) for probe in DURING.access),
    )
    planned = claim_of(tried_under(START, silent, AFTER, END), "SEC-UNDER-CHAOS")
    assert planned.verdict is Verdict.UNKNOWN
    assert "0 of 28 attempts that a broker answered, fault" in planned.evidence

    alone = claim_of(of_an_experiment_alone(silent, AFTER), "SEC-UNDER-CHAOS")
    assert alone.verdict is Verdict.UNKNOWN
    assert "nobody answered any attempt while a fault was in force" in alone.evidence


def test_a_listener_that_was_not_tried_under_the_fault_is_missing() -> None:
    """At no broker, so that nobody knows whether it refuses anything."""
    without = listeners_where(DURING, lambda probe: probe.listener != "external")
    result = claim_of(tried_under(START, without, AFTER, END), "SEC-UNDER-CHAOS")
    assert result.verdict is Verdict.UNKNOWN
    assert "18 of 28 attempts that a broker answered, fault" in result.evidence
    assert "missing: valid-login at external" in result.evidence
