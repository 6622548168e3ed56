"""Topics and Schema Registry in a target's file: what is right is taken, what is wrong is named with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import UsageError
from necp_validate.stack.external import ExternalStack
from necp_validate.stack.external_config import ExternalSettings, load_external
from necp_validate.stack.external_topics import RegistryAddress, TopicTarget

HEAD = 'bootstrap_servers = "kafka.example:9092"\nsecurity_protocol = "PLAINTEXT"\n'
TOPICS = """
[schema_registry]
url = "https://registry.example:8081/"
username = "me"
password_env = "REGISTRY_PASSWORD"
ca = "order.avsc"

[[topics]]
name = "orders"
schema = "order.avsc"
schema_id = 7
key = "field:order_id"
group = "orders-service"
output = "orders.done"
partitions = 3
replication_factor = 2

[[topics]]
name = "refunds"
subject = "refunds-value"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "order.avsc").write_text("{}")
    monkeypatch.setenv("REGISTRY_PASSWORD", "hidden")
    return tmp_path


def _load(folder: Path, text: str, head: str = HEAD) -> ExternalSettings:
    file = folder / "target.toml"
    file.write_text(head + text)
    return load_external(file)


def test_topics_and_registry_are_read(folder: Path) -> None:
    settings = _load(folder, TOPICS)
    assert settings.topics["orders"] == TopicTarget(
        name="orders",
        schema=folder / "order.avsc",
        schema_id=7,
        key="field:order_id",
        group="orders-service",
        output="orders.done",
        partitions=3,
        replication_factor=2,
    )
    assert settings.topics["refunds"] == TopicTarget(name="refunds", subject="refunds-value")
    assert settings.registry == RegistryAddress(
        url="https://registry.example:8081", login=("me", "hidden"), ca=str(folder / "order.avsc")
    )


def test_one_login_serves_whoever_has_none_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    head = 'bootstrap_servers = "k:1"\nsecurity_protocol = "SASL_PLAINTEXT"\nsasl_mechanism = "PLAIN"\n'
    login = 'username = "me"\npassword_env = "KAFKA_PASSWORD"\n[principals.load]\nusername = "loader"\npassword = "x"\n'
    stack = ExternalStack(_load(folder, login, head))
    assert stack.client_config("anybody") == {
        "bootstrap.servers": "k:1",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": "secret",
    }
    assert stack.client_config("load")["sasl.username"] == "loader"


def test_mutual_tls_and_clear_text_have_no_mechanism(folder: Path) -> None:
    head = 'bootstrap_servers = "k:1"\nsecurity_protocol = "SSL"\n'
    files = 'ca = "order.avsc"\ncertificate = "order.avsc"\nkey = "order.avsc"\n'
    config = ExternalStack(_load(folder, files, head)).client_config("load")
    assert config["ssl.certificate.location"] == str(folder / "order.avsc")
    assert "sasl.mechanism" not in config
    assert ExternalStack(_load(folder, "")).client_config("load") == {
        "bootstrap.servers": "kafka.example:9092",
        "security.protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "refunds"', 'nmae = "refunds"', "unknown key 'topics[1].nmae'; did you mean 'name'?"),
        ('name = "refunds"', "", "'topics[1].name' is missing"),
        ('name = "refunds"', 'name = "orders"', "two topics are called 'orders'"),
        ("schema_id = 7", "schema_id = 0", "'topics[0].schema_id' must be a whole number from 1 on, not 0"),
        ("partitions = 3", 'partitions = "3"', "'topics[0].partitions' must be a whole number from 1 on"),
        ('"field:order_id"', '"fields"', "'topics[0].key' is 'fields'; known: unique, random, none and field:NAME"),
        ('"field:order_id"', '"field:"', "'topics[0].key' is 'field:'"),
        ('schema = "order.avsc"', 'schema = "no.avsc"', "'topics[0].schema' names a file that is not there"),
        ('schema = "order.avsc"', 'subject = "a"\nschema = "order.avsc"', "and 'schema' exclude each other"),
        ('subject = "refunds-value"', 'key = "field:a"', "is a field of the value, which needs a schema"),
        ('"https://registry.example:8081/"', '"registry:8081"', "must be http://HOST:PORT or https://HOST:PORT"),
        ('"REGISTRY_PASSWORD"', '"NO_SUCH_ONE"', "names a variable that is not set: NO_SUCH_ONE"),
        ('url = "', 'usr = "', "unknown key 'schema_registry.usr'"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(folder: Path, old: str, new: str, told: str) -> None:
    assert old in TOPICS
    with pytest.raises(UsageError) as caught:
        _load(folder, TOPICS.replace(old, new))
    assert str(folder / "target.toml") in caught.value.message
    assert told in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("head", "text", "told"),
    [
        (HEAD, 'topics = "orders"', "'topics' must be a list of tables: [[topics]]"),
        (HEAD, '[[topics]]\nname = "a"\nsubject = "a"', "'topics[0].subject' needs a [schema_registry] with its url"),
        (HEAD.replace("PLAINTEXT", "PLAIN"), "", "known: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL; did you mean"),
        (HEAD, 'certificate = "order.avsc"', "'key' is missing"),
        ('bootstrap_servers = "k:1"\n', 'sasl_mechanism = "SCRAM"', "known: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
    ],
)
def test_what_does_not_go_together_is_named(folder: Path, head: str, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(folder, text, head)
    assert told in caught.value.message
