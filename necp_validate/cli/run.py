"""``necp-validate run``: one scenario, its verdict and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.cli.options import (
    AllowOption,
    AttachOption,
    ClaimsOption,
    RepeatsOption,
    SetOption,
    StackOption,
    TargetOption,
)
from necp_validate.cli.overrides import overrides_of
from necp_validate.cli.workers import ExpectOption, MasterOption, NamespacesOption, WorkersOption, placement_of
from necp_validate.core.errors import SuiteError, UsageError


@guarded
def run(
    scenario: Annotated[
        str, typer.Argument(help="a scenario's name (smoke, peak-200, ...) or a TOML file")
    ] = "peak-200",
    scale: Annotated[float, typer.Option(help="multiplies every rate, and nothing else")] = 1.0,
    set_: SetOption = None,
    stack: StackOption = None,
    target: TargetOption = None,
    out: Annotated[Path, typer.Option(help="where the run directory goes")] = Path("reports/runs"),
    web: Annotated[int | None, typer.Option(metavar="PORT", help="serve Locust's web page here meanwhile")] = None,
    attach: AttachOption = False,
    seed: Annotated[int | None, typer.Option(help="same seed, same events; the scenario's own by default")] = None,
    claims: ClaimsOption = None,
    repeats: RepeatsOption = None,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="stop when one of your --claims cannot be met any more")
    ] = False,
    allow: AllowOption = None,
    workers: WorkersOption = None,
    namespaces: NamespacesOption = False,
    master: MasterOption = None,
    expect_workers: ExpectOption = None,
) -> None:
    """Run a scenario, judge it, and write its report."""
    from necp_validate.cli.live import RunProgress
    from necp_validate.cli.tables import show, verdict_table
    from necp_validate.external.permission import allowed
    from necp_validate.report.pipeline import judge_and_report
    from necp_validate.report.runs import find_run
    from necp_validate.report.verdict import sentence
    from necp_validate.scenario.external import run_external
    from necp_validate.scenario.files import load_scenario
    from necp_validate.scenario.runner import run_scenario
    from necp_validate.stack import attach as attached_stack

    placement, count = placement_of(workers, namespaces=namespaces, master=master, expect_workers=expect_workers)
    overrides = [*overrides_of(set_, stack=stack, target=target, claims=claims), *count]
    resolved = load_scenario(scenario, scale=scale, overrides=overrides, seed=seed)
    earlier = [find_run(one) for one in repeats or ()]
    words = allowed(allow or ())
    if resolved.topics and (attach or web is not None or workers or namespaces or master):
        raise UsageError("--attach, --web and load workers are about the game's own topics", hint="leave them out")
    running = attached_stack() if attach else None
    with RunProgress() as progress:
        try:
            if resolved.topics:
                run_dir = run_external(resolved, allow=words, out=out, on_event=progress, stop_early=stop_early)
            else:
                run_dir = run_scenario(
                    resolved,
                    stack=running,
                    out=out,
                    web_port=web,
                    on_event=progress,
                    allow=words,
                    stop_early=stop_early,
                    placement=placement,
                )
            verdict = judge_and_report(run_dir, repeats=earlier, on_event=progress)
        except KeyboardInterrupt as error:
            kept = f"the partial run is kept at {progress.run_dir}" if progress.run_dir else None
            raise SuiteError("interrupted, everything stopped", hint=kept) from error
    show(verdict_table(verdict, sentence(verdict)))
    typer.echo(f"report: {run_dir / 'report.html'}")
    raise typer.Exit(verdict.verdict.exit_code)
