"""Schemas of others: read as they are, generated from, judged; what cannot be read is said with file and reason."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from necp_validate.core import UsageError
from necp_validate.fuzz.avro_schema import AvroSchema
from necp_validate.fuzz.avro_spans import NotAvro
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.json_text import Fragment, Malformed, parse, render
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.strategies import from_schema

FOREIGN = Path(__file__).parent / "foreign"
FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LOGICAL: list[Any] = [
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
    {"type": "fixed", "name": "Money", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2},
]


class TestJson:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (b'{"a":1,"a":1}', "'a' is there twice"),
            (b'{"a":NaN}', "NaN is not JSON"),
            (b'{"a":1e999}', "no double holds 1e999"),
            (b'"\\ud800"', "surrogates not allowed"),
            (b"\xff", "can't decode byte 0xff"),
            (b"[" * 600 + b"]" * 600, "more than 512 levels"),
            (b"[" * 100_000, "more than 512 levels"),
            (b"9" * 5_000, "4300 digits"),
        ],
    )
    def test_what_is_no_json_is_refused(self, text: bytes, told: str) -> None:
        with pytest.raises(Malformed, match=told):
            parse(text)

    def test_fragments_are_written_as_they_are(self) -> None:
        assert render({"a": Fragment(b"NaN"), "b": [Fragment(b'"\xff"')]}) == b'{"a":NaN,"b":["\xff"]}'

    def test_a_schema_that_contains_itself(self, tmp_path: Path) -> None:
        path = tmp_path / "tree.json"
        node = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
        path.write_text(json.dumps({"$ref": "#/$defs/node", "$defs": {"node": {**node, "required": ["children"]}}}))

        @settings(FEW, max_examples=10)  # trees: each takes a quarter of a second to draw
        @given(from_schema(path, kind="valid"))
        def check(case: Any) -> None:
            assert case.valid

        check()

    def test_a_oneof_of_named_schemas_is_several_event_types(self, tmp_path: Path) -> None:
        path = tmp_path / "events.json"
        parts = {"made": {"type": "object"}, "gone": {"type": "null"}}
        path.write_text(json.dumps({"oneOf": [{"$ref": f"#/$defs/{name}"} for name in parts], "$defs": parts}))
        assert [one.name for one in load_schemas(str(path))] == ["made", "gone"]

    def test_bounds_are_met_exactly(self) -> None:
        bounded = {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMinimum": 3, "maximum": 9},
                                                    "s": {"type": "string", "maxLength": 2}}}  # fmt: skip
        schema = JsonSchema("bounded", bounded)
        case = schema.case((None, b'{"n":5,"s":"a"}', ()))
        met = {one.value for one in schema.at_bounds(case, random.Random(1))}
        assert met == {b'{"n":4,"s":"a"}', b'{"n":9,"s":"a"}', b'{"n":5,"s":"aa"}'}


class TestAsyncapi:
    def test_the_foreign_document_is_read_as_yaml_1_2(self) -> None:
        """``on`` and ``off`` are texts; as in YAML 1.1 they would be booleans, and nothing at all would be valid."""
        schemas = load_schemas(str(FOREIGN / "streetlights-kafka.yml"))
        assert [one.name.partition("@")[0] for one in schemas] == [
            "lightMeasured",
            "turnOnOff",
            "turnOnOff",
            "dimLight",
        ]
        assert schemas[1].judge((None, b'{"command":"off"}', ())) == ""
        assert "is not one of ['on', 'off']" in schemas[1].judge((None, b'{"command":"dim"}', ()))
        assert (
            schemas[1].judge((None, b'{"command":"on"}', (("my-app-header", b"101"),))).startswith("headers: my-app-")
        )
        assert {one.topic for one in schemas} == {None}, "the addresses have parameters"

    def test_version_3_with_avro_a_key_and_a_topic(self, tmp_path: Path) -> None:
        record = {"type": "record", "name": "Paid", "fields": [{"name": "cents", "type": "long"}]}
        path = tmp_path / "async.json"
        path.write_text(json.dumps({
            "asyncapi": "3.0.0",
            "channels": {
                "payments": {
                    "address": "payments.v1",
                    "messages": {
                        "paid": {"payload": {"schemaFormat": "application/vnd.apache.avro", "schema": record}},
                        "refunded": {
                            "payload": {"$ref": "#/components/schemas/refund"},
                            "bindings": {"kafka": {"key": {"type": "string", "minLength": 2}}},
                        },
                    },
                }
            },
            "components": {"schemas": {"refund": {"type": "object", "required": ["of"]}}},
        }))  # fmt: skip
        paid, refunded = load_schemas(str(path))
        assert (paid.name, paid.form, paid.topic) == ("paid", "avro", "payments.v1")
        assert refunded.judge((b"k1", b'{"of":1}', ())) == ""
        assert refunded.judge((b"k", b'{"of":1}', ())).startswith("key: ")
        assert refunded.judge((b"k1", b"{}", ())) == "the whole: 'of' is a required property"


class TestAvro:
    @pytest.mark.parametrize("kind", LOGICAL, ids=lambda kind: str(kind["logicalType"]))
    def test_logical_types(self, kind: Any) -> None:
        schema = AvroSchema({"type": "record", "name": "One", "fields": [{"name": "it", "type": kind}]})

        @FEW
        @given(schema.documents())
        def check(document: Any) -> None:
            value = schema.encode(document)
            assert schema.judge_value(value) == ""
            assert schema.round_trip(document) == ""
            whole = io.BytesIO()
            fastavro.schemaless_writer(whole, schema.parsed, schema.decode(value))
            assert schema.judge_value(whole.getvalue()) == ""

        check()

    def test_unions_maps_and_types_that_contain_themselves(self) -> None:
        (schema,) = load_schemas(str(FOREIGN / "interop.avsc"))

        @FEW
        @given(schema.documents(), st.binary(max_size=40))
        def check(document: Any, noise: bytes) -> None:
            assert schema.judge_value(schema.encode(document)) == ""
            assert schema.round_trip(document) == ""
            schema.judge_value(noise)

        check()

    @pytest.mark.parametrize(
        ("kind", "value", "told"),
        [
            ("boolean", b"\x02", "a boolean is one byte, 0 or 1"),
            ("int", b"\x80\x80\x80\x80\x10", "an int has 32 bits"),
            ("long", b"\xff" * 10 + b"\x01", "a long has 64 bits"),
            ("string", b"\x01", "-1 bytes wanted"),
            ("string", b"\x02\xff", "a string is UTF-8"),
            ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x02", "number 1 of 1 symbols"),
            (["null", "int"], b"\x04", "number 2 of 2 branches"),
            ("null", b"\x00", "1 bytes are left"),
        ],
    )
    def test_what_readers_let_pass_is_refused(self, kind: Any, value: bytes, told: str) -> None:
        assert told in AvroSchema(kind).judge_value(value)

    def test_confluent_s_header_names_the_schema(self) -> None:
        schema = AvroSchema("int", schema_id=7)
        assert schema.encode(1) == b"\0\0\0\0\x07\x02"
        assert schema.judge_value(b"\0\0\0\0\x07\x02") == ""
        assert "does not begin with the header" in schema.judge_value(b"\0\0\0\0\x08\x02")
        with pytest.raises(NotAvro):
            schema.decode(b"\x02")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{", "a.json is not valid JSON"),
        ("a.yml", "a: [", "a.yml is not valid YAML"),
        ("a.json", "[]", "neither JSON Schema, nor Avro, nor AsyncAPI"),
        ("a.json", '{"type": 3}', "is no JSON Schema: at type"),
        ("a.json", '{"$ref": "https://example.org/x"}', "leads out of the document"),
        ("a.json", '{"$ref": "#/$defs/x"}', "leads nowhere: there is no '$defs'"),
        ("a.json", '{"allOf": [{"type": "null"}, {"type": "string"}]}', "nothing is valid against this schema"),
        ("a.avsc", '{"type": "record", "fields": []}', "is no Avro schema"),
        ("a.yml", "asyncapi: 1.2.0", "AsyncAPI 1.2.0 is not known; known: 2.x and 3.x"),
        ("a.yml", "asyncapi: 3.0.0", "describes no message with a payload"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=str(path)) as caught:
        [one.documents() for one in load_schemas(str(path))]
    assert told in str(caught.value)


def test_a_missing_file_and_a_missing_type_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_schemas(str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match=r"the registry has no type 'combat\.dance'; known: combat\.ability_cast"):
        load_schemas("registry:combat.dance")
