"""Schemas out of a Schema Registry. The registry is a stand-in of two addresses; `nox -s foreign` asks a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from necp_validate.core import UsageError
from necp_validate.external.pool import make_pool
from necp_validate.external.registry import load_subject, subjects
from necp_validate.fuzz.json_text import Malformed
from necp_validate.stack.external_topics import RegistryAddress, TopicTarget

ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}, "additionalProperties": False}
AVRO = {"type": "record", "name": "Payment", "fields": [{"name": "id", "type": "long"}]}


class StandIn(BaseHTTPRequestHandler):
    """Answers as Confluent's registry does for what is asked here."""

    kept: ClassVar[dict[str, dict[str, Any]]] = {
        "orders-value": {"id": 300, "schemaType": "JSON", "schema": json.dumps(ORDER)},
        "payments-value": {"id": 7, "schema": json.dumps(AVRO)},
        "proto-value": {"id": 8, "schemaType": "PROTOBUF", "schema": 'syntax = "proto3";'},
        "split-value": {
            "id": 9,
            "schema": json.dumps(AVRO),
            "references": [{"name": "a", "subject": "other", "version": 1}],
        },
    }
    authorization = ""

    def do_GET(self) -> None:
        type(self).authorization = self.headers.get("Authorization", "")
        _, _, subject, *_ = f"{urlsplit(self.path).path}//".split("/")
        if not subject:
            self._answer(200, sorted(self.kept))
        elif subject in self.kept:
            self._answer(200, {"subject": subject, "version": 1, **self.kept[subject]})
        else:
            self._answer(404, {"error_code": 40401, "message": f"Subject '{subject}' not found."})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # named by the base class
        pass


@pytest.fixture
def registry() -> Iterator[RegistryAddress]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield RegistryAddress(url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_json_values_begin_with_the_schemas_number(registry: RegistryAddress) -> None:
    topic = TopicTarget(name="orders", subject="orders-value", key="field:id")
    pool = make_pool(topic, registry, seed=1, size=10)
    for value, key in zip(pool.values, pool.keys, strict=True):
        assert value[:5] == b"\0\0\0\x01\x2c"
        assert json.loads(value[5:])["id"] == int(key)
    assert pool.source.endswith(f"subject orders-value of {registry.url}")


def test_avro_values_begin_with_the_schemas_number(registry: RegistryAddress) -> None:
    pool = make_pool(TopicTarget(name="payments", subject="payments-value"), registry, seed=1, size=10)
    assert pool.values
    assert {value[:5] for value in pool.values} == {b"\0\0\0\0\x07"}


def test_the_subjects_are_listed(registry: RegistryAddress) -> None:
    assert subjects(registry) == ["orders-value", "payments-value", "proto-value", "split-value"]


def test_a_login_is_sent(registry: RegistryAddress) -> None:
    subjects(RegistryAddress(url=registry.url, login=("me", "secret")))
    assert StandIn.authorization.startswith("Basic ")


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("none-value", "subject none-value: Subject 'none-value' not found."),
        ("proto-value", "subject proto-value is PROTOBUF, which is not known here"),
        ("split-value", "subject split-value refers to other subjects"),
    ],
)
def test_what_cannot_be_used_is_wrong_usage(registry: RegistryAddress, subject: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_subject(registry, subject)
    assert told in caught.value.message


def test_a_registry_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"the Schema Registry http://127\.0\.0\.1:1 does not answer"):
        subjects(RegistryAddress(url="http://127.0.0.1:1"))


def test_a_framed_value_is_judged_with_its_header(registry: RegistryAddress) -> None:
    schema = load_subject(registry, "orders-value")
    sound = schema.encode({"id": 1})
    assert schema.judge_value(sound) == ""
    assert "schema's number" in schema.judge_value(sound[5:])
    assert schema.judge_value(sound[:5] + b"{}") != ""
    with pytest.raises(Malformed, match="schema's number"):
        schema.decode(b"{}")
