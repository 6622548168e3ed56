"""Event types of an AsyncAPI document, 2.x or 3.x: payloads in JSON Schema or Avro, keys, headers, topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.json_nodes import bundle, resolve
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.schema import Schema

_OPERATIONS: Final = ("publish", "subscribe")
_FORMATS: Final = ("application/vnd.aai.asyncapi", "application/schema+json", "application/schema+yaml")


def asyncapi_schemas(document: Mapping[str, Any], *, schema_id: int | None = None) -> list[Schema]:
    """List the event types that a document describes; a message that several channels carry is listed for each.

    Args:
        document: parsed.
        schema_id: for Avro, the number that Confluent's header names.

    Raises:
        UsageError: the version is not known, a payload is in another format, or there is no message at all.
        LookupError: a reference leads out of the document, or nowhere.
    """
    version = str(document["asyncapi"])
    if not version.startswith(("2.", "3.")):
        raise UsageError(f"AsyncAPI {version} is not known; known: 2.x and 3.x")
    found: dict[str, Schema] = {}
    for channel, topic, name, message in _messages(document, modern=version.startswith("3.")):
        whole = _with_traits(document, message)
        if "payload" not in whole:
            continue
        label = str(whole.get("name") or name)
        label = label if label not in found else f"{label}@{channel}"
        found[label] = _schema(document, label, topic, whole, schema_id)
    if not found:
        raise UsageError("the document describes no message with a payload")
    return list(found.values())


def _messages(document: Mapping[str, Any], *, modern: bool) -> Iterator[tuple[str, str | None, str, Any]]:
    """Every message with its channel, topic (None if that is not known) and name; all there are, without channels."""
    for channel_name, reference in document.get("channels", {}).items():
        channel = _followed(document, reference)
        topic = _topic(channel_name, channel)
        if modern:
            for name, message in channel.get("messages", {}).items():
                yield channel_name, topic, name, _followed(document, message)
            continue
        for operation in (channel[one] for one in _OPERATIONS if one in channel):
            message = _followed(document, operation.get("message", {}))
            for one in message.get("oneOf", [message]):
                name = _last_name(one, operation.get("operationId", channel_name))
                yield channel_name, topic, name, _followed(document, one)
    if not document.get("channels"):
        for name, message in document.get("components", {}).get("messages", {}).items():
            yield "components", None, name, _followed(document, message)


def _last_name(message: Mapping[str, Any], default: str) -> str:
    return str(message["$ref"]).rpartition("/")[2] if "$ref" in message else default


def _topic(channel_name: str, channel: Mapping[str, Any]) -> str | None:
    """Kafka's topic of a channel; None where the address has parameters, whose values only the user knows."""
    named = channel.get("bindings", {}).get("kafka", {}).get("topic")
    address = str(named or channel.get("address") or channel_name)
    return None if "{" in address else address


def _followed(document: Mapping[str, Any], node: Any) -> Any:
    seen: set[str] = set()
    while isinstance(node, Mapping) and "$ref" in node:
        if node["$ref"] in seen:
            raise LookupError(f"{node['$ref']} refers to itself")
        seen.add(node["$ref"])
        node = resolve(document, node["$ref"])
    return node


def _with_traits(document: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a message's traits: what it says itself stands above them (AsyncAPI 3.0, "Traits Merge Mechanism")."""
    whole: dict[str, Any] = {}
    for trait in message.get("traits", ()):
        whole = _merged(whole, _followed(document, trait))
    return _merged(whole, message)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {**below, **above}
    for name in set(below) & set(above):
        if isinstance(below[name], Mapping) and isinstance(above[name], Mapping):
            both[name] = _merged(below[name], above[name])
    return both


def _schema(
    document: Mapping[str, Any], name: str, topic: str | None, message: Mapping[str, Any], schema_id: int | None
) -> Schema:
    payload, form = _payload(document, message["payload"], message.get("schemaFormat", ""))
    if "avro" in form:
        return AvroSchema(payload, name=name, topic=topic, schema_id=schema_id)
    if form and not form.startswith(_FORMATS):
        raise UsageError(f"{name}: payloads in {form} are not known; known: JSON Schema and Avro")
    kafka = message.get("bindings", {}).get("kafka", {})
    return JsonSchema(
        name,
        bundle(document, payload),
        topic=topic,
        key_schema=_part(document, kafka.get("key")),
        header_schema=_part(document, message.get("headers")),
        draft=jsonschema.Draft7Validator if "$schema" not in payload else jsonschema.Draft202012Validator,
    )


def _payload(document: Mapping[str, Any], payload: Any, form: str) -> tuple[Any, str]:
    """The payload's schema and its format; 3.x has both in one object."""
    while isinstance(payload, Mapping):
        if "schemaFormat" in payload and "schema" in payload:
            payload, form = payload["schema"], str(payload["schemaFormat"])
        elif set(payload) == {"$ref"} and ("avro" in form or _has_format(document, payload)):
            payload = _followed(document, payload)
        else:
            break
    return payload, form


def _has_format(document: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    target = _followed(document, payload)
    return isinstance(target, Mapping) and "schemaFormat" in target and "schema" in target


def _part(document: Mapping[str, Any], schema: Any) -> dict[str, Any] | None:
    if not isinstance(schema, Mapping):
        return None
    content, form = _payload(document, schema, "")
    return None if "avro" in form else bundle(document, content)
