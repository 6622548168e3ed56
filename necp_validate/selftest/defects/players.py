"""Defects of the real-time gateway, as its players see it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from necp_validate.claims import CHECKS
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.core import Verdict
from necp_validate.evidence.inventory import PLAYERS, PLAYERS_TIMELINE, Evidence
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.realtime.state import layout_savings
from necp_validate.record import Layout
from necp_validate.selftest.defect import Defect, Seed, seeded
from necp_validate.selftest.simulated.players import Flaw, played
from necp_validate.selftest.simulated.simulation import Simulation

_FLAWS: tuple[tuple[Flaw, str], ...] = (
    ("wrong checksum", "state-divergence"),
    ("forgets to send", "interest-violation"),
    ("neighbour hidden", "interest-violation"),
    ("far cell shown", "interest-violation"),
    ("chat out of order", "chat-order"),
    ("chat not shown", "chat-order"),
    ("no answer", "action-conservation"),
    ("two answers", "action-conservation"),
    ("batch too large", "batch-size"),
    ("one datagram per change", "fewer-datagrams"),
    ("tick too fast", "tick-bounds"),
    ("tick does not return", "adaptive-tick"),
    ("never limits", "request-limit"),
    ("limits everybody", "request-limit"),
    ("lets expired certificates in", "certificate-refusal"),
    ("session breaks", "gateway-recovery"),
    ("no state by datagram", "gateway-transport"),
)


def _with(flaw: Flaw) -> Seed:
    def seed(simulation: Simulation) -> None:
        simulation.played = played(flaw)

    return seed


def _recorded(simulation: Simulation, **changes: Any) -> None:
    """The players' record says something else."""
    simulation.played = replace(simulation.played, record=replace(simulation.played.record, **changes))


def _with_layouts_of_the_suite(simulation: Simulation) -> None:
    """The suite's own records, whose aligned order saves an eighth."""
    _recorded(simulation, layouts=tuple(Layout(**saving._asdict()) for saving in layout_savings()))


def _with_a_wide_grid(simulation: Simulation) -> None:
    _recorded(simulation, limits={**simulation.played.record.limits, "grid_told": 2_000.0})


def _half_of_them_came(simulation: Simulation) -> None:
    came = simulation.played.record.players // 2
    rows = tuple(replace(row, online=min(row.online, came)) for row in simulation.played.rows)
    simulation.played = replace(simulation.played, rows=rows)
    _recorded(simulation, players=came)


def _more_came_than_was_counted(simulation: Simulation) -> None:
    """One second of the players' rows has five results more than the process counted in all."""
    first, *rest = simulation.played.rows
    simulation.played = replace(simulation.played, rows=(replace(first, ended=first.ended + 5), *rest))


def _ends_with_an_error(simulation: Simulation) -> None:
    simulation.gateway_shutdown = replace(simulation.gateway_shutdown, exit_code=1)


def _without_a_loss(simulation: Simulation) -> None:
    _recorded(simulation, state=replace(simulation.played.record.state, lost=0))


_EVIDENCE: dict[str, tuple[Evidence, ...]] = {
    **{name: one.evidence for name, one in CHECKS.items()},
    **{name: one.evidence for name, one in MEASURES.items()},
    **{name: one.evidence for name, one in RECONCILERS.items()},
}
_OF_PLAYERS = tuple(name for name, kinds in _EVIDENCE.items() if {PLAYERS, PLAYERS_TIMELINE} & set(kinds))
"""Checks and metrics that rest on the players."""

PLAYER_DEFECTS: tuple[Defect, ...] = (
    *(Defect(name=f"gateway: {flaw}", caught_by=caught_by, make=seeded(_with(flaw))) for flaw, caught_by in _FLAWS),
    Defect(name="gateway: fields that save an eighth", caught_by="RES-STRUCT", make=seeded(_with_layouts_of_the_suite)),
    Defect(
        name="gateway: grid of twice the width",
        caught_by="gateway-settings",
        make=seeded(_with_a_wide_grid),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    Defect(name="gateway: stops with an error", caught_by="graceful-shutdown", make=seeded(_ends_with_an_error)),
    Defect(
        name="gateway: half of the players never came",
        caught_by="state-divergence",
        make=seeded(_half_of_them_came),
        verdict=Verdict.UNKNOWN,
        others=_OF_PLAYERS,
    ),
    Defect(
        name="gateway: results of a second counted twice",
        caught_by="players-account",
        make=seeded(_more_came_than_was_counted),
        verdict=Verdict.UNKNOWN,
        distrusted=("players", "players_timeline"),
    ),
    Defect(
        name="gateway: no datagram lost",
        caught_by="datagrams-lost",
        make=seeded(_without_a_loss),
        verdict=Verdict.NOT_APPLICABLE,
    ),
)
