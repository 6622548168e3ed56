"""Brokers and a Schema Registry that are not ours: Kafka of the previous major version, and whatever is named.

Run by `nox -s foreign`. A Kafka-compatible broker that runs already is named in NECP_FOREIGN_BOOTSTRAP (one that makes
no topics: with a topic of it in NECP_FOREIGN_TOPIC), the folder of an Apicurio Registry in NECP_APICURIO_HOME.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic
from plain_cluster import SHORT, last_run, make_topics, plain_broker, typed, verdict_of

from necp_validate.external.pool import make_pool
from necp_validate.external.registry import subjects
from necp_validate.record import read_record
from necp_validate.stack import ADMIN, LocalStack
from necp_validate.stack.external_topics import RegistryAddress, TopicTarget
from necp_validate.stack.ports import free_ports
from necp_validate.stack.provision import admin_client
from necp_validate.stack.runtime import load_runtime
from necp_validate.stack.waiting import wait_until

PREVIOUS = "3.9.1"
BOOTSTRAP, APICURIO = os.environ.get("NECP_FOREIGN_BOOTSTRAP"), os.environ.get("NECP_APICURIO_HOME")
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif("NECP_FOREIGN" not in os.environ, reason="needs parts of others: nox -s foreign"),
]


def _first_report(bootstrap: str, folder: Path, topic: str = "trial", allow: str = "create-topics") -> str:
    """`init` and `run`; everything that is claimed must hold. Returns what `init` says of the cluster."""
    code, told = typed(folder, "init", "--bootstrap", bootstrap, "--topic", topic)
    assert code == 0, told
    code, out = typed(folder, "run", "scenario.toml", "--allow", allow, *SHORT)
    run_dir = last_run(folder)
    assert code == 0, out
    assert {claim["verdict"] for claim in verdict_of(run_dir)["claims"]} == {"pass"}
    readback = read_record(run_dir).readback
    assert readback is not None
    assert readback.events_read == 350
    assert typed(folder, "run", "scenario.toml")[0] == 2
    return told


def test_kafka_of_the_previous_major_version(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with plain_broker(tmp_path / "broker", PREVIOUS) as bootstrap:
        assert "1 broker, Kafka 3.9" in _first_report(bootstrap, tmp_path)


@pytest.mark.skipif(not BOOTSTRAP, reason="needs a Kafka-compatible broker: NECP_FOREIGN_BOOTSTRAP=HOST:PORT")
def test_another_kafka_compatible_broker(tmp_path: Path) -> None:
    topic = os.environ.get("NECP_FOREIGN_TOPIC")
    if topic:
        _first_report(str(BOOTSTRAP), tmp_path, topic, "write")
    else:
        _first_report(str(BOOTSTRAP), tmp_path)


def test_brokers_that_ask_for_a_password_over_tls(tmp_path: Path) -> None:
    stack = LocalStack(parent=tmp_path)
    try:
        stack.start(print)
        config = stack.client_config(ADMIN)
        admin = admin_client(config)
        for future in admin.create_topics([NewTopic("orders", 3, 3)]).values():
            future.result(30)
        login = ["--username", config["sasl.username"], "--ca", config["ssl.ca.location"], "--topic", "orders"]
        init = ["init", "--bootstrap", config["bootstrap.servers"]]
        code, out = typed(tmp_path, *init, KAFKA_PASSWORD="wrong")
        assert (code, "give --ca FILE for TLS" in out) == (2, True), out
        code, out = typed(tmp_path, *init, *login, KAFKA_PASSWORD="wrong")
        assert (code, "SASL_SSL was tried" in out) == (2, True), out
        password = config["sasl.password"]
        code, out = typed(tmp_path, *init, *login, KAFKA_PASSWORD=password)
        assert (code, "3 brokers, Kafka 4" in out) == (0, True), out
        assert not any(password in file.read_text() for file in tmp_path.glob("*.toml"))
        code, out = typed(tmp_path, "run", "scenario.toml", *SHORT, KAFKA_PASSWORD=password)
        assert code == 0, out
    finally:
        stack.stop()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryAddress]:
    (port,) = free_ports(1)
    (jar,) = Path(str(APICURIO)).glob("*-runner.jar")
    command = [
        str(load_runtime().java),
        f"-Dquarkus.http.port={port}",
        "-Dquarkus.http.host=127.0.0.1",
        "-jar",
        str(jar),
    ]
    address = RegistryAddress(url=f"http://127.0.0.1:{port}/apis/ccompat/v7")
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=APICURIO)
    try:
        wait_until(
            lambda: subjects(address) == [], timeout_s=120, retry_on=(Exception,), message="the registry did not start"
        )
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _register(registry: RegistryAddress, subject: str, schema: object, kind: str) -> int:
    body = json.dumps({"schema": json.dumps(schema), "schemaType": kind}).encode()
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    request = urllib.request.Request(f"{registry.url}/subjects/{subject}/versions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["id"])


@pytest.mark.skipif(not APICURIO, reason="needs an Apicurio Registry: NECP_APICURIO_HOME=FOLDER")
def test_schemas_out_of_a_real_registry(registry: RegistryAddress, tmp_path: Path) -> None:
    order = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    payment = {"type": "record", "name": "Payment", "fields": [{"name": "id", "type": "long"}]}
    ids = {
        "orders": _register(registry, "orders-value", order, "JSON"),
        "payments": _register(registry, "payments-value", payment, "AVRO"),
    }
    for topic, id_ in ids.items():
        pool = make_pool(TopicTarget(name=topic, subject=f"{topic}-value"), registry, seed=1, size=10)
        assert {value[:5] for value in pool.values} == {b"\0" + id_.to_bytes(4, "big")}
    (tmp_path / "broker").mkdir()
    with plain_broker(tmp_path / "broker") as bootstrap:
        make_topics(bootstrap, "orders:1", "payments:1")
        code, out = typed(tmp_path, "init", "--bootstrap", bootstrap, "--schema-registry", registry.url)
        assert code == 0, out
        assert (tmp_path / "target.toml").read_text().count("subject = ") == 2
        code, out = typed(tmp_path, "run", "scenario.toml", *SHORT)
        assert code == 0, out
