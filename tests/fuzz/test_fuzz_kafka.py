"""Somebody else's schema through a real topic: sent, read back, and followed through a consumer, sound or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic
from shared_stacks import SharedStacks
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.fuzz import campaign
from necp_validate.fuzz.load import load_schemas
from necp_validate.stack.local import LocalStack
from necp_validate.stack.protocol import ADMIN
from necp_validate.stack.provision import admin_client

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.usefixtures("local_stack")]

FOREIGN = Path(__file__).parent / "foreign"
GROUPS = ("sound", "lenient", "stuck")
TOPICS = ("avro", *(f"{group}{end}" for group in GROUPS for end in ("", ".dlt", ".out")))


@pytest.fixture(scope="module")
def target(shared_stacks: SharedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Plain topics on the local stack, and the file that describes it."""
    config = shared_stacks.of(LocalStack).client_config(ADMIN)
    admin = admin_client(config)  # held: what it has not answered ends with it
    for future in admin.create_topics([NewTopic(name, 2, 3) for name in TOPICS]).values():
        future.result(30)
    file = tmp_path_factory.mktemp("target") / "external.toml"
    file.write_text(
        f"""bootstrap_servers = "{config["bootstrap.servers"]}"
ca = "{config["ssl.ca.location"]}"
[principals.{ADMIN}]
username = "{config["sasl.username"]}"
password = "{config["sasl.password"]}"
"""
    )
    yield file
    for future in admin.delete_topics(list(TOPICS)).values():
        future.result(30)


def _fuzz(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    options = ["--corpus", folder / "corpus", "--max-examples", "40", "--seed", "7"]
    result = CliRunner().invoke(app, ["fuzz", *map(str, (*arguments, *options))], env={"COLUMNS": "200"})
    return result.exit_code, result.output


@contextmanager
def consumer(target: Path, group: str, *, lets_through: bytes = b"", stands_at: str = "") -> Iterator[None]:
    """A team's own consumer of the topic named as its group: invalid ones become dead letters, the others output.

    Args:
        target: where.
        group: its group.
        lets_through: what it takes for valid although it is not, if its value contains it.
        stands_at: the operator's header before which it stands still; never if "".
    """
    from necp_validate.fuzz.live_topic import config_of
    from necp_validate.stack.external_config import load_external

    (schema,) = [one for one in load_schemas(str(FOREIGN / "streetlights-kafka.yml")) if one.name == "dimLight"]
    config = config_of(load_external(target))
    reader = Consumer({**config, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    joined, stop = threading.Event(), threading.Event()
    reader.subscribe([group], on_assign=lambda *_: joined.set())

    def run() -> None:
        writer = Producer(config)
        while not stop.is_set():
            message = reader.poll(0.2)
            if message is None or message.error():
                continue
            headers = tuple((name, text or b"") for name, text in message.headers() or () if name != "fuzz-id")
            problem = schema.judge((message.key(), message.value(), headers))
            if stands_at and problem:
                stop.wait()
                break
            invalid = problem and not (lets_through and lets_through in problem.encode())
            all_headers = [*(message.headers() or ()), *([("reason", problem.encode())] if invalid else [])]
            place = f"{group}.dlt" if invalid else f"{group}.out"
            writer.produce(place, message.value(), message.key(), headers=all_headers)
            writer.flush(10)
            reader.commit(message, asynchronous=False)
        reader.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert joined.wait(60), "the consumer did not join its group"
        yield
    finally:
        stop.set()
        thread.join(30)


def _described(target: Path, group: str, *, timeout_s: int = 60) -> Path:
    file = target.with_name(f"{group}.toml")
    file.write_text(
        target.read_text()
        + f"""[fuzz]
topic = "{group}"
dead_letter_topic = "{group}.dlt"
output_topics = ["{group}.out"]
group = "{group}"
timeout_s = {timeout_s}
"""
    )
    return file


def test_a_plain_topic_is_read_back_and_the_rest_is_unknown(target: Path, tmp_path: Path) -> None:
    code, out = _fuzz(tmp_path, "--schema", FOREIGN / "interop.avsc", "--target", target, "--topic", "avro")
    assert (code, "✓ pass" in out, "read-back" in out) == (3, True, True), out
    assert "the target names no group" in out
    assert "the target names no dead_letter_topic" in out

    code, out = _fuzz(tmp_path, "--schema", FOREIGN / "interop.avsc", "--target", target, "--topic", "avro")
    assert (code, "in use already: avro" in out, "--allow write" in out) == (2, True, True), out


def test_a_sound_consumer_passes_every_check(target: Path, tmp_path: Path) -> None:
    with consumer(target, "sound"):
        code, out = _fuzz(tmp_path, "--schema", _dim(tmp_path), "--target", _described(target, "sound"))
    assert code == 0, out
    for check in ("read-back", "group-advances", "one-place", "dead-letter-original", "dead-letter-reason"):
        assert check in out


def test_a_consumer_that_lets_one_kind_through_is_caught_with_an_example(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few attempts at a smaller one, three seconds each; without brokers all are made."""
    monkeypatch.setattr(campaign, "_ATTEMPTS", 3)
    with consumer(target, "lenient", lets_through=b"is greater than the maximum"):
        code, out = _fuzz(tmp_path, "--schema", _dim(tmp_path), "--target", _described(target, "lenient"))
    assert code == 1, out
    assert "✗ one-place" in out
    assert "is greater than the maximum of 100), and not dead-lettered" in out
    assert "went to   lenient[" in out
    assert "--replay" in out
    assert list((tmp_path / "corpus" / "cases").glob("*.json"))


def test_a_consumer_that_stands_still_is_caught_with_the_record_before_it(target: Path, tmp_path: Path) -> None:
    with consumer(target, "stuck", stands_at="any"):
        code, out = _fuzz(tmp_path, "--schema", _dim(tmp_path), "--target", _described(target, "stuck", timeout_s=8))
    assert code == 1, out
    assert "✗ group-advances" in out
    assert "the group has stood at" in out


def _dim(folder: Path) -> Path:
    """The one event type of the foreign document that the consumer is for."""
    path = folder / "dim.yml"
    text = (FOREIGN / "streetlights-kafka.yml").read_text()
    head, rest = text.split("channels:\n", 1)
    channels, components = rest.split("components:\n", 1)
    dim = channels[channels.index("  smartylighting.streetlights.1.0.action.{streetlightId}.dim:") :]
    path.write_text(f"{head}channels:\n{dim}components:\n{components}")
    return path
