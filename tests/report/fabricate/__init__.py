"""Makes a run directory as a real run leaves it, closed, small or large, sound or faulty, without any Kafka.

All that is due is there and its accounts add up; a recipe, or a test, takes one thing away or makes it wrong.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fabricate.faults import write_faults
from fabricate.load import write_load
from fabricate.metrics import write_metrics
from fabricate.plan import DRAINED_AFTER_US, LOST_FROM, PARTITIONS, START_S, Plan, Recipe
from fabricate.readback import write_readback
from necp_validate.record import CoreShutdown, Drain, parts
from necp_validate.record.closing import close
from necp_validate.record.store import Document

__all__ = ["LOST_FROM", "PARTITIONS", "START_S", "Recipe", "fabricate", "rewrite"]


def fabricate(root: Path, recipe: Recipe | None = None) -> Path:
    """Write the run directory below ``root``, close it, and return it."""
    recipe = recipe or Recipe()
    run = root / recipe.run_id
    plan = Plan.of(recipe)
    parts.RUN.write(run, plan.info())
    parts.DUE.write(run, plan.due())
    parts.PHASES.write(run, plan.phases)
    faults = write_faults(run, plan) if recipe.faults else []
    load = write_load(run, plan, faults)
    write_readback(run, plan, load)
    write_metrics(run, plan, faults)
    _write_ends(run, plan)
    for name in recipe.leave_out:
        for path in run.glob(name):
            path.unlink()
    close(run)
    return run


def _write_ends(run: Path, plan: Plan) -> None:
    """How the event core stopped and the backlog drained; and a log."""
    (run / "logs").mkdir()
    (run / "logs" / "core-0.log").write_text("ready\nstopped\n", encoding="utf-8")
    parts.CORE_SHUTDOWN.write(run, CoreShutdown(exit_code=0, seconds=2.1, healthy_before=True))
    for phase in plan.phases:
        if phase.kind == "surge":
            drained_us = phase.end_us + DRAINED_AFTER_US
            drain = Drain(
                phase_end_us=phase.end_us, lag_at_end=8_210, drained_us=drained_us, drain_s=DRAINED_AFTER_US / 1e6
            )
            parts.DRAIN.write(run, drain)
            return


def rewrite(run: Path, part: Document[Any], **changes: Any) -> None:
    """Record something else in one file of a run, and close it again: as if it had been so from the beginning."""
    part.write(run, replace(part.read(run), **changes))
    close(run)
