"""Topics of the user's own in a target's file, and the Schema Registry that may hold their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from necp_validate.core import UsageError
from necp_validate.stack.external_table import Table

KEYS: Final = ("unique", "random", "none")
"""How a record's key is made, beside ``field:NAME``: of every event its own, one of a hundred, or no key at all."""

FIELD: Final = "field:"
_TOPIC_KEYS = (
    "name", "schema", "event", "subject", "schema_id", "key", "value_bytes", "group", "output",
    "partitions", "replication_factor",
)  # fmt: skip
_REGISTRY_KEYS = ("url", "username", "password", "password_env", "ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicTarget:
    """A topic of the user's own.

    Args:
        name: of the topic.
        schema: file with JSON Schema, Avro or AsyncAPI that its values follow.
        event: which event type of that file, where it describes several.
        subject: of the Schema Registry, in place of a file.
        schema_id: for Avro from a file, the number in front of every value, as Confluent's clients write it.
        key: how the records' keys are made: one of `KEYS`, or ``field:NAME`` for a field of the value.
        value_bytes: length of the values where there is no schema.
        group: the consumer group whose lag is watched.
        output: a topic into which the target writes what it makes of each record, with its ``necp-event`` header.
        partitions, replication_factor: with which it is made where it does not exist and may be created.
    """

    name: str
    schema: Path | None = None
    event: str | None = None
    subject: str | None = None
    schema_id: int | None = None
    key: str = "random"
    value_bytes: int = 200
    group: str | None = None
    output: str | None = None
    partitions: int = 1
    replication_factor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAddress:
    """A Confluent-compatible Schema Registry.

    Args:
        url: where it is.
        login: user name and password, by HTTP's basic authentication.
        ca: file of the authority of its certificate.
    """

    url: str
    login: tuple[str, str] | None = None
    ca: str | None = None


def read_topics(file: Path, values: object, *, registry: bool) -> Mapping[str, TopicTarget]:
    """Check the list ``topics``.

    Args:
        file: for complaints, and for paths relative to it.
        values: as parsed.
        registry: whether the file names a Schema Registry.

    Raises:
        UsageError: a mistake in it.
    """
    if not isinstance(values, list):
        raise UsageError(f"{file}: 'topics' must be a list of tables: [[topics]]")
    found: dict[str, TopicTarget] = {}
    for number, entry in enumerate(values):
        topic = _topic(Table(file, f"topics[{number}]", entry, _TOPIC_KEYS), registry=registry)
        if topic.name in found:
            raise UsageError(f"{file}: two topics are called {topic.name!r}")
        found[topic.name] = topic
    return found


def _topic(table: Table, *, registry: bool) -> TopicTarget:
    texts = {key: table.text(key) for key in ("event", "subject", "group", "output") if key in table.values}
    schema = Path(table.existing_file("schema")) if "schema" in table.values else None
    if "subject" in texts and not registry:
        table.refuse(f"{table.path('subject')!r}", "needs a [schema_registry] with its url")
    if "subject" in texts and schema is not None:
        table.refuse(f"{table.path('subject')!r}", "and 'schema' exclude each other: a value follows one schema")
    key = table.text("key", "random")
    if key not in KEYS and not (key.startswith(FIELD) and len(key) > len(FIELD)):
        table.refuse(f"{table.path('key')!r}", f"is {key!r}; known: {', '.join(KEYS)} and field:NAME")
    if key.startswith(FIELD) and schema is None and "subject" not in texts:
        table.refuse(f"{table.path('key')!r}", "is a field of the value, which needs a schema")
    return TopicTarget(
        name=table.text("name"),
        schema=schema,
        schema_id=table.count("schema_id", 1) if "schema_id" in table.values else None,
        key=key,
        value_bytes=table.count("value_bytes", 200),
        partitions=table.count("partitions", 1),
        replication_factor=table.count("replication_factor", 1),
        **texts,
    )


def read_registry(file: Path, values: object) -> RegistryAddress:
    """Check the table ``schema_registry``.

    Raises:
        UsageError: a mistake in it.
    """
    table = Table(file, "schema_registry", values, _REGISTRY_KEYS)
    url = table.text("url").rstrip("/")
    if not url.startswith(("http://", "https://")):
        table.refuse("'schema_registry.url'", f"must be http://HOST:PORT or https://HOST:PORT, not {url!r}")
    return RegistryAddress(
        url=url,
        login=(table.text("username"), table.secret()) if "username" in table.values else None,
        ca=table.existing_file("ca") if "ca" in table.values else None,
    )
