"""The registry as it was published last (``registry/schemas.json``), and what is promised of it (``rules.toml``)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec

from necp_validate.core import UsageError
from necp_validate.events.base import Event, EventData, InvalidEvent
from necp_validate.events.envelope import Decoder
from necp_validate.events.registry import EventType, event_types
from necp_validate.events.schema import json_schema, schemas
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.compatibility import Break, Rule, compare, evidence, rule_named
from necp_validate.fuzz.differences import differences
from necp_validate.fuzz.json_schema import JsonSchema, first_problem, validator_of
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.registry_schema import RegistrySchema, schemas_of
from necp_validate.fuzz.search import Limits

FOLDER: Final = Path(__file__).parent / "registry"
SCHEMAS: Final = FOLDER / "schemas.json"
RULES: Final = FOLDER / "rules.toml"

Decode = Callable[[bytes], Event[EventData]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A state of the registry.

    Args:
        types: its event types.
        exported: their JSON Schemas by name.
        decode: its decoder.
    """

    types: tuple[EventType, ...]
    exported: Mapping[str, Any]
    decode: Decode

    @property
    def schemas(self) -> dict[tuple[str, int], RegistrySchema]:
        """Schemas by type and version."""
        return schemas_of(self.types, self.exported)


def current() -> Registry:
    """The registry as it is now."""
    return Registry(types=event_types(), exported=schemas(), decode=Decoder().decode)


def read_rules(path: Path = RULES) -> tuple[Rule, dict[str, Rule]]:
    """What is promised between a version and the next: by default, and by type.

    Raises:
        UsageError: the file cannot be read, or names a rule that there is not.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    default = rule_named(str(content.get("default", "BACKWARD")))
    return default, {name: rule_named(str(rule)) for name, rule in content.get("types", {}).items()}


def check_registry(limits: Limits, *, registry: Registry | None = None, published: Path = SCHEMAS) -> list[Break]:
    """Check the registry against what was published, and each version against the next.

    Args:
        limits: how many events of each type are tried.
        registry: the registry as it is now.
        published: the stored snapshot.

    Raises:
        UsageError: the snapshot cannot be read, or lacks a type or version that the registry has.
    """
    registry = registry or current()
    before = load_schemas(str(published))
    now = [_plain(schema) for schema in registry.schemas.values()]
    breaks = compare(before, now, Rule.FULL, limits, names=("the published registry", "the registry of now"))
    return breaks + check_versions(limits, registry)


def unpublished(*, registry: Registry | None = None, published: Path = SCHEMAS) -> list[str]:
    """Types and versions that the registry has and the snapshot has not."""
    known = {schema.name for schema in load_schemas(str(published))}
    return [name for name in (_title(kind) for kind in (registry or current()).types) if name not in known]


def publish(path: Path = SCHEMAS) -> None:
    """Write the snapshot anew, from the registry as it is now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_versions(
    limits: Limits, registry: Registry, rules: tuple[Rule, Mapping[str, Rule]] | None = None
) -> list[Break]:
    """Check each version against the next: what its producers send, as consumers of the next one get it, and back.

    Consumers get an event through their decoder, which brings it to the newest version. What it gives must be valid
    there, and a field that both versions have must still have its value.
    """
    default, by_type = rules or read_rules()
    breaks: list[Break] = []
    found = registry.schemas
    for kind in registry.types:
        older = found.get((kind.name, kind.version - 1))
        if older is None:
            continue
        rule, newer = by_type.get(kind.name, default), found[kind.name, kind.version]
        ways = (
            (rule.backward, Rule.BACKWARD, older, newer, upcasting(registry, newest_of(registry.types, kind.name))),
            (rule.forward, Rule.FORWARD, newer, older, lambda case, older=older: older.judge_value(case.value or b"")),
        )
        for wanted, way, producer, consumer, read in ways:
            broken = evidence(producer, read, limits) if wanted else None
            if broken is not None:
                breaks.append(
                    Break(
                        name=kind.name,
                        rule=way,
                        producer=f"producers of v{producer.version}",
                        consumer=f"consumers of v{consumer.version}",
                        message=broken.message,
                        differences=tuple(_data_differences(older, newer)),
                        case=broken.case,
                    )
                )
    return breaks


def upcasting(registry: Registry, newest: EventType) -> Callable[[Case], str]:
    """How a consumer that only knows the newest version gets an event of any version."""
    validator = validator_of(
        _title(newest),
        {**registry.exported[newest.data.__name__], "$defs": registry.exported},
        jsonschema.Draft202012Validator,
    )

    def read(case: Case) -> str:
        try:
            event = registry.decode(case.value or b"")
        except InvalidEvent as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 (an upcast may fail in any way, and the consumer with it)
            return f"it cannot be brought to v{newest.version}: {error!r}"
        if type(event.data) is not newest.data:
            return f"it stays a {type(event.data).__name__}, which consumers of v{newest.version} do not handle"
        got = msgspec.to_builtins(event.data)
        problem = first_problem(validator, got)
        if problem:
            return f"brought to v{newest.version} it is invalid: {problem}"
        sent = msgspec.json.decode(case.value or b"")["data"]
        for name in sent.keys() & got.keys():
            if sent[name] != got[name]:
                return f"field {name!r} was {sent[name]!r} and is {got[name]!r} as v{newest.version}"
        return ""

    return read


def newest_of(types: Iterable[EventType], name: str) -> EventType:
    """The newest version of a type."""
    return max((kind for kind in types if kind.name == name), key=lambda kind: kind.version)


def _plain(schema: RegistrySchema) -> JsonSchema:
    """The schema under the name that it is exported by, judged as JSON alone, as others would."""
    return JsonSchema(_title(schema.kind), schema.schema)


def _title(kind: EventType) -> str:
    return f"{kind.name}.v{kind.version}"


def _data_differences(older: RegistrySchema, newer: RegistrySchema) -> list[str]:
    old, new = ({**one.schema["properties"]["data"], "$defs": one.schema.get("$defs", {})} for one in (older, newer))
    return differences(old, new)
