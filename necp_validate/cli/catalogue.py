"""``necp-validate scenarios`` and ``experiments``: what comes with the suite, and its text to copy from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from necp_validate.cli.failures import guarded

_NameArgument = Annotated[str | None, typer.Argument(metavar="[NAME]", help="print this one's file; all by default")]


@guarded
def scenarios(name: _NameArgument = None) -> None:
    """List the scenarios that come with the suite, or print one of them as a start for your own."""
    from necp_validate.cli.tables import grid, show
    from necp_validate.scenario.files import load_scenario, scenario_folder, scenario_names

    if name is not None:
        load_scenario(name)
        _print(scenario_folder() / f"{name}.toml" if name in scenario_names() else Path(name))
        return
    table = grid("scenario", "length", "at most", "what it is for", numbers=("length", "at most"))
    for one in map(load_scenario, scenario_names()):
        table.add_row(one.name, f"{one.duration_s:,.0f} s", f"{one.highest_eps:,.0f} events/s", one.description)
    show(table)


@guarded
def experiments(name: _NameArgument = None) -> None:
    """List the experiments that come with the suite, or print one of them as a start for your own."""
    from necp_validate.chaos.experiment import all_experiment_names, experiments_folder, load_experiment
    from necp_validate.cli.tables import grid, show

    if name is not None:
        load_experiment(name)
        _print(experiments_folder() / f"{name}.json" if name in all_experiment_names() else Path(name))
        return
    table = grid("experiment", "what it is about")
    for one in map(load_experiment, all_experiment_names()):
        table.add_row(one.name, one.title)
    show(table)


def _print(path: Path) -> None:
    typer.echo(path.read_text(encoding="utf-8"), nl=False)
