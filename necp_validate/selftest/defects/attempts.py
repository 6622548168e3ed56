"""Defects of who gets in and who may do what, in rounds of attempts that are sound otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from necp_validate.record import ACCEPTED, REFUSED
from necp_validate.selftest.defect import Defect, Seed, seeded
from necp_validate.selftest.simulated.simulation import Simulation


def _probe(what: str, outcome: str, *, round_: int = 0, **of: Any) -> Seed:
    """Some attempts of one round end in another way.

    Args:
        what: ``listeners`` or ``access``.
        outcome: the end.
        round_: the first is made before the load, the second while a broker is down.
        of: attributes of the attempts.
    """

    def seed(simulation: Simulation) -> None:
        before = getattr(simulation.rounds[round_], what)
        after = tuple(
            replace(one, outcome=outcome) if all(getattr(one, name) == value for name, value in of.items()) else one
            for one in before
        )
        assert after != before, f"{of} is not tried"
        changes: dict[str, Any] = {what: after}
        simulation.rounds[round_] = replace(simulation.rounds[round_], **changes)

    return seed


_ENTRY = "listeners"
SECURITY_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            name=f"security: {name}",
            caught_by=caught_by,
            make=seeded(_probe(_ENTRY, outcome, listener=where, attempt=what)),
        )
        for name, caught_by, outcome, where, what in (
            ("plaintext listener opened", "mtls-refusal", ACCEPTED, "internal", "plaintext"),
            ("expired certificate taken", "mtls-refusal", ACCEPTED, "controller", "expired-certificate"),
            ("wrong password taken", "sasl-refusal", ACCEPTED, "external", "wrong-password"),
            ("right login refused", "sasl-refusal", REFUSED, "external", "valid-login"),
        )
    ),
    Defect(
        name="security: door that opens while a broker is down",
        caught_by="refusals-under-faults",
        make=seeded(_probe(_ENTRY, ACCEPTED, round_=1, listener="external", attempt="no-login")),
        others=("sasl-refusal",),
    ),
    *(
        Defect(
            name=f"security: {name}",
            caught_by="access-matrix",
            make=seeded(_probe("access", outcome, principal=principal, resource=f"topic:{topic}", operation="Write")),
        )
        for name, outcome, principal, topic in (
            ("ACL too wide", ACCEPTED, "combat-service", "game.economy.events"),
            ("ACL missing", REFUSED, "event-core", "game.economy.ledger"),
        )
    ),
)
