"""Faults of a fabricated run: a kill, a consumer's end, a cut that was never seen, and one that cannot be made."""

from __future__ import annotations

from pathlib import Path

from fabricate.plan import Plan
from necp_validate.record import ExperimentOutcome, FaultRecord, parts

_KINDS = (
    ("broker-kill", "broker-2 (leader of game.combat.events-3)", "pid 4711 gone", 0.30, 0.45, ""),
    ("core-kill", "core-1", "pid 4712 gone", 0.55, 0.70, ""),
    ("cut", "broker-1 from the other brokers", "", 0.80, 0.85, ""),
    ("disk-full", "broker-3", "", 0.90, 0.90, "needs a disk of its own for each broker"),
)


def write_faults(run: Path, plan: Plan) -> list[FaultRecord]:
    """Write one of each, with the experiment that it belongs to, and return them."""
    length = plan.end_s - plan.start_s
    faults = []
    for kind, target, evidence, begin, end, needs in _KINDS:
        begin_us = (plan.start_s + round(begin * length)) * 10**6
        fault = FaultRecord(
            id=f"{kind}-1",
            experiment=kind,
            kind=kind,
            target=target,
            begin_us=begin_us,
            effective_us=begin_us + 80_000 if evidence else None,
            evidence=evidence,
            end_us=None if needs else (plan.start_s + round(end * length)) * 10**6,
            needs=needs,
            claims=(),
        )
        ended = ExperimentOutcome(
            experiment=kind,
            title=kind,
            status="completed",
            steady_before=True,
            steady_after=True,
            failed=(),
            missed=(),
            seconds=20.0,
            faults=(fault.id,),
        )
        faults.append(fault)
        parts.EXPERIMENTS.append(run, ended)
    parts.FAULTS.append(run, *faults)
    return faults
