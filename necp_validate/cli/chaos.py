"""``necp-validate chaos``: experiments one after the other on one stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.cli.options import AttachOption, SetOption, StackOption
from necp_validate.core.errors import SuiteError


@guarded
def chaos(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="experiments, by name or JSON file; all by default")
    ] = None,
    stack: StackOption = None,
    repeat: Annotated[int, typer.Option(min=1, help="how many times each, with seeds that count up")] = 1,
    seed: Annotated[int | None, typer.Option(help="the first seed; the scenario's own by default")] = None,
    scenario: Annotated[
        str | None, typer.Option(help="the background: a scenario with one fault phase; each one's own by default")
    ] = None,
    set_: SetOption = None,
    out: Annotated[Path, typer.Option(help="where the run directories go")] = Path("reports/runs"),
    attach: AttachOption = False,
) -> None:
    """Run experiments one after the other on one stack, judge each, and print a table."""
    from necp_validate.chaos.experiment import experiment_names, load_experiment
    from necp_validate.cli.live import RunProgress
    from necp_validate.cli.tables import campaign_table, show
    from necp_validate.report.campaign import run_campaign, worst_of
    from necp_validate.scenario.files import load_scenario
    from necp_validate.scenario.planning import BACKGROUND, backgrounds_of
    from necp_validate.stack import attach as attached_stack

    experiments = [load_experiment(name) for name in names or experiment_names()]
    overrides = [*(set_ or []), "experiments=[]", *([f"stack={stack}"] if stack else [])]
    background = load_scenario(scenario or BACKGROUND, overrides=overrides, seed=seed)
    own = backgrounds_of(experiments, scenario, lambda name: load_scenario(name, overrides=overrides, seed=seed))
    running = attached_stack() if attach else None
    with RunProgress() as progress:
        try:
            trials = run_campaign(
                background,
                experiments,
                backgrounds=own,
                stack=running,
                repeat=repeat,
                out=out,
                on_event=progress,
                on_trial=progress.tell_trial,
            )
        except KeyboardInterrupt as error:
            raise SuiteError("interrupted, everything stopped", hint=f"the runs so far are kept in {out}") from error
    show(campaign_table(trials))
    raise typer.Exit(worst_of(trials).exit_code)
