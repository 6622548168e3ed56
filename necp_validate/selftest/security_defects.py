"""Defects of who gets in and who may do what, in a round of attempts that is sound otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from necp_validate.record import ACCEPTED, REFUSED
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.simulation import Simulation, Stage

_PRINCIPAL, _RESOURCE, _OPERATION = "combat-service", "topic:game.economy.events", "Write"


def _ends(listener: str, attempt: str, outcome: str) -> Callable[[Simulation], None]:
    def seed(simulation: Simulation) -> None:
        before = simulation.attempts
        after = tuple(
            replace(one, outcome=outcome) if (one.listener, one.attempt) == (listener, attempt) else one
            for one in before.listeners
        )
        assert after != before.listeners, f"{attempt} is not tried at {listener}"
        simulation.attempts = replace(before, listeners=after)

    return seed


def _opens_under_fault(simulation: Simulation) -> None:
    """While a broker is down, the others let in who does not log in."""
    during, after = simulation.attempts_under_fault
    opened = tuple(
        replace(one, outcome=ACCEPTED) if (one.listener, one.attempt) == ("external", "no-login") else one
        for one in during.listeners
    )
    assert opened != during.listeners, "no-login is not tried"
    simulation.attempts_under_fault = replace(during, listeners=opened), after


def _access(outcome: str, principal: str, resource: str, operation: str) -> Callable[[Simulation], None]:
    def seed(simulation: Simulation) -> None:
        before = simulation.attempts
        cell = (principal, resource, operation)
        after = tuple(
            replace(one, outcome=outcome) if (one.principal, one.resource, one.operation) == cell else one
            for one in before.access
        )
        assert after != before.access, f"{cell} is not tried"
        simulation.attempts = replace(before, access=after)

    return seed


_EXPIRED = "expired-certificate"
_MUTUAL, _LOGIN, _ACCESS = frozenset({"SEC-MTLS"}), frozenset({"SEC-SASL"}), frozenset({"SEC-ACL"})
SECURITY_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=f"security: {name}", caught_by=caught_by, after=Stage.READ, seed=seed, claims=claims)
    for name, caught_by, seed, claims in (
        ("plaintext listener opened", "listener-refusal", _ends("internal", "plaintext", ACCEPTED), _MUTUAL),
        (
            "expired certificate taken",
            "listener-refusal",
            _ends("controller", "expired-certificate", ACCEPTED),
            _MUTUAL,
        ),
        ("wrong password taken", "listener-refusal", _ends("external", "wrong-password", ACCEPTED), _LOGIN),
        (
            "door that opens while a broker is down",
            "SEC-UNDER-CHAOS",
            _opens_under_fault,
            frozenset({"listener-refusal", "SEC-SASL"}),
        ),
        ("right login refused", "listener-refusal", _ends("external", "valid-login", REFUSED), _LOGIN),
        ("ACL too wide", "access-matrix", _access(ACCEPTED, _PRINCIPAL, _RESOURCE, _OPERATION), _ACCESS),
        (
            "ACL missing",
            "access-matrix",
            _access(REFUSED, "event-core", "topic:game.economy.ledger", "Write"),
            _ACCESS,
        ),
    )
)
