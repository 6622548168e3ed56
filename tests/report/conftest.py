"""Stored runs to report on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricate import Recipe, fabricate

from necp_validate.report.pipeline import judge_and_report


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A run in which everything went well, not judged yet."""
    return fabricate(tmp_path)


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sound and a lossy run with verdict and reports; made once, so leave them as they are."""
    root = tmp_path_factory.mktemp("runs")
    recipes = {"sound": Recipe(run_id="sound"), "lossy": Recipe(run_id="lossy", lost=3, slow=2.0)}
    recipes["faulted"] = Recipe(run_id="faulted", faults=True)
    runs = {name: fabricate(root, recipe) for name, recipe in recipes.items()}
    for run in runs.values():
        judge_and_report(run)
    return runs
