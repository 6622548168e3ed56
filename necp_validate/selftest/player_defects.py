"""Defects of the real-time gateway, as its players see it."""

from __future__ import annotations

from collections.abc import Callable

from necp_validate.selftest.defect import Defect
from necp_validate.selftest.playing import Flaw, played
from necp_validate.selftest.simulation import Simulation, Stage

_FLAWS: tuple[tuple[Flaw, str, frozenset[str]], ...] = (
    ("wrong checksum", "state-divergence", frozenset({"GW-DELTA"})),
    ("forgets to send", "interest-violation", frozenset({"GW-SPATIAL"})),
    ("neighbour hidden", "interest-violation", frozenset({"GW-SPATIAL"})),
    ("far cell shown", "interest-violation", frozenset({"GW-SPATIAL"})),
    ("chat out of order", "chat-order", frozenset()),
    ("chat not shown", "chat-order", frozenset()),
    ("no answer", "action-conservation", frozenset({"GW-TRANSPORT"})),
    ("two answers", "action-conservation", frozenset({"GW-TRANSPORT"})),
    ("batch too large", "batch-size", frozenset({"GW-BATCH"})),
    ("one datagram per change", "GW-BATCH", frozenset()),
    ("tick too fast", "tick-bounds", frozenset({"GW-TICK"})),
    ("tick does not return", "GW-TICK", frozenset()),
    ("never limits", "request-limit", frozenset({"GW-SECURITY"})),
    ("limits everybody", "request-limit", frozenset({"GW-SECURITY"})),
    ("lets expired certificates in", "certificate-refusal", frozenset({"GW-SECURITY"})),
    ("session breaks", "gateway-recovery", frozenset()),
)


def _with(flaw: Flaw) -> Callable[[Simulation], None]:
    def seed(simulation: Simulation) -> None:
        simulation.played = played(flaw)

    return seed


PLAYER_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=f"gateway: {flaw}", caught_by=caught_by, after=Stage.READ, seed=_with(flaw), claims=claims)
    for flaw, caught_by, claims in _FLAWS
)
