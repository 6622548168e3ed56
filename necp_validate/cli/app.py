"""``necp-validate``: every command, thin; heavy imports wait until a command needs them."""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from necp_validate import __version__
from necp_validate.cli.capacity import capacity
from necp_validate.cli.catalogue import experiments, scenarios
from necp_validate.cli.chaos import chaos
from necp_validate.cli.failures import guarded
from necp_validate.cli.fuzz import fuzz
from necp_validate.cli.init import init
from necp_validate.cli.options import ClaimsOption, RepeatsOption, RunArgument
from necp_validate.cli.run import run
from necp_validate.cli.workers import worker
from necp_validate.core.errors import UsageError

app = typer.Typer(
    name="necp-validate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Acceptance suite for Kafka-based event-driven game backends: loads a system, reads everything back, "
        "and says of each claim: pass, fail or unknown."
    ),
    epilog="Exit codes: 0 pass · 1 fail · 2 wrong usage · 3 unknown · 4 the suite could not do its work",
)
app.command(
    epilog="Examples:  necp-validate run smoke  ·  necp-validate run peak-200 --scale 0.5  ·  "
    "necp-validate run soak --set phases.steady.duration_s=600 --set core.instances=2"
)(run)
app.command(
    epilog="Examples:  necp-validate chaos  ·  necp-validate chaos broker-kill --repeat 20  ·  "
    "necp-validate chaos leader-partition core-kill --stack docker"
)(chaos)
app.command(
    epilog="Examples:  necp-validate capacity  ·  necp-validate capacity --low 0.1 --high 1 --at-least 0.3  ·  "
    "necp-validate capacity smoke --claims claims.toml --repeats 3"
)(capacity)
app.command(
    epilog="Examples:  necp-validate init --bootstrap kafka:9092 --topic orders --schema orders=order.avsc  ·  "
    "necp-validate init --bootstrap kafka:9094 --username me --ca ca.pem --out trial"
)(init)
app.command(epilog="Examples:  necp-validate scenarios  ·  necp-validate scenarios smoke > mine.toml")(scenarios)
app.command(epilog="Examples:  necp-validate experiments  ·  necp-validate experiments broker-kill > mine.json")(
    experiments
)
app.command(epilog="Example:  NECP_JOIN_KEY=... necp-validate worker --master 10.0.0.5:5557")(worker)
schema_app = typer.Typer(no_args_is_help=True, help="The events' contract: JSON Schema and AsyncAPI.")
app.add_typer(schema_app, name="schema")


class SchemaFormat(StrEnum):
    """Formats of ``schema export``."""

    JSONSCHEMA = "jsonschema"
    ASYNCAPI = "asyncapi"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # the callback acts on it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None: ...


@app.command(epilog="Examples:  necp-validate verify last  ·  necp-validate verify last --claims claims.toml")
@guarded
def verify(run: RunArgument, claims: ClaimsOption = None, repeats: RepeatsOption = None) -> None:
    """Judge a stored run again, offline; writes verdict.json."""
    from necp_validate.cli.tables import show, verdict_table
    from necp_validate.report.pipeline import judge
    from necp_validate.report.runs import find_run
    from necp_validate.report.verdict import sentence

    verdict = judge(find_run(run), claims=claims, repeats=[find_run(one) for one in repeats or ()])
    show(verdict_table(verdict, sentence(verdict)))
    raise typer.Exit(verdict.verdict.exit_code)


@app.command(epilog="Example:  necp-validate report reports/runs/20261123-161500-smoke")
@guarded
def report(run: RunArgument, claims: ClaimsOption = None, repeats: RepeatsOption = None) -> None:
    """Write report.html, summary.md and junit.xml of a stored run again, offline; with claims, judge it by them."""
    from necp_validate.report.pipeline import judge
    from necp_validate.report.pipeline import report as write_reports
    from necp_validate.report.runs import find_run

    run_dir = find_run(run)
    again = [find_run(one) for one in repeats or ()]
    verdict = judge(run_dir, claims=claims, repeats=again) if claims or repeats else None
    reports = write_reports(run_dir, verdict)
    for path in (reports.html, reports.markdown, reports.junit):
        typer.echo(path)


