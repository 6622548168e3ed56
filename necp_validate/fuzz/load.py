"""Reading what a user names: a file with JSON Schema, Avro or AsyncAPI, or our own registry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from necp_validate.core import UsageError
from necp_validate.fuzz.asyncapi import asyncapi_schemas
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.json_nodes import bundle
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.registry_schema import registry_schemas
from necp_validate.fuzz.schema import Schema

REGISTRY: Final = "registry"
_AVRO_TYPES: Final = {"record", "error", "enum", "fixed", "array", "map"}


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2, as AsyncAPI wants it: ``on``, ``off``, ``yes``, ``no`` and dates are texts."""


_Yaml12.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in found if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_schemas(source: str, *, schema_id: int | None = None) -> list[Schema]:
    """Read the event types that a file describes.

    Args:
        source: a file, or ``registry``, or ``registry:TYPE`` for one type of it.
        schema_id: for Avro, the number that Confluent's header names.

    Raises:
        UsageError: it cannot be read, or describes no event; names the file and what is wrong.
    """
    if source == REGISTRY or source.startswith(f"{REGISTRY}:"):
        return list(_of_registry(source.partition(":")[2]))
    path = Path(source)
    document = read_document(path)
    try:
        found = _of_document(path, document, schema_id)
        for schema in found:
            schema.documents()  # what nothing is valid against is said now
        return found
    except LookupError as error:
        raise UsageError(f"{path}: {error}", hint="only references within the file are followed") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error


def _of_document(path: Path, document: Any, schema_id: int | None) -> list[Schema]:
    if isinstance(document, Mapping) and "asyncapi" in document:
        return asyncapi_schemas(document, schema_id=schema_id)
    if path.suffix == ".avsc" or _is_avro(document):
        return [AvroSchema(document, schema_id=schema_id)]
    return list(_of_json_schema(path, document))


def read_document(path: Path) -> Any:
    """Read JSON or YAML.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}") from error
    try:
        if path.suffix in (".yml", ".yaml"):
            return yaml.load(text, Loader=_Yaml12)
        return json.loads(text)
    except (yaml.YAMLError, json.JSONDecodeError, RecursionError) as error:
        what = "YAML" if path.suffix in (".yml", ".yaml") else "JSON"
        raise UsageError(f"{path} is not valid {what}: {' '.join(str(error).split())}") from error


def _of_registry(wanted: str) -> list[Schema]:
    found = [one for (name, version), one in registry_schemas().items() if wanted in ("", name, f"{name}.v{version}")]
    if not found:
        known = ", ".join(sorted({name for name, _ in registry_schemas()}))
        raise UsageError(f"the registry has no type {wanted!r}; known: {known}")
    return list(found)


def _is_avro(document: Any) -> bool:
    if isinstance(document, list):
        return bool(document) and all(_is_avro(one) for one in document)
    return isinstance(document, Mapping) and (
        (document.get("type") == "record" and "fields" in document)
        or (document.get("type") in ("enum", "fixed") and "name" in document)
    )


def _of_json_schema(path: Path, document: Any) -> list[Schema]:
    """One event type, or, where the top is ``oneOf`` of named schemas, one for each."""
    if not isinstance(document, Mapping) or not document:
        raise UsageError("neither JSON Schema, nor Avro, nor AsyncAPI")
    dialect = {"$schema": document["$schema"]} if "$schema" in document else {}
    choices = document.get("oneOf", ())
    if choices and all(isinstance(one, Mapping) and set(one) == {"$ref"} for one in choices):
        return [
            JsonSchema(one["$ref"].rpartition("/")[2], {**dialect, **bundle(document, one)}, topic=None)
            for one in choices
        ]
    name = str(document.get("title") or path.name.partition(".")[0])
    return [JsonSchema(name, {**dialect, **bundle(document, document)})]
