"""The local stack with real brokers: what it promises when ``start`` comes back, and what is left when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from necp_validate.core import StackError
from necp_validate.events.topics import TOPICS
from necp_validate.stack.aot import AotCache
from necp_validate.stack.config import JvmSettings
from necp_validate.stack.local import LocalStack
from necp_validate.stack.ports import free_ports, require_free
from necp_validate.stack.protocol import Stack
from necp_validate.stack.provision import SILENT, acl_bindings, admin_client
from necp_validate.stack.runtime import load_runtime
from necp_validate.stack.state import attach, down, up
from necp_validate.stack.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack


@pytest.fixture
def admin(stack: LocalStack) -> AdminClient:
    return admin_client(stack.internal_client_config())


def test_it_is_a_stack_with_a_record_of_its_start(stack: LocalStack) -> None:
    assert isinstance(stack, Stack)
    assert list(stack.stages) == ["prepared", "launched", "listening", "joined", "provisioned", "ready"]
    described = stack.describe()
    assert (described.backend, len(described.brokers)) == ("local", 3)
    assert described.java_version.startswith("25")


def test_topics_are_exactly_as_claimed(admin: AdminClient) -> None:
    found = admin.list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in found.items() if not name.startswith("__")} == {
        spec.name: spec.partitions for spec in TOPICS.values()
    }
    assert {len(p.replicas) for topic in found.values() for p in topic.partitions.values()} == {3}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in TOPICS]
    for resource, future in admin.describe_configs(resources).items():
        actual = future.result(10)
        wanted = TOPICS[resource.name].config
        assert {key: actual[key].value for key in wanted} == wanted


def test_leaders_are_spread_over_the_brokers(admin: AdminClient) -> None:
    leaders = [
        p.leader
        for p in admin.list_topics("game.combat.events", timeout=10).topics["game.combat.events"].partitions.values()
    ]
    assert {leaders.count(broker) for broker in (1, 2, 3)} == {8}


def test_every_rule_is_there_and_no_other(admin: AdminClient) -> None:
    anything: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY,
        anything,
        ResourcePatternType.ANY,
        anything,
        anything,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    assert set(admin.describe_acls(everything).result(10)) == set(acl_bindings())


def _produce(config: dict[str, str], topic: str) -> KafkaError | None:
    producer = Producer({**config, "message.timeout.ms": "10000", "log_level": "2"}, logger=SILENT)
    outcome: list[KafkaError | None] = []
    producer.produce(topic, b"{}", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(15)
    return outcome[0]


def test_a_service_may_write_its_own_topic_and_no_other(stack: LocalStack) -> None:
    config = stack.client_config("system-service")
    assert _produce(config, "game.system.events") is None
    refused = _produce(config, "game.combat.events")
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "wrong",
    [
        {"sasl.password": "wrong"},
        {"sasl.username": "nobody"},
        {"sasl.mechanism": "PLAIN"},
        {"security.protocol": "PLAINTEXT"},
        {"security.protocol": "SASL_PLAINTEXT"},
    ],
)
def test_the_external_listener_refuses(stack: LocalStack, wrong: dict[str, str]) -> None:
    client = admin_client({**stack.client_config("combat-service"), **wrong})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=2)


def test_the_internal_listener_refuses_a_client_without_certificate(stack: LocalStack) -> None:
    config = stack.internal_client_config()
    del config["ssl.certificate.location"], config["ssl.key.location"]
    with pytest.raises(KafkaException):
        admin_client(config).list_topics(timeout=2)


def test_samples_count_up(stack: LocalStack) -> None:
    before = {sample.broker: sample for sample in stack.sample()}
    assert set(before) == {1, 2, 3}
    assert all(sample.cpu_s > 0 and sample.rss_bytes > 100 << 20 for sample in before.values())
    wait_until(
        lambda: all(sample.cpu_s > before[sample.broker].cpu_s for sample in stack.sample()),
        timeout_s=30,
        message="the brokers used no CPU",
    )


def test_a_broker_can_be_paused_killed_and_brought_back(stack: LocalStack) -> None:
    pid = stack.brokers()[1].pid
    assert pid is not None
    stack.pause_broker(2)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, timeout_s=5, message="not stopped")
    stack.resume_broker(2)
    stack.kill_broker(2)
    assert not stack.broker_alive(2)
    assert len(stack.sample()) == 2
    stack.check_alive()
    stack.start_broker(2)
    assert stack.broker_alive(2)
    assert stack.brokers()[1].pid != pid


def test_a_broker_that_dies_by_itself_is_told_with_its_log(stack: LocalStack) -> None:
    pid = stack.brokers()[2].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not stack.broker_alive(3), timeout_s=10, message="still there")
    with pytest.raises(StackError, match="broker 3 died") as caught:
        stack.check_alive()
    assert "last lines of broker-3.log" in str(caught.value)
    stack.start_broker(3)


def test_a_broker_that_dies_while_starting_ends_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    stack = LocalStack(parent=tmp_path, log_dir=logs, overrides={"num.io.threads": "none"})
    with pytest.raises(StackError, match=r"broker [123] died") as caught:
        stack.start(lambda _: None)
    assert "num.io.threads" in str(caught.value)
    assert list(tmp_path.glob("necp-stack-*")) == []
    assert not _running_below(tmp_path)


def _free_base() -> int:
    """A base port with nobody at any of the ports that go with it."""
    while True:
        base = free_ports(1)[0]
        with contextlib.suppress(StackError):
            require_free([base + 10 * number + offset for number in range(3) for offset in (2, 3, 4)])
            return base


def test_a_fixed_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    base = _free_base()
    with socket.socket() as held:
        held.bind(("127.0.0.1", base + 13))
        held.listen()
        with pytest.raises(StackError, match=f"port {base + 13} on 127.0.0.1 is in use by process {os.getpid()}"):
            LocalStack(parent=tmp_path, base_port=base).start(lambda _: None)
    assert list(tmp_path.glob("necp-stack-*")) == []


def test_a_damaged_start_up_cache_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seal is made to match, so that Java itself gets the damaged file."""
    monkeypatch.setenv("NECP_CACHE_DIR", str(tmp_path / "cache"))
    stack = LocalStack(parent=tmp_path)
    cache = AotCache.for_runtime(load_runtime(), JvmSettings().arguments())
    output = cache.new_output()
    output.write_bytes(os.urandom(1 << 20))
    cache.install(output)
    try:
        stack.start(lambda _: None)
        assert "ready" in stack.stages
    finally:
        stack.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_suite_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom necp_validate.stack.local import LocalStack\n"
        f"stack = LocalStack(parent=Path({str(tmp_path)!r}))\n"
        "try:\n    stack.start(lambda m: print(m, flush=True))\nfinally:\n    stack.stop()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as suite:
        assert suite.stdout is not None
        for line in suite.stdout:
            if line.startswith("starting"):
                break
        wait_until(lambda: len(_running_below(tmp_path)) == 3, timeout_s=30, message="no brokers")
        suite.send_signal(number)
    wait_until(lambda: not _running_below(tmp_path), timeout_s=10, message="brokers are left")


def test_up_and_down_across_processes(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    script = (
        "from pathlib import Path\nfrom necp_validate.stack import LocalStack, up\n"
        f"up(lambda launched: LocalStack(parent=Path({str(tmp_path)!r}), detached=True, on_launched=launched),"
        f" 'local', print, Path({str(state)!r}))\n"
    )
    try:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=280)
        found = attach(state)
        found.start(lambda _: None)
        found.stop()
        assert all(found.broker_alive(broker.id) for broker in found.brokers())
        assert (
            "game.combat.events" in admin_client(found.client_config("combat-service")).list_topics(timeout=10).topics
        )
        with pytest.raises(StackError, match="is up already"):
            up(lambda _: found, "local", print, state)
    finally:
        assert down(state)
    assert not _running_below(tmp_path)
    assert list(tmp_path.glob("necp-stack-*")) == []


def _running_below(folder: Path) -> list[int]:
    """Return the Java processes whose command line names the folder."""
    return [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "name", "cmdline"])
        if process.info["name"] == "java" and any(str(folder) in part for part in process.info["cmdline"] or ())
    ]
