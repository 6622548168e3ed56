"""Scenarios: the model, the reader of scenario files, the runner and the events it emits."""

from necp_validate.scenario.files import load_scenario, scenario_names
from necp_validate.scenario.model import DOMAINS, Phase, PhaseKind, Scenario, Traffic

__all__ = ["DOMAINS", "Phase", "PhaseKind", "Scenario", "Traffic", "load_scenario", "scenario_names"]
