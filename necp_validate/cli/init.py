"""``necp-validate init``: first files for a cluster of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.core.errors import UsageError


@guarded
def init(
    bootstrap: Annotated[str, typer.Option(metavar="HOST:PORT", help="a broker of the cluster, or several")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the files go")] = Path(),
    topic: Annotated[
        list[str] | None,
        typer.Option(help="a topic to be loaded; by default up to three that were never written to"),
    ] = None,
    schema: Annotated[
        list[str] | None, typer.Option(metavar="TOPIC=FILE", help="JSON Schema, Avro or AsyncAPI of a topic's values")
    ] = None,
    schema_registry: Annotated[
        str | None, typer.Option(metavar="URL", help="a Confluent-compatible Schema Registry to look for subjects in")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; what the other options ask for")
    ] = None,
    mechanism: Annotated[str, typer.Option(help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")] = "SCRAM-SHA-512",
    username: Annotated[str | None, typer.Option(help="who logs in, by SASL")] = None,
    password_env: Annotated[str, typer.Option(metavar="VARIABLE", help="holds the password")] = "KAFKA_PASSWORD",
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="the authority of the brokers' certificates")] = None,
    certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="a client's, for mutual TLS")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="the client's private key")] = None,
) -> None:
    """Ask a cluster what it is, and write a first target, claims and scenario for it; changes nothing there."""
    from necp_validate.external.asking import ask_and_write
    from necp_validate.external.first_files import Login

    files = {"ca": ca, "certificate": certificate, "key": key}
    tls = any(files.values())
    guessed = {(False, False): "PLAINTEXT", (False, True): "SSL", (True, False): "SASL_PLAINTEXT"}
    login = Login(
        bootstrap=bootstrap,
        protocol=protocol or guessed.get((username is not None, tls), "SASL_SSL"),
        mechanism=mechanism if username is not None else "",
        username=username or "",
        password_env=password_env if username is not None else "",
        files={name: str(file.absolute()) for name, file in files.items() if file is not None},
    )
    pairs = [one.partition("=") for one in schema or ()]
    if wrong := [one for one, equals, file in pairs if not (one and equals and file)]:
        raise UsageError(f"--schema {wrong[0]}: not of the form TOPIC=FILE", hint="e.g. --schema orders=order.avsc")
    schemas = {name: str(Path(file).absolute()) for name, _, file in pairs}
    topics = list(dict.fromkeys([*(topic or ()), *schemas]))
    for line in ask_and_write(login, out, topics, schemas, schema_registry):
        typer.echo(line)
