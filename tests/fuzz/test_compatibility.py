"""What breaks whom: by events that one side makes and the other cannot read; and the registry keeps its promises."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from necp_validate.core import UsageError
from necp_validate.events.economy import TransferV1, TransferV2
from necp_validate.events.envelope import Decoder
from necp_validate.events.registry import EventType, event_types
from necp_validate.events.schema import schemas
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.compatibility import Rule, compare
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.search import Limits
from necp_validate.fuzz.snapshot import SCHEMAS, Registry, check_registry, check_versions, current, unpublished

FEW = Limits(max_examples=20, seed=1)
ORDER = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "amount": {"type": "integer", "minimum": 1, "maximum": 100}},
    "required": ["id", "amount"],
    "additionalProperties": False,
}


def _changed(**properties: Any) -> JsonSchema:
    order = copy.deepcopy(ORDER)
    order["properties"] = {name: one for name, one in {**order["properties"], **properties}.items() if one}
    order["required"] = [name for name in order["required"] if name in order["properties"]]
    return JsonSchema("order", order)


def test_the_registry_keeps_what_was_published_and_every_version_reads_the_one_before() -> None:
    """In CI: a change of a published version, or one that the next version cannot read, fails here and says why."""
    assert unpublished() == [], "publish with: necp-validate schema publish"
    assert [str(one) for one in check_registry(FEW)] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"properties": {"damage": {"maximum": 99_999}}}, "damage: maximum 100000 became 99999"),
        ({"properties": {"damage": {"type": "string"}}}, "damage: type 'integer' became 'string'"),
        ({"properties": {"weapon": {"enum": ["katana"]}}}, "weapon: enum"),
        ({"properties": {"hit_id": {"type": "string"}}, "required": ["hit_id"]}, "hit_id: required field added"),
        ({"renamed": ("damage", "hit_points")}, "damage: required field removed"),
    ],
)
def test_a_changed_published_version_fails_and_says_what_breaks_whom(change: dict[str, Any], told: str) -> None:
    exported = copy.deepcopy(dict(schemas()))
    data = exported["DamageV2"]
    for name, keywords in change.get("properties", {}).items():
        data["properties"].setdefault(name, {}).update(keywords)
    data["required"] += change.get("required", [])
    if "renamed" in change:
        before, after = change["renamed"]
        data["properties"][after] = data["properties"].pop(before)
        data["required"] = [after if name == before else name for name in data["required"]]
    now = Registry(types=_only("combat.damage"), exported=exported, decode=Decoder().decode)
    breaks = [one for one in _against_published(now, "combat.damage") if one.case is not None]
    assert {one.rule for one in breaks} >= {Rule.BACKWARD}
    (first, *_) = breaks
    assert str(first).startswith(
        "combat.damage.v2: BACKWARD: consumers of the registry of now cannot read what producers of the published"
    )
    assert any(told in difference for difference in first.differences), first.differences


def _only(*names: str) -> tuple[EventType, ...]:
    return tuple(kind for kind in event_types() if kind.name in names)


def _against_published(now: Registry, name: str) -> list[Any]:
    before = [one for one in load_schemas(str(SCHEMAS)) if one.name.startswith(f"{name}.v")]
    plain = [JsonSchema(f"{kind}.v{version}", one.schema) for (kind, version), one in now.schemas.items()]
    return compare(before, plain, Rule.BACKWARD, FEW, names=("the published registry", "the registry of now"))


def test_a_removed_version_breaks_its_producers() -> None:
    now = Registry(types=_only("combat.damage")[1:], exported=schemas(), decode=Decoder().decode)
    (gone,) = _against_published(now, "combat.damage")
    assert str(gone) == (
        "combat.damage.v1: BACKWARD: consumers of the registry of now cannot read what producers of the published "
        "registry send: the type or this version of it is there no more"
    )


def _renaming() -> Registry:
    """A registry whose second version of a transfer calls the amount ``sum``, and nobody has thought of the first."""
    fields = [
        ("sum" if field.name == "amount" else field.name, field.type) for field in msgspec.structs.fields(TransferV2)
    ]
    renamed = msgspec.defstruct(
        "Renamed",
        fields,
        bases=(TransferV2.__bases__[0],),
        namespace={"type_name": "economy.transfer", "version": 2},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )

    def upcast(old: TransferV1) -> Any:
        return renamed(debit=old.debit, credit=old.credit, amount=old.amount, currency="eddies", memo=None)

    first = msgspec.defstruct(
        "First",
        [(field.name, field.type) for field in msgspec.structs.fields(TransferV1)],
        bases=(TransferV1.__bases__[0],),
        namespace={"type_name": "economy.transfer", "version": 1, "upcast": upcast},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    old, new = _only("economy.transfer")
    types = (msgspec.structs.replace(old, data=first), msgspec.structs.replace(new, data=renamed))
    exported = dict(schemas())
    (data,), parts = msgspec.json.schema_components([renamed], ref_template="#/$defs/{name}")
    exported |= {**parts, "First": exported["TransferV1"]}
    exported["economy.transfer.v2"] = copy.deepcopy(exported["economy.transfer.v2"])
    exported["economy.transfer.v2"]["properties"]["data"] = data
    return Registry(types=types, exported=exported, decode=Decoder(types).decode)


def test_seeded_defect_a_v2_that_renames_a_field_is_caught_with_the_smallest_event() -> None:
    (broken,) = check_versions(FEW, _renaming(), rules=(Rule.BACKWARD, {}))
    assert (broken.name, broken.producer, broken.consumer) == (
        "economy.transfer",
        "producers of v1",
        "consumers of v2",
    )
    assert "it cannot be brought to v2" in broken.message
    assert "amount: required field removed" in broken.differences
    assert "sum: required field added" in broken.differences
    assert broken.case is not None
    assert len(msgspec.json.decode(broken.case.value or b"")["data"]["debit"]) == 1


def test_forward_is_promised_of_no_type_because_it_would_not_hold() -> None:
    """Consumers refuse what is newer than they are: the declared rule is not weaker than it need be."""
    now = current()
    some = Registry(types=_only("combat.damage"), exported=now.exported, decode=now.decode)
    assert {one.rule for one in check_versions(FEW, some, rules=(Rule.FULL, {}))} == {Rule.FORWARD}


@pytest.mark.parametrize(
    ("new", "backward", "forward"),
    [
        (_changed(), True, True),
        (_changed(note={"type": "string"}), True, False),
        (_changed(amount={"type": "integer", "minimum": 1, "maximum": 99}), False, True),
        (_changed(amount={"type": "integer", "minimum": 0, "maximum": 100}), True, False),
        (_changed(amount=None, total={"type": "integer"}), False, False),
    ],
)
def test_json_schemas(new: JsonSchema, backward: bool, forward: bool) -> None:
    breaks = compare([JsonSchema("order", ORDER)], [new], Rule.FULL, FEW)
    assert {one.rule for one in breaks} == {
        rule for rule, kept in ((Rule.BACKWARD, backward), (Rule.FORWARD, forward)) if not kept
    }
    assert compare([JsonSchema("order", ORDER)], [new], Rule.NONE, FEW) == []


def _payment(*more: dict[str, Any]) -> AvroSchema:
    fields = [{"name": "id", "type": "string"}, {"name": "amount", "type": "double"}, *more]
    return AvroSchema({"type": "record", "name": "Payment", "fields": fields})


@pytest.mark.parametrize(
    ("new", "broken"),
    [
        (_payment({"name": "region", "type": "string"}), {Rule.BACKWARD}),
        (_payment({"name": "region", "type": "string", "default": ""}), set()),
    ],
)
def test_avro_schemas_are_resolved_as_readers_do(new: AvroSchema, broken: set[Rule]) -> None:
    breaks = compare([_payment()], [new], Rule.FULL, FEW)
    assert {one.rule for one in breaks} == broken
    assert all("region: field added without a default" in one.differences for one in breaks)


def test_a_wrong_rule_is_named(tmp_path: Path) -> None:
    from necp_validate.fuzz.snapshot import read_rules

    rules = tmp_path / "rules.toml"
    rules.write_text('default = "SIDEWAYS"\n')
    with pytest.raises(UsageError, match="there is no rule 'SIDEWAYS'; known: NONE, BACKWARD, FORWARD, FULL"):
        read_rules(rules)
