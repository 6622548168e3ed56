"""The work of ``init``: try the connection that its options describe, ask, look for schemas, write."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from necp_validate.core import SuiteError, UsageError
from necp_validate.external.cluster import ClusterFacts, describe
from necp_validate.external.first_files import SCENARIO, Found, Login, chosen_topics, counted, target_text, write_files
from necp_validate.external.groups import groups_of
from necp_validate.external.permission import CREATE, WRITE
from necp_validate.fuzz.load import load_schemas
from necp_validate.stack.external import ExternalStack
from necp_validate.stack.external_config import load_external
from necp_validate.stack.external_topics import RegistryAddress

_CONNECT_S: Final = 3.0
_TOLD_AT_MOST: Final = 20
_NOTHING: Final = ClusterFacts(id="", brokers={}, version="", topics={})


def ask_and_write(
    login: Login, out: Path, topics: Sequence[str], schemas: Mapping[str, str], registry_url: str | None
) -> list[str]:
    """Ask the cluster and write the three files.

    Args:
        login: how it is reached.
        out: where the files go.
        topics: those that were named.
        schemas: by topic, a file.
        registry_url: of a Schema Registry.

    Returns:
        What was found and is to be done next, line by line.

    Raises:
        UsageError: the cluster cannot be reached like this, or the files not be written.
    """
    _reach(login.bootstrap)
    for file in schemas.values():
        load_schemas(file)
    try:
        facts = describe(_config(login))
    except SuiteError as error:
        raise UsageError(error.message, hint=_hint(login)) from error
    chosen = chosen_topics(facts, topics)
    registry = RegistryAddress(url=registry_url.rstrip("/")) if registry_url else None
    found = Found(
        registry=registry,
        subjects=_subjects(registry, chosen),
        files=_seen_from(out, schemas),
        groups=groups_of(_config(login), facts, chosen),
    )
    written = write_files(out, facts, replace(login, files=_seen_from(out, login.files)), chosen, found)
    return [*_told(facts), *(f"wrote {path}" for path in written), "", *_next(facts, chosen, out)]


def _seen_from(out: Path, files: Mapping[str, str]) -> dict[str, str]:
    """The same files, by their way from the folder that names them: it can be moved together with them."""
    return {name: os.path.relpath(file, out) for name, file in files.items()}


def _reach(bootstrap: str) -> None:
    """See that anybody listens: librdkafka would go on trying for a long time."""
    last: OSError | None = None
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"--bootstrap {address}: not of the form HOST:PORT", hint="e.g. --bootstrap kafka:9092")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
            return
        except OSError as error:
            last = error
    raise UsageError(f"nobody listens at {bootstrap}: {last}", hint="see that host and port are right")


def _config(login: Login) -> dict[str, str]:
    """The client's settings, read from a file like the one that will be written: what it cannot say is not used."""
    with tempfile.TemporaryDirectory(prefix="necp-init-") as folder:
        file = Path(folder) / "target.toml"
        file.write_text(target_text(_NOTHING, login, (), Found()), encoding="utf-8")
        return ExternalStack(load_external(file)).client_config("load")


def _subjects(registry: RegistryAddress | None, topics: Sequence[str]) -> dict[str, str]:
    """Subjects named after topics, as Confluent's clients do by default."""
    if registry is None:
        return {}
    from necp_validate.external.registry import subjects

    known = subjects(registry)
    return {topic: f"{topic}-value" for topic in topics if f"{topic}-value" in known}


def _hint(login: Login) -> str:
    if login.protocol == "PLAINTEXT":
        return "somebody listens there, but does not answer in clear: give --ca FILE for TLS, --username NAME for SASL"
    return f"{login.protocol} was tried: see that authority, certificate, user and password are those of the cluster"


def _told(facts: ClusterFacts) -> list[str]:
    brokers, version = counted(len(facts.brokers), "broker"), facts.version or "of an unknown version"
    lines = [f"cluster {facts.id or 'without a name'}: {brokers}, Kafka {version}"]
    for topic in list(facts.topics.values())[:_TOLD_AT_MOST]:
        settings = ", ".join(f"{name}={value}" for name, value in topic.settings.items())
        lines.append(
            f"  {topic.name}: {counted(len(topic.end), 'partition')}, replication {topic.replication_factor}, "
            f"{counted(topic.records, 'record')}; {settings or 'its settings may not be read'}"
        )
    left_out = len(facts.topics) - _TOLD_AT_MOST
    return [*lines, f"  and {counted(left_out, 'topic')} more"] if left_out > 0 else lines


def _next(facts: ClusterFacts, chosen: Sequence[str], out: Path) -> list[str]:
    words = []
    if any(name not in facts.topics for name in chosen):
        words.append(CREATE)
    if any(name in facts.topics and facts.topics[name].written for name in chosen):
        words.append(WRITE)
    allow = "".join(f" --allow {word}" for word in words)
    place = "" if out == Path() else f"cd {out} && "
    return [f"next: {place}necp-validate run {SCENARIO}{allow}"]
