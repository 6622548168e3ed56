"""Experiments of the suite, over sooner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from necp_validate.chaos.experiment import experiments_folder


def short(folder: Path, name: str, *, fault_s: float, recovery_s: float, **arguments: dict[str, Any]) -> Path:
    """Write an experiment with shorter phases.

    Args:
        folder: where to.
        name: of the experiment.
        fault_s: seconds of its fault phase.
        recovery_s: and of the one after.
        arguments: of activities, by their function's name, where others are wanted.
    """
    document = json.loads((experiments_folder() / f"{name}.json").read_text(encoding="utf-8"))
    for activity in document["method"]:
        provider = activity["provider"]
        provider.setdefault("arguments", {}).update(arguments.get(provider["func"], {}))
    document["extensions"][0] |= {
        "before": {"duration_s": 3},
        "fault": {"duration_s": fault_s},
        "recovery": {"duration_s": recovery_s},
    }
    path = folder / f"{Path(name).name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
