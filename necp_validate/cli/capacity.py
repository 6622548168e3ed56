"""``necp-validate capacity``: the highest scale at which everything holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.cli.options import AttachOption, SetOption, StackOption, TargetOption
from necp_validate.cli.overrides import overrides_of
from necp_validate.core.errors import SuiteError


@guarded
def capacity(
    scenario: Annotated[
        str, typer.Argument(help="a scenario's name or a TOML file; all that it judges must hold")
    ] = "capacity",
    low: Annotated[float, typer.Option(help="the first scale; 1 is the claimed peak")] = 0.1,
    high: Annotated[float, typer.Option(help="the highest scale to try")] = 2.0,
    precision: Annotated[float, typer.Option(help="how closely to know the limit, in scales")] = 0.05,
    repeats: Annotated[int, typer.Option(min=1, help="runs in which a scale must hold")] = 2,
    at_least: Annotated[float | None, typer.Option(metavar="SCALE", help="fail if the limit lies below this")] = None,
    set_: SetOption = None,
    stack: StackOption = None,
    target: TargetOption = None,
    claims: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file of your own claims, which must hold, too")
    ] = None,
    out: Annotated[Path, typer.Option(help="where runs and results go, in a folder of their own")] = Path(
        "reports/capacity"
    ),
    attach: AttachOption = False,
    seed: Annotated[
        int | None, typer.Option(help="of the first run at each scale; the scenario's own by default")
    ] = None,
) -> None:
    """Find the highest rate at which all claims hold, by runs on one stack, and draw the curve."""
    import time

    from necp_validate.cli.live import RunProgress
    from necp_validate.cli.tables import capacity_table, show
    from necp_validate.report.capacity import check_range, find_capacity
    from necp_validate.report.capacity_page import render
    from necp_validate.report.files import write_text
    from necp_validate.scenario.files import load_scenario
    from necp_validate.stack import attach as attached_stack

    check_range(low, high, precision)
    overrides = overrides_of(set_, stack=stack, target=target, claims=claims)
    resolved = load_scenario(scenario, overrides=overrides, seed=seed)
    folder = out / time.strftime(f"%Y%m%dT%H%M%S-{resolved.name}", time.gmtime())
    running = attached_stack() if attach else None
    with RunProgress() as progress:
        try:
            found = find_capacity(
                resolved,
                low=low,
                high=high,
                precision=precision,
                repeats=repeats,
                at_least=at_least,
                stack=running,
                out=folder,
                on_event=progress,
                on_probe=progress.tell_probe,
            )
        except KeyboardInterrupt as error:
            raise SuiteError("interrupted, everything stopped", hint=f"what is known so far: {folder}") from error
    write_text(folder / "capacity.html", render(found))
    show(capacity_table(found))
    typer.echo(f"report: {folder / 'capacity.html'}")
    raise typer.Exit(found.verdict.exit_code)
