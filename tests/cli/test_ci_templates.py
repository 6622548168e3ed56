"""The CI templates: they are YAML, and every command in them is one that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_lines import parse

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "examples" / "ci").glob("*.yml"))
_COMMAND = re.compile(r"necp-validate (?!:)([^\n|&;#`]+)")


def texts(value: Any) -> list[str]:
    """Every text in a YAML document."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def commands(text: str) -> list[str]:
    return [found.strip() for found in _COMMAND.findall(text)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_command_of_a_template_is_one_that_there_is(path: Path) -> None:
    found = [one for text in texts(yaml.safe_load(path.read_text("utf-8"))) for one in commands(text)]
    assert {one.split()[0] for one in found} == {"run", "compare", "capacity"}
    for command in found:
        parse(command)


@pytest.mark.parametrize("command", ["run smoke --claimz x", "runn smoke", "compare", "run smoke --seed many"])
def test_a_command_that_there_is_not_is_found_out(command: str) -> None:
    """The seeded defect: a template with a mistake."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which copy of click typer brings along is its own affair
        parse(command)
    assert getattr(caught.value, "exit_code", None) == 2


def test_the_templates_gate_publish_and_keep_a_baseline() -> None:
    github = yaml.safe_load((ROOT / "examples" / "ci" / "github-actions.yml").read_text("utf-8"))
    steps = {step.get("name"): step for step in github["jobs"]["acceptance"]["steps"]}
    assert "||" not in steps["Run, judge, gate"]["run"], "the exit code must decide"
    assert "summary.md" in steps["Summary"]["run"]
    assert "junit.xml" in steps["Reports"]["with"]["path"]
    assert steps["Keep the baseline"]["with"]["path"] == steps["Fetch the baseline"]["with"]["path"] == "baseline"
    gitlab = yaml.safe_load((ROOT / "examples" / "ci" / "gitlab-ci.yml").read_text("utf-8"))
    job = gitlab["acceptance"]
    assert "||" not in job["script"][0]
    assert job["artifacts"]["reports"]["junit"] == "reports/runs/*/junit.xml"
    assert job["cache"]["paths"] == ["baseline/"]