@app.command(epilog="Example:  necp-validate gate last || exit $?")
@guarded
def gate(run: RunArgument, claims: ClaimsOption = None, repeats: RepeatsOption = None) -> None:
    """Judge a stored run again, and end with the exit code of its verdict: 0 pass, 1 fail, 3 unknown."""
    from necp_validate.report.gate import gate as judged_again
    from necp_validate.report.runs import find_run
    from necp_validate.report.verdict import sentence

    run_dir = find_run(run)
    if claims or repeats:
        from necp_validate.report.pipeline import judge

        verdict = judge(run_dir, claims=claims, repeats=[find_run(one) for one in repeats or ()])
    else:
        verdict = judged_again(run_dir)
    typer.echo(f"{verdict.verdict}: {sentence(verdict)}")
    raise typer.Exit(verdict.verdict.exit_code)


@app.command(
    epilog="Examples:  necp-validate compare 20261101-120000-peak-200 last  ·  "
    "necp-validate compare --baseline baseline/ reports/runs --html comparison.html"
)
@guarded
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="two or more runs, the first is the base; with --baseline one or more"),
    ],
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="a run, or a folder of runs, of the baseline; may be repeated"),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="compare this metric instead of the usual ones; may be repeated")
    ] = None,
    by_domain: Annotated[bool, typer.Option("--by-domain", help="compare each domain by itself, too")] = False,
    confidence: Annotated[float, typer.Option(help="of the intervals")] = 0.95,
    tolerance: Annotated[
        float, typer.Option(help="share of the baseline's median that a difference must exceed")
    ] = 0.05,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write the comparison here")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="write a page with it here")] = None,
) -> None:
    """Put runs side by side; with --baseline, judge them against repeated runs: 1 worse, 3 too few runs, else 0."""
    from necp_validate.cli.tables import baseline_table, comparison_table, show
    from necp_validate.report import baseline as against
    from necp_validate.report.compare import compare as compare_runs
    from necp_validate.report.runs import find_run

    if not baseline:
        if json_ or html or metric or by_domain:
            raise UsageError("--json, --html, --metric and --by-domain go with --baseline", hint="name a baseline")
        show(comparison_table(compare_runs([find_run(run) for run in runs])))
        return
    found = against.compare_with_baseline(
        against.find_runs(baseline),
        against.find_runs(runs),
        metrics=tuple(metric or against.COMPARED),
        by_domain=by_domain,
        confidence=confidence,
        tolerance=tolerance,
    )
    show(baseline_table(found))
    if json_:
        against.write_json(json_, found)
    if html:
        from necp_validate.report.baseline_page import render
        from necp_validate.report.files import write_text

        write_text(html, render(found))
    raise typer.Exit(found.verdict.exit_code)


@app.command(
    epilog="Examples:  necp-validate up  ·  necp-validate up --base-port 19090  ·  necp-validate run smoke --attach"
)
@guarded
def up(
    base_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="broker 1 listens at PORT+3 (mTLS) and PORT+4 (SASL); free ports else"),
    ] = None,
) -> None:
    """Bring the local stack up and leave it running: brokers, certificates, users, ACLs, topics."""
    from necp_validate.cli.live import StackProgress
    from necp_validate.cli.tables import show, stack_table
    from necp_validate.stack import LocalStack
    from necp_validate.stack import up as bring_up

    with StackProgress() as progress:
        stack = bring_up(
            lambda launched: LocalStack(base_port=base_port, detached=True, on_launched=launched), "local", progress
        )
    show(stack_table(stack))


