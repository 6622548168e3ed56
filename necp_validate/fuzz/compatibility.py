"""Whether two versions of a schema get along, by evidence: events of one are generated and read with the other.

The rules have Confluent's names. BACKWARD: consumers of the new schema read what producers of the old one send.
FORWARD: consumers of the old one read what producers of the new one send. FULL: both.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import fastavro
from hypothesis import strategies as st

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.differences import differences
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.schema import Schema
from necp_validate.fuzz.search import Broken, Limits, search
from necp_validate.fuzz.strategies import valid

_AT_BOUNDS: Final = 200


class Rule(StrEnum):
    """What is promised of two versions of a schema."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"

    @property
    def backward(self) -> bool:
        """Whether new consumers must read old events."""
        return self in (Rule.BACKWARD, Rule.FULL)

    @property
    def forward(self) -> bool:
        """Whether old consumers must read new events."""
        return self in (Rule.FORWARD, Rule.FULL)


def rule_named(name: str) -> Rule:
    """The rule of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        return Rule(name.upper())
    except ValueError:
        raise UsageError(f"there is no rule {name!r}; known: {', '.join(Rule)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Somebody who cannot read what somebody else sends.

    Args:
        name: the event type.
        rule: which promise it breaks: BACKWARD or FORWARD.
        producer: whose events.
        consumer: who cannot read them.
        message: why, with the field.
        differences: what differs between the two schemas.
        case: an event that shows it, as small as it gets; None where the type itself is gone.
    """

    name: str
    rule: Rule
    producer: str
    consumer: str
    message: str
    differences: tuple[str, ...] = ()
    case: Case | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.rule}: {self.consumer} cannot read what {self.producer} send: {self.message}"


def compare(
    old: Sequence[Schema],
    new: Sequence[Schema],
    rule: Rule | Mapping[str, Rule],
    limits: Limits,
    *,
    names: tuple[str, str] = ("OLD", "NEW"),
) -> list[Break]:
    """Compare the event types of two files by name.

    Args:
        old: the schemas of before.
        new: the schemas of now.
        rule: what is promised, of all types or by name.
        limits: how many events of each type are tried, besides those at a bound.
        names: what to call the two.

    Returns:
        Every promise that is broken; none is found is no proof, but each bound has been met exactly.
    """
    before, now = ({_title(one): one for one in schemas} for schemas in (old, new))
    if len(before) == len(now) == 1 and set(before) != set(now):
        before = dict.fromkeys(now, old[0])  # a type that got another name is still the one in the file
    breaks: list[Break] = []
    for name, schema in before.items():
        promised = rule if isinstance(rule, Rule) else rule.get(name, Rule.FULL)
        if name not in now:
            breaks += _gone(name, promised, names)
            continue
        changes = _differences(schema, now[name])
        if not changes:
            continue
        ways = (
            (promised.backward, Rule.BACKWARD, schema, now[name], names),
            (promised.forward, Rule.FORWARD, now[name], schema, names[::-1]),
        )
        for wanted, way, producer, consumer, (sends, reads) in ways:
            broken = evidence(producer, _reader(producer, consumer), limits) if wanted else None
            if broken is not None:
                breaks.append(
                    Break(
                        name=name,
                        rule=way,
                        producer=f"producers of {sends}",
                        consumer=f"consumers of {reads}",
                        message=broken.message,
                        differences=tuple(changes),
                        case=broken.case,
                    )
                )
    return breaks


def evidence(producer: Schema, read: Callable[[Case], str], limits: Limits) -> Broken | None:
    """Look for an event that one schema makes and a reader refuses: first at each bound, then anywhere.

    Args:
        producer: whose events.
        read: says why it refuses an event; "" if it reads it.
        limits: how far to search.
    """

    def holds(drawn: tuple[Case, random.Random]) -> None:
        case, rng = drawn
        for one in (case, *producer.at_bounds(case, rng)[:_AT_BOUNDS]):
            refused = read(one)
            if refused:
                raise Broken(refused, one)

    few = replace(limits, max_examples=max(limits.max_examples // 2, 10))
    whole = st.tuples(valid(producer), st.randoms(use_true_random=False))
    return search(f"compatibility {producer.name} {producer.version}", whole, holds, few)


def _reader(producer: Schema, consumer: Schema) -> Callable[[Case], str]:
    """How a consumer that has one schema reads what was made with another."""
    if isinstance(producer, AvroSchema) and isinstance(consumer, AvroSchema):
        return lambda case: _resolved(producer, consumer, case)
    if isinstance(producer, AvroSchema) or isinstance(consumer, AvroSchema):
        raise UsageError(f"{producer.name}: one of the two is Avro, the other is not")
    return lambda case: consumer.judge_value(case.value or b"")


def _resolved(producer: AvroSchema, consumer: AvroSchema, case: Case) -> str:
    """Read with both schemas, as Avro's schema resolution has it."""
    body = io.BytesIO(producer.body(case.value or b""))
    try:
        fastavro.schemaless_reader(body, producer.parsed, consumer.parsed)
    except Exception as error:  # noqa: BLE001 (whatever fastavro raises: the consumer would have raised it, too)
        return f"{type(error).__name__}: {error}"
    return ""


def _gone(name: str, promised: Rule, names: tuple[str, str]) -> list[Break]:
    if not promised.backward:
        return []
    return [
        Break(
            name=name,
            rule=Rule.BACKWARD,
            producer=f"producers of {names[0]}",
            consumer=f"consumers of {names[1]}",
            message="the type or this version of it is there no more",
        )
    ]


def _differences(old: Schema, new: Schema) -> list[str]:
    if isinstance(old, JsonSchema) and isinstance(new, JsonSchema):
        return differences(old.schema, new.schema)
    if isinstance(old, AvroSchema) and isinstance(new, AvroSchema):
        same = old.parsed == new.parsed
        return [] if same else list(_fields_apart(old.parsed, new.parsed)) or ["the schemas differ"]
    return ["one is Avro, the other is not"]


def _fields_apart(old: Any, new: Any) -> list[str]:
    had, has = ({one["name"]: one for one in schema.get("fields", ())} for schema in (old, new))
    gone = [f"{name}: field removed" for name in had if name not in has]
    added = [
        f"{name}: field added {'with' if 'default' in one else 'without'} a default"
        for name, one in has.items()
        if name not in had
    ]
    changed = [
        f"{name}: {had[name]['type']!r:.60} became {has[name]['type']!r:.60}"
        for name in had
        if name in has and had[name]["type"] != has[name]["type"]
    ]
    return gone + added + changed


def _title(schema: Schema) -> str:
    return f"{schema.name}.v{schema.version}" if schema.version else schema.name
