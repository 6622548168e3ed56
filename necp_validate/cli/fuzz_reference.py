"""``necp-validate fuzz`` without a schema: fuzzed events against the reference system, through real Kafka."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from pathlib import Path

import typer

from necp_validate.cli.live import RunProgress
from necp_validate.cli.tables import show, verdict_table
from necp_validate.core import SuiteError
from necp_validate.fuzz.examples import load_example
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import sentence
from necp_validate.scenario.fuzzing import FuzzPlan, run_fuzz
from necp_validate.stack import attach as attached_stack


def fuzz_reference(
    *,
    events: int,
    seed: int | None = None,
    stack: str | None = None,
    target: str | None = None,
    attach: bool = False,
    max_time_s: float = 0.0,
    replay: Path | None = None,
    out: Path = Path("reports/runs"),
    allow: Collection[str] = (),
) -> int:
    """Run a campaign, judge it, write its report and print the verdict with every flaw; returns the exit code.

    Args:
        events: how many.
        seed: same seed, same events; any by default, and told.
        stack: auto, local, docker or external.
        target: TOML file of an external target.
        attach: use the stack that ``up`` left running.
        max_time_s: nothing more is sent after so long; 0 for no limit.
        replay: an example that a campaign has left, to be played again.
        out: where the run directory goes.
        allow: what may be done to an external target.

    Raises:
        SuiteError: the campaign could not be done, or was interrupted; everything is stopped.
    """
    example = load_example(replay) if replay is not None else None
    plan = FuzzPlan(
        events=events,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        stack=stack or ("external" if target else "auto"),
        target=target,
        max_time_s=max_time_s,
        replay=str(replay or ""),
    )
    running = attached_stack() if attach else None
    cases = {example.domain: example.cases} if example is not None else None
    with RunProgress() as progress:
        try:
            run_dir = run_fuzz(plan, stack=running, cases=cases, out=out, on_event=progress, allow=allow)
            verdict = judge_and_report(run_dir, on_event=progress)
        except KeyboardInterrupt as error:
            kept = f"the partial run is kept at {progress.run_dir}" if progress.run_dir else None
            raise SuiteError("interrupted, everything stopped", hint=kept) from error
    show(verdict_table(verdict, sentence(verdict)))
    for check in verdict.checks:
        for one in check.examples:
            typer.echo(f"\n{check.name} at {one.where}\n  {one.detail.replace('; ', chr(10) + '  ')}")
    typer.echo(f"\nseed: {plan.seed}   report: {run_dir / 'report.html'}")
    return verdict.verdict.exit_code
