"""Export of the contract: JSON Schema (2020-12) of every event."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from necp_validate.events.base import Key
from necp_validate.events.receipts import Receipt
from necp_validate.events.registry import EventType, event_types

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DEFS: Final = "#/$defs/"

_TAIL: Final[dict[str, dict[str, Any]]] = {
    "ts": {
        "type": "integer",
        "minimum": 10**15,
        "maximum": 10**16 - 1,
        "description": "intended send time, microseconds since the epoch",
    },
    "id": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9]{12}$", "description": "stream and sequence"},
    "crc": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}$",
        "description": 'CRC-32 of all bytes of the value before ,"crc":"',
    },
}


def schema_name(kind: EventType) -> str:
    """Name an event type in schemas and documents, e.g. ``combat.damage.v2``."""
    return f"{kind.name}.v{kind.version}"


def schemas(*, ref_prefix: str = DEFS) -> dict[str, dict[str, Any]]:
    """Build the schemas of all events, envelope included, and of the receipt, by name.

    Args:
        ref_prefix: what references between them begin with.
    """
    kinds = event_types()
    types = [*(kind.data for kind in kinds), Receipt]
    found, parts = msgspec.json.schema_components(types, ref_template=ref_prefix + "{name}")
    (key,), _ = msgspec.json.schema_components([Key])
    envelopes = {
        schema_name(kind): _envelope(kind, data=data, key=key) for kind, data in zip(kinds, found[:-1], strict=True)
    }
    return {**parts, **envelopes}


def _envelope(kind: EventType, *, data: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "type": {"const": kind.name},
        "v": {"const": kind.version},
        "key": key,
        "data": data,
        **_TAIL,
    }
    return {
        "title": schema_name(kind),
        "description": (kind.data.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "x-domain": kind.domain.value,
    }


def json_schema() -> dict[str, Any]:
    """Build one JSON Schema that a value is valid against if it is any known event."""
    return {
        "$schema": DIALECT,
        "title": "Events of the game backbone",
        "oneOf": [{"$ref": DEFS + schema_name(kind)} for kind in event_types()],
        "$defs": schemas(),
    }
