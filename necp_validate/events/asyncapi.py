"""Export of the contract as an AsyncAPI 3.0 document: who sends what over which topic."""

from __future__ import annotations

from typing import Any, Final

from necp_validate.events.registry import event_types
from necp_validate.events.schema import schema_name, schemas
from necp_validate.events.topics import (
    AUDIT_TOPIC,
    CHAT_TOPIC,
    LEDGER_TOPIC,
    MARKET_TOPIC,
    RECEIPTS_TOPIC,
    TOPICS,
    Domain,
    TopicSpec,
)

ASYNCAPI_VERSION: Final = "3.0.0"
KAFKA_BINDING: Final = "0.5.0"
_SCHEMAS: Final = "#/components/schemas/"

_OUTPUTS: Final[dict[str, str]] = {
    RECEIPTS_TOPIC: "What became of every event, in runs of offsets; the partition is the domain's number.",
    LEDGER_TOPIC: "Bookings, listings and ticks of a batch of events; the key is the input partition.",
    MARKET_TOPIC: "State of the market by shard and item, whenever it has changed; the key is as in the ledger.",
    CHAT_TOPIC: "Messages of a channel in their order, in batches; the key is the channel.",
    AUDIT_TOPIC: "Security events, kept for seven years; the key is the reporting server.",
    **{
        domain.dead_letter_topic: f"Invalid events of the {domain} domain, byte for byte, with the reason "
        "and origin in headers."
        for domain in Domain
    },
}


def asyncapi_document(*, version: str = "1.0.0") -> dict[str, Any]:
    """Build the AsyncAPI document, seen from the event core.

    Args:
        version: version of the described interface.
    """
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "id": "urn:necp:event-core",
        "info": {
            "title": "Game event backbone",
            "version": version,
            "description": "Events of a game's combat, economy, social and system domains over Kafka. "
            "A value is JSON with its fields in the order of the schema and a tail of fixed width.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {spec.name: _channel(spec) for spec in TOPICS.values()},
        "operations": _operations(),
        "components": {
            "messages": {**_event_messages(), **_output_messages()},
            "schemas": schemas(ref_prefix=_SCHEMAS),
            "securitySchemes": {
                "mtls": {"type": "X509", "description": "client certificate"},
                "scram": {"type": "scramSha512", "description": "one user for each service"},
            },
        },
    }


def _servers() -> dict[str, Any]:
    return {
        "internal": {
            "host": "broker:9093",
            "protocol": "kafka-secure",
            "description": "between services of the cluster: TLS with client certificates",
            "security": [{"$ref": "#/components/securitySchemes/mtls"}],
        },
        "external": {
            "host": "broker:9094",
            "protocol": "kafka-secure",
            "description": "from outside the cluster: TLS with SCRAM-SHA-512",
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _message_names(topic: str) -> list[str]:
    for domain in Domain:
        if topic == domain.topic:
            return [schema_name(kind) for kind in event_types(domain)]
    return [topic]


def _channel(spec: TopicSpec) -> dict[str, Any]:
    config: dict[str, Any] = {"cleanup.policy": [spec.cleanup_policy], "retention.ms": spec.retention_ms}
    domain = next((domain for domain in Domain if domain.topic == spec.name), None)
    return {
        "address": spec.name,
        "description": f"Events of the {domain} domain." if domain else _OUTPUTS[spec.name],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _message_names(spec.name)},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "replicas": spec.replication_factor,
                "topicConfiguration": config,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operations() -> dict[str, Any]:
    inputs = {domain.topic: domain for domain in Domain}
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        name = f"{'receive' if topic in inputs else 'send'}.{topic}"
        operations[name] = {
            "action": "receive" if topic in inputs else "send",
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [{"$ref": f"#/channels/{topic}/messages/{message}"} for message in _message_names(topic)],
        }
        if topic in inputs:
            operations[name]["bindings"] = {
                "kafka": {
                    "groupId": {"type": "string", "const": inputs[topic].group},
                    "bindingVersion": KAFKA_BINDING,
                }
            }
    return operations


def _event_messages() -> dict[str, Any]:
    return {
        schema_name(kind): {
            "name": schema_name(kind),
            "title": f"{kind.name} version {kind.version}",
            "summary": (kind.data.__doc__ or "").partition("\n")[0],
            "contentType": "application/json",
            "payload": {"$ref": _SCHEMAS + schema_name(kind)},
            "bindings": {
                "kafka": {
                    "key": {"type": "string", "description": "the same as the field key"},
                    "bindingVersion": KAFKA_BINDING,
                }
            },
        }
        for kind in event_types()
    }


def _output_messages() -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for topic, summary in _OUTPUTS.items():
        payload: dict[str, Any] = {"type": "object"}
        if topic == RECEIPTS_TOPIC:
            payload = {"$ref": _SCHEMAS + "Receipt"}
        messages[topic] = {
            "name": topic,
            "summary": summary,
            "contentType": "application/json",
            "payload": payload,
        }
        if topic.endswith(".dlt"):
            # The value is whatever came in, so there is no saying what it is.
            messages[topic]["contentType"] = "application/octet-stream"
            messages[topic]["payload"] = {}
            messages[topic]["headers"] = {
                "type": "object",
                "required": ["reason", "detail", "source-topic", "source-partition", "source-offset"],
                "properties": {
                    name: {"type": "string"}
                    for name in ("reason", "detail", "source-topic", "source-partition", "source-offset")
                },
            }
    return messages
