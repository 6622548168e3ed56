"""Clients that take a new password over while they run."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from necp_validate.reference import clients as module
from necp_validate.reference.clients import Clients
from necp_validate.reference.environment import ConfigError, kafka_properties, password_file

KAFKA = {
    "bootstrap.servers": "127.0.0.1:1",
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "event-core",
    "sasl.password": "old",
    "log_level": "0",
}
ENV = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA_SASL_USERNAME": "event-core",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, str]]:
    """What clients were told; the library itself cannot be asked for its password."""
    found: list[tuple[object, str]] = []
    real = module._tell

    def tell(client: Any, user: str, password: str) -> None:
        found.append((client, password))
        real(client, user, password)

    monkeypatch.setattr(module, "_tell", tell)
    return found


def test_every_client_that_lives_is_told_and_later_ones_begin_with_it(
    tmp_path: Path, told: list[tuple[object, str]]
) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    clients = Clients(KAFKA, path)
    producer, consumer = clients.producer(KAFKA), clients.consumer({**KAFKA, "group.id": "g"})
    clients.producer(KAFKA)  # one that is let go of
    closed = clients.consumer({**KAFKA, "group.id": "g"})
    closed.close()
    gc.collect()
    assert not clients.look()
    assert clients.taken_us is None
    path.write_text("new\n")
    assert clients.look()
    assert clients.taken_us is not None
    assert {(id(client), password) for client, password in told} == {
        (id(client), "new") for client in (producer, consumer, closed)
    }
    assert clients._with_login(KAFKA)["sasl.password"] == "new"
    assert not clients.look()
    consumer.close()


def test_a_consumer_that_reads_all_the_time_takes_it_between_two_reads(
    tmp_path: Path, told: list[tuple[object, str]]
) -> None:
    """The library would have whoever tells it from another thread wait for as long as the reading goes on."""
    path = tmp_path / "password"
    path.write_text("old")
    clients = Clients(KAFKA, path)
    consumer = clients.consumer({**KAFKA, "group.id": "g"})
    consumer.subscribe(["t"])
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            consumer.consume(10, 0.05)

    reader = threading.Thread(target=read)
    reader.start()
    path.write_text("new")
    look = threading.Thread(target=clients.look)
    look.start()
    look.join(60.0)
    in_time = not look.is_alive()
    stop.set()
    reader.join()
    look.join()
    assert in_time
    assert told == [(consumer, "new")]
    assert clients.taken_us is not None
    consumer.close()


def test_a_file_that_is_gone_or_empty_changes_nothing(tmp_path: Path, told: list[tuple[object, str]]) -> None:
    path = tmp_path / "password"
    clients = Clients(KAFKA, path)
    clients.producer(KAFKA)
    assert not clients.look()
    path.write_text("")
    assert not clients.look()
    assert told == []


def test_a_client_without_a_login_has_none(tmp_path: Path) -> None:
    assert "sasl.password" not in Clients({}, tmp_path / "p")._with_login({"bootstrap.servers": "127.0.0.1:1"})


def test_the_password_can_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")
    env = {**ENV, "KAFKA_SASL_PASSWORD_FILE": str(path)}
    assert kafka_properties(env)["sasl.password"] == "secret"
    assert password_file(env) == path
    assert password_file(ENV) is None


@pytest.mark.parametrize("content", [None, ""])
def test_a_password_file_that_is_missing_or_empty_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match="KAFKA_SASL_PASSWORD_FILE"):
        kafka_properties({**ENV, "KAFKA_SASL_PASSWORD_FILE": str(path)})
