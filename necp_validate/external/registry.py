"""Schemas from a Confluent-compatible Schema Registry, by its own client; values carry Confluent's header."""

from __future__ import annotations

import json
import struct
import warnings
from typing import Any

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.json_nodes import bundle
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.json_text import Malformed
from necp_validate.fuzz.schema import Schema
from necp_validate.stack.external_topics import RegistryAddress

_MAGIC = 0


def load_subject(registry: RegistryAddress, subject: str) -> Schema:
    """The newest schema of a subject.

    Raises:
        UsageError: the registry does not answer, has no such subject, or a schema in another format.
    """
    found = _latest(registry, subject)
    kind, text = found.schema.schema_type or "AVRO", found.schema.schema_str
    if found.schema.references:
        raise UsageError(f"subject {subject} refers to other subjects", hint="put its schema into one file, as schema")
    if kind == "AVRO":
        return AvroSchema(json.loads(text), schema_id=found.schema_id)
    if kind == "JSON":
        document = json.loads(text)
        return FramedJsonSchema(subject, bundle(document, document), found.schema_id)
    raise UsageError(f"subject {subject} is {kind}, which is not known here", hint="known: AVRO and JSON")


def subjects(registry: RegistryAddress) -> list[str]:
    """Names of all subjects.

    Raises:
        UsageError: the registry does not answer.
    """
    return sorted(_asked(registry, lambda client: client.get_subjects()))


def _latest(registry: RegistryAddress, subject: str) -> Any:
    return _asked(registry, lambda client: client.get_latest_version(subject), subject)


def _asked(registry: RegistryAddress, question: Any, subject: str = "") -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library of its own, about its next version
        from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError

        config: dict[str, Any] = {"url": registry.url, "max.retries": 1}
        if registry.login is not None:
            config["basic.auth.user.info"] = ":".join(registry.login)
        if registry.ca is not None:
            config["ssl.ca.location"] = registry.ca
        try:
            return question(SchemaRegistryClient(config))
        except SchemaRegistryError as error:
            what = f"subject {subject}: {error.error_message}" if subject else error.error_message
            raise UsageError(f"{registry.url}: {what}") from error
        except OSError as error:
            raise UsageError(f"the Schema Registry {registry.url} does not answer: {error}") from error
        except Exception as error:  # httpx has errors of its own that are no OSError
            if type(error).__module__.startswith("httpx"):
                raise UsageError(f"the Schema Registry {registry.url} does not answer: {error}") from error
            raise


class FramedJsonSchema(JsonSchema):
    """JSON Schema whose values have Confluent's header before them.

    Args:
        name: of the event type.
        document: the schema.
        schema_id: the number that the header names.
    """

    def __init__(self, name: str, document: Any, schema_id: int) -> None:
        super().__init__(name, document)
        self._frame = struct.pack(">bI", _MAGIC, schema_id)

    def encode(self, document: Any) -> bytes:
        """Encode a payload, header first."""
        return self._frame + super().encode(document)

    def decode(self, value: bytes) -> Any:
        """Decode a payload.

        Raises:
            Malformed: it is none, or has another header.
        """
        if not value.startswith(self._frame):
            raise Malformed("the value does not begin with the schema's number")
        return super().decode(value[len(self._frame) :])