@app.command(
    epilog="Examples:  necp-validate status  ·  necp-validate status --client combat-service > client.properties"
)
@guarded
def status(
    client: Annotated[
        str | None,
        typer.Option(metavar="PRINCIPAL", help="print the client settings of a principal, password included"),
    ] = None,
) -> None:
    """Show the stack that `up` left running; exit code 1 if a broker of it is dead."""
    from necp_validate.cli.tables import show, stack_table
    from necp_validate.stack import attach

    stack = attach()
    if client is not None:
        for key, value in stack.client_config(client).items():
            typer.echo(f"{key}={value}")
        return
    show(stack_table(stack))
    raise typer.Exit(0 if all(stack.broker_alive(broker.id) for broker in stack.brokers()) else 1)


@app.command(epilog="Example:  necp-validate down")
@guarded
def down() -> None:
    """End the stack that `up` left running, and remove its files."""
    from necp_validate.stack import down as end

    typer.echo("the stack is down" if end() else "no stack was up")


@app.command(epilog="Example:  necp-validate doctor")
@guarded
def doctor(
    out: Annotated[Path, typer.Option(help="where run directories would go")] = Path("reports/runs"),
) -> None:
    """Say what this machine can do, and how each scenario would fare on it."""
    from necp_validate.cli.tables import doctor_table, show
    from necp_validate.scenario.doctor import examine

    diagnosis = examine(out)
    show(doctor_table(diagnosis))
    raise typer.Exit(diagnosis.exit_code)


@app.command(epilog="Examples:  necp-validate selftest  ·  necp-validate selftest --only lost-write")
@guarded
def selftest(
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="No more than what has this in its name, or is caught by it.")
    ] = "",
) -> None:
    """Seed every known defect into a sound run, offline, and show which check catches it.

    Then take each kind of evidence away: what rests on it must not pass any more.
    """
    from rich.console import Console

    from necp_validate.cli.tables import selftest_table, show
    from necp_validate.selftest import run_selftest

    with Console(stderr=True).status("simulating the sound runs") as status:
        number = count(1)
        results = run_selftest(lambda _, due: status.update(f"judged {next(number)} of {due}"), only=only)
    show(selftest_table(results))
    raise typer.Exit(results.exit_code)


app.command(
    epilog="Examples:  necp-validate fuzz --schema orders.avsc  ·  "
    "necp-validate fuzz --schema asyncapi.yml --target external.toml --topic orders --max-time 60"
)(fuzz)


@schema_app.command("export", epilog="Example:  necp-validate schema export --format asyncapi > asyncapi.json")
@guarded
def schema_export(
    format_: Annotated[SchemaFormat, typer.Option("--format", help="what to export")] = SchemaFormat.JSONSCHEMA,
) -> None:
    """Print the schemas of all events."""
    import json

    from necp_validate.events.asyncapi import asyncapi_document
    from necp_validate.events.schema import json_schema

    document = json_schema() if format_ is SchemaFormat.JSONSCHEMA else asyncapi_document()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@schema_app.command(
    "check",
    epilog="Examples:  necp-validate schema check  ·  necp-validate schema check old.avsc new.avsc --rule FULL",
)
@guarded
def schema_check(
    old: Annotated[
        str | None, typer.Argument(metavar="[OLD]", help="the schema of before; the published registry by default")
    ] = None,
    new: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="the schema of now; our registry by default")
    ] = None,
    rule: Annotated[str, typer.Option(help="BACKWARD, FORWARD or FULL; of our registry its own")] = "BACKWARD",
    max_examples: Annotated[int, typer.Option(min=1, help="events tried of each type, besides those at a bound")] = 100,
    seed: Annotated[int, typer.Option(help="same seed, same events")] = 0,
) -> None:
    """Say what breaks whom: events made with one schema are read with the other."""
    from necp_validate.cli.schema_check import check

    raise typer.Exit(check(old, new, rule=rule, max_examples=max_examples, seed=seed))


@schema_app.command("publish", epilog="Example:  necp-validate schema publish")
@guarded
def schema_publish() -> None:
    """Take the registry as it is now into the snapshot that `schema check` compares with; after a new version."""
    from necp_validate.cli.schema_check import publish_registry

    raise typer.Exit(publish_registry())


def main() -> None:
    """Entry point of the ``necp-validate`` program."""
    app()
