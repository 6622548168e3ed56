"""``necp-validate fuzz``: the reference system, or other people's schemas and topics."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from necp_validate.core import Verdict
    from necp_validate.fuzz.corpus import Corpus
    from necp_validate.fuzz.live_topic import LiveTopic
    from necp_validate.fuzz.schema import Schema
    from necp_validate.fuzz.search import Limits
    from necp_validate.stack.external_config import ExternalSettings

CORPUS = Path(".necp/fuzz")


@guarded
def fuzz(
    schema: Annotated[
        str | None,
        typer.Option(metavar="FILE", help='JSON Schema, .avsc or AsyncAPI (JSON or YAML); "registry" for our own'),
    ] = None,
    target: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file of a cluster: send the events there, follow each")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="where to send; the target's or the schema's own by default")
    ] = None,
    max_time: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="stop after this long")] = None,
    max_examples: Annotated[int, typer.Option(min=1, help="examples of each event type")] = 100,
    seed: Annotated[int | None, typer.Option(help="same seed, same events; by chance by default")] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="ID|FILE", help="try one found case again, and nothing else")
    ] = None,
    corpus: Annotated[Path, typer.Option(metavar="DIR", help="where found cases are kept between runs")] = CORPUS,
    schema_id: Annotated[
        int | None, typer.Option(min=0, help="Avro: put Confluent's header with this number before every value")
    ] = None,
    machines: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='play the state machine of a domain, or "all" of them'),
    ] = None,
    events: Annotated[int, typer.Option(min=1, help="without --schema: how many events are sent")] = 200_000,
    stack: Annotated[
        str | None, typer.Option(metavar="KIND", help="without --schema: auto, local, docker or external")
    ] = None,
    attach: Annotated[bool, typer.Option("--attach", help="without --schema: use the stack that `up` left")] = False,
    out: Annotated[Path, typer.Option(help="without --schema: where the run directory goes")] = Path("reports/runs"),
    allow: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="write: send to a target's topics that are in use already")
    ] = None,
) -> None:
    """Fuzz the reference system through real Kafka, or what a schema describes: by itself, or through a topic."""
    from necp_validate.external.permission import allowed
    from necp_validate.fuzz.corpus import Corpus
    from necp_validate.fuzz.load import load_schemas
    from necp_validate.fuzz.search import Limits

    words = allowed(allow or ())
    if machines is not None:
        from necp_validate.cli.machines import play_machines

        raise typer.Exit(play_machines(machines, max_time_s=max_time or 0.0, seed=seed, tell=typer.echo))
    if schema is None:
        if topic is not None or schema_id is not None:
            raise UsageError("--topic and --schema-id are about a schema of your own", hint="name it with --schema")
        from necp_validate.cli.fuzz_reference import fuzz_reference

        code = fuzz_reference(
            events=events,
            seed=seed,
            stack=stack,
            target=None if target is None else str(target),
            attach=attach,
            max_time_s=max_time or 0.0,
            replay=None if replay is None else Path(replay),
            out=out,
            allow=words,
        )
        raise typer.Exit(code)
    chosen = secrets.randbits(32) if seed is None else seed
    limits = Limits(
        max_examples=max_examples, seed=chosen, ends_s=None if max_time is None else time.monotonic() + max_time
    )
    schemas, kept = load_schemas(schema, schema_id=schema_id), Corpus(corpus)
    if replay is not None:
        verdict = _replay(schemas, kept, replay, target, topic, words)
    elif target is None:
        verdict = _by_itself(schemas, limits, kept, schema)
    else:
        verdict = _through_a_topic(schemas, limits, kept, schema, target, topic, words)
    raise typer.Exit(verdict.exit_code)


def _by_itself(schemas: list[Schema], limits: Limits, corpus: Corpus, source: str) -> Verdict:
    from necp_validate.cli.fuzz_tables import failure_text, schema_table, show
    from necp_validate.core import worst
    from necp_validate.fuzz.campaign import check_schemas

    reports = check_schemas(schemas, limits, corpus, source=source, told=_tell)
    show(schema_table(reports))
    for report in reports:
        for failure in report.failures:
            show(failure_text(failure, source=source, seed=limits.seed, corpus=corpus.folder))
    verdict = worst(report.verdict for report in reports)
    typer.echo(f"{verdict}: {len(reports)} event types, seed {limits.seed}")
    return verdict


def _through_a_topic(
    schemas: list[Schema],
    limits: Limits,
    corpus: Corpus,
    source: str,
    target: Path,
    topic: str | None,
    allow: Collection[str],
) -> Verdict:
    from necp_validate.cli.fuzz_tables import failure_text, live_table, show
    from necp_validate.core import worst
    from necp_validate.fuzz.campaign import fuzz_topic
    from necp_validate.stack.external_config import load_external

    reports, settings = [], load_external(target)
    with ExitStack() as stack:
        # Every topic is seen before anything is sent to the first.
        topics = [(schema, stack.enter_context(_open(schema, settings, topic, allow))) for schema in schemas]
        for schema, live in topics:
            if limits.over:
                break
            reports.append(fuzz_topic(schema, live, limits, corpus, source=source, told=_tell))
    show(live_table(reports))
    for report in reports:
        for failure in report.failures:
            show(failure_text(failure, source=source, seed=limits.seed, corpus=corpus.folder, target=target))
    verdict = worst(report.verdict for report in reports)
    typer.echo(f"{verdict}: {len(reports)} of {len(schemas)} event types, seed {limits.seed}")
    return verdict


def _open(schema: Schema, settings: ExternalSettings, topic: str | None, allow: Collection[str]) -> LiveTopic:
    """Open the topic of a schema; one that is in use only if that is allowed."""
    from necp_validate.external.permission import require_write
    from necp_validate.fuzz.campaign import live_topic

    live = live_topic(schema, settings, topic)
    require_write({live.topic: sum(live.ends([live.topic]).values())}, allow)
    return live


def _replay(
    schemas: list[Schema], corpus: Corpus, name: str, target: Path | None, topic: str | None, allow: Collection[str]
) -> Verdict:
    from necp_validate.cli.fuzz_tables import case_text, show
    from necp_validate.core import Verdict, worst
    from necp_validate.fuzz.campaign import replay, schema_of
    from necp_validate.fuzz.check import Failure
    from necp_validate.stack.external_config import load_external

    case = corpus.find(name).case
    schema = schema_of(schemas, case)
    show(case_text(case))
    with ExitStack() as stack:
        live = stack.enter_context(_open(schema, load_external(target), topic, allow)) if target else None
        found = replay(schema, case, live)
    if live is None:
        for failure in found:
            typer.echo(f"fail: {failure.check}: {failure.message if isinstance(failure, Failure) else failure.summary}")
        verdict = Verdict.FAIL if found else Verdict.PASS
    else:
        checks = [one for one in found if not isinstance(one, Failure)]
        for check in checks:
            typer.echo(f"{check.verdict}: {check.check}: {check.summary}")
        verdict = worst(check.verdict for check in checks)
    typer.echo(f"{verdict}: case {case.id}")
    return verdict


def _tell(sentence: str) -> None:
    typer.echo(sentence, err=True)
