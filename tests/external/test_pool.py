"""Values for a topic: valid against its schema, the same for the same seed, and keys out of their fields."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import jsonschema
import pytest

from necp_validate.core import UsageError
from necp_validate.external.pool import make_pool
from necp_validate.stack.external_topics import TopicTarget

ROOT = Path(__file__).parents[2]
ORDER = ROOT / "examples" / "external" / "order.schema.json"
AVRO = {
    "type": "record",
    "name": "Payment",
    "fields": [{"name": "payment_id", "type": "string"}, {"name": "cents", "type": "int"}],
}


def _asyncapi(folder: Path) -> Path:
    def channel(address: str, name: str) -> dict[str, Any]:
        payload = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
        return {"address": address, "messages": {name: {"name": name, "payload": payload}}}

    file = folder / "api.json"
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "shop", "version": "1"},
        "channels": {"a": channel("orders", "OrderPlaced"), "b": channel("refunds", "RefundAsked")},
    }
    file.write_text(json.dumps(document))
    return file


def _pool(topic: TopicTarget, size: int = 20) -> Any:
    return make_pool(topic, None, seed=7, size=size)


def test_json_values_are_valid_against_the_schema() -> None:
    pool = _pool(TopicTarget(name="orders", schema=ORDER))
    validator = jsonschema.Draft202012Validator(json.loads(ORDER.read_text()))
    assert len(pool.values) > 5
    assert len(set(pool.values)) == len(pool.values)
    for value in pool.values:
        validator.validate(json.loads(value))
    assert pool.source == f"{len(pool.values)} values of order, file order.schema.json"


def test_the_same_seed_gives_the_same_values() -> None:
    topic = TopicTarget(name="orders", schema=ORDER)
    assert _pool(topic).values == _pool(topic).values
    plain = TopicTarget(name="orders")
    assert _pool(plain).values == _pool(plain).values != make_pool(plain, None, seed=8, size=20).values


@pytest.mark.parametrize("schema_id", [None, 300])
def test_avro_values_are_read_by_avros_own_library(tmp_path: Path, schema_id: int | None) -> None:
    file = tmp_path / "payment.avsc"
    file.write_text(json.dumps(AVRO))
    pool = _pool(TopicTarget(name="payments", schema=file, schema_id=schema_id, key="field:payment_id"))
    parsed = fastavro.parse_schema(AVRO)
    for value, key in zip(pool.values, pool.keys, strict=True):
        body = value if schema_id is None else value.removeprefix(b"\0" + schema_id.to_bytes(4, "big"))
        read: Any = fastavro.schemaless_reader(io.BytesIO(body), parsed, None)
        assert key == read["payment_id"].encode()


def test_asyncapi_gives_each_topic_the_message_of_its_channel(tmp_path: Path) -> None:
    file = _asyncapi(tmp_path)
    assert "values of OrderPlaced" in _pool(TopicTarget(name="orders", schema=file)).source
    assert "values of RefundAsked" in _pool(TopicTarget(name="refunds", schema=file)).source
    assert "values of RefundAsked" in _pool(TopicTarget(name="any", schema=file, event="RefundAsked")).source


def test_a_file_with_several_events_wants_one_named(tmp_path: Path) -> None:
    file = _asyncapi(tmp_path)
    with pytest.raises(UsageError, match="describes several events: OrderPlaced, RefundAsked") as caught:
        _pool(TopicTarget(name="any", schema=file))
    assert caught.value.hint == 'name one in the [[topics]] table: event = "OrderPlaced"'
    with pytest.raises(UsageError, match="describes no event OrderPlacd") as caught:
        _pool(TopicTarget(name="any", schema=file, event="OrderPlacd"))
    assert caught.value.hint == "did you mean OrderPlaced?"


def test_keys_come_from_nested_fields_and_a_missing_one_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "nested.json"
    inner = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    file.write_text(json.dumps({"type": "object", "required": ["who"], "properties": {"who": inner}}))
    pool = _pool(TopicTarget(name="t", schema=file, key="field:who.id"))
    assert pool.keys == [str(json.loads(value)["who"]["id"]).encode() for value in pool.values]
    with pytest.raises(UsageError, match="some values have no field 'name'") as caught:
        _pool(TopicTarget(name="t", schema=file, key="field:who.name"))
    assert caught.value.hint == "name a field that the schema requires"


def test_without_a_schema_values_are_bytes_of_the_length_that_is_asked_for() -> None:
    pool = _pool(TopicTarget(name="t", value_bytes=33))
    assert {len(value) for value in pool.values} == {33}
    assert "the topic has no schema" in pool.source
