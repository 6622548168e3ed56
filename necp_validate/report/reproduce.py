"""The commands that repeat a run, and those that look at it again."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from necp_validate.core.errors import UsageError
from necp_validate.record import RunInfo
from necp_validate.record.plan import PlannedCampaign
from necp_validate.scenario import Scenario, load_scenario
from necp_validate.scenario.planning import experiments_of, with_experiments


def commands(info: RunInfo, run_dir: Path | None) -> list[str]:
    """Shell commands, the run itself first.

    Args:
        info: the stored run.
        run_dir: where it lies, for the commands that read it.
    """
    where = shlex.quote(str(run_dir or info.id))
    return [run_command(info), f"necp-validate verify {where}", f"necp-validate report {where}"]


def run_command(info: RunInfo) -> str:
    """What leads to the stored configuration again: ``necp-validate run`` and its options, where it was that."""
    if fuzz := info.plan.fuzz:
        return _fuzz_command(fuzz, info)
    if info.plan.topics:
        return _topics_command(info)
    if info.target.backend == "kubernetes":
        return "nox -s k8s"
    base = _base(info)
    words = ["necp-validate", "run", info.scenario]
    if base is not None and not math.isclose(info.scale, base.scale):
        words += ["--scale", f"{info.scale / base.scale:g}"]
    words += ["--seed", str(info.seed)]
    if backend := info.target.backend:
        words += ["--stack", backend]
    if target := info.plan.target:
        words += ["--target", target]
    for key, value in _changed(info, base):
        words += ["--set", f"{key}={json.dumps(_rounded(value))}"]
    return shlex.join(words)


def _fuzz_command(fuzz: PlannedCampaign, info: RunInfo) -> str:
    words = ["necp-validate", "fuzz", "--seed", str(info.seed)]
    words += ["--replay", fuzz.replay] if fuzz.replay else ["--events", str(fuzz.events)]
    if backend := info.target.backend:
        words += ["--stack", backend]
    if fuzz.target:
        words += ["--target", fuzz.target]
    return shlex.join(words)


def _topics_command(info: RunInfo) -> str:
    """The user's own file by its name; its topics hold this run's records now."""
    words = ["necp-validate", "run", f"{info.scenario}.toml", "--seed", str(info.seed), "--allow", "write"]
    if not math.isclose(info.scale, 1.0):
        words += ["--scale", f"{info.scale:g}"]
    return shlex.join(words)


def _base(info: RunInfo) -> Scenario | None:
    """The scenario of that name which comes with the suite; None for a user's own."""
    try:
        return load_scenario(info.scenario)
    except UsageError:
        return None


_OPTIONS_OF_THEIR_OWN = ("name", "description", "scale", "seed", "stack", "target")


def _changed(info: RunInfo, base: Scenario | None) -> list[tuple[str, Any]]:
    """What the stored configuration sets otherwise than its scenario file."""
    if base is None:
        return []
    try:
        stored = Scenario.from_config(info.config)
    except UsageError:  # stored by another version
        return []
    changes: list[tuple[str, Any]] = []
    if stored.experiments != base.experiments:
        changes.append(("experiments", list(stored.experiments)))
    base = _with_its_experiments(base, stored)
    # Rates are compared, and set, as they stand in the file: before the scale.
    expected = base.scaled(1 / base.scale).to_config()
    config = stored.scaled(1 / stored.scale).to_config()
    for key, value in config.items():
        if key not in _OPTIONS_OF_THEIR_OWN:
            changes += _differences(key, expected[key], value)
    return changes


def _with_its_experiments(base: Scenario, stored: Scenario) -> Scenario:
    """The scenario with the phases that the run's experiments give it; without, where they are a user's own."""
    base = msgspec.structs.replace(base, experiments=stored.experiments)
    try:
        return with_experiments(base, experiments_of(base))
    except UsageError:
        return base


def _differences(key: str, base: Any, value: Any) -> list[tuple[str, Any]]:
    numbers = isinstance(value, float) and isinstance(base, (int, float))
    if base == value or (numbers and math.isclose(base, value)):
        return []
    if isinstance(value, Mapping) and isinstance(base, Mapping):
        return [found for name, one in value.items() for found in _differences(f"{key}.{name}", base.get(name), one)]
    if key == "phases" and [one["name"] for one in base] == [one["name"] for one in value]:
        pairs = zip(base, value, strict=True)
        return [found for old, new in pairs for found in _differences(f"phases.{new['name']}", old, new)]
    return [(key, value)]


def _rounded(value: Any) -> Any:
    """Without the digits that scaling a rate down and up again leaves behind."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else round(value, 6)
