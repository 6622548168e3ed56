"""When the experiment of a fault phase begins."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from necp_validate.chaos.experiment import Experiment, PhasePlan, Settings
from necp_validate.chaos.session import Session
from necp_validate.record import parts
from necp_validate.scenario import faults
from necp_validate.scenario.faults import FaultPhases
from necp_validate.scenario.model import Phase, PhaseKind


def begun(run_dir: Path, fault: PhasePlan, *, in_s: float) -> bool:
    """Whether an experiment has begun so long before its phase."""
    phases_file = parts.PHASES.file(run_dir)
    phases_file.parent.mkdir(exist_ok=True)
    phases_file.write_text(json.dumps([{"name": "fault", "start_us": time.time_ns() // 1000 + int(in_s * 1e6)}]))
    experiment = Experiment(
        name="x", document={"title": "x"}, settings=Settings(name="necp-validate", fault=fault), needs=()
    )
    session = cast(Session, SimpleNamespace(run_dir=run_dir, enter=lambda *_: None, stop=lambda: None))
    played: list[Any] = []
    phase = Phase(name="fault", kind=PhaseKind.FAULT, duration_s=10, experiment="x")
    phases = FaultPhases([phase], {"x": experiment}, session, lambda _: None, played.append, ended=str)
    phases.poll()
    phases.abort()
    return bool(played)


@pytest.mark.parametrize(
    ("fault", "in_s", "expected"),
    [
        (PhasePlan(), 1800.0, False),
        (PhasePlan(), -1.0, True),
        (PhasePlan(load=8.0), 7200.0, False),
        (PhasePlan(load=8.0), 1800.0, True),
        (PhasePlan(poison_share=0.3, duration_s=9), 1800.0, True),
        (PhasePlan(duration_s=9), 1800.0, False),
    ],
)
def test_what_the_load_breaks_is_looked_at_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: PhasePlan, in_s: float, expected: bool
) -> None:
    """Else its hypothesis waits for the end of what it should come before."""
    monkeypatch.setattr(faults, "_LEAD_US", 3_600_000_000)
    assert begun(tmp_path, fault, in_s=in_s) is expected
