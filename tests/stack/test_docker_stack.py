"""The docker stack: ready with all it promises, and nothing left in the engine, however it ends."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import docker
import msgspec
import psutil
import pytest
from running import NEEDS_DOCKER
from shared_stacks import in_engine

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import create_network
from necp_validate.stack.docker_guard import LABEL, OWNER_LABEL, labels, remove_all, remove_orphans
from necp_validate.stack.docker_image import ensure_image
from necp_validate.stack.protocol import Stack
from necp_validate.stack.provision import admin_client
from necp_validate.stack.runtime import load_runtime
from necp_validate.stack.state import attach, down
from necp_validate.stack.waiting import wait_until

pytestmark = NEEDS_DOCKER


@pytest.fixture
def stack(docker_stack: DockerStack) -> DockerStack:
    return docker_stack


def test_it_is_a_stack_of_three_brokers_in_containers(stack: DockerStack) -> None:
    assert isinstance(stack, Stack)
    described = stack.describe()
    assert described.backend == "docker"
    assert len({broker.container for broker in described.brokers}) == 3
    assert list(admin_client(stack.client_config("combat-service")).list_topics(timeout=10).topics) == [
        "game.combat.events"
    ]


def test_samples_are_those_of_the_brokers(stack: DockerStack) -> None:
    samples = stack.sample()
    assert [sample.broker for sample in samples] == [1, 2, 3]
    assert all(sample.cpu_s > 1 and sample.rss_bytes > 100 << 20 for sample in samples)


def test_the_event_core_runs_in_a_container_and_ends_in_order(stack: DockerStack) -> None:
    core = stack.start_core("core-0", {})
    core.wait_ready(60)
    assert core.alive()
    assert core.cpu_s() > 0
    assert core.stop(30)
    assert not core.alive()
    assert core.log_tail()


def test_the_publisher_runs_in_a_container_and_takes_events(stack: DockerStack) -> None:
    """Its answer says where the event lies; the limit is the one it was given."""
    token = "a token that nobody can guess"
    env = {"PUBLISHER_TOKEN": token, "PRODUCER_BURST_LIMIT": "3", "PRODUCER_MAX_RATE_PER_SECOND": "1"}
    publisher = stack.start_publisher(Domain.SYSTEM, env)
    publisher.wait_ready(60)
    request = urllib.request.Request(
        f"{publisher.http_url}/v1/events/{Domain.SYSTEM.topic}",
        msgspec.msgpack.encode([(b"node-1", b"a")] * 5),
        {"Authorization": f"Bearer {token}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    answer = json.loads(refused.value.read())
    assert (refused.value.code, answer["accepted"], answer["refused"]) == (429, 3, 2)
    assert sum(count for _, _, _, count in answer["runs"]) == 3
    assert publisher.stop(30), publisher.log_tail()


def test_a_core_that_cannot_start_is_told_with_its_log(stack: DockerStack) -> None:
    core = stack.start_core("core-9", {"KAFKA_BOOTSTRAP_SERVERS": ""})
    with pytest.raises(StackError, match=r"core-9 (died|did not become healthy)"):
        core.wait_ready(20)
    core.kill()


def test_a_broker_can_be_paused_killed_and_brought_back(stack: DockerStack) -> None:
    pid = stack.brokers()[1].pid
    assert pid is not None
    stack.pause_broker(2)
    assert stack.broker_alive(2)
    stack.resume_broker(2)
    stack.kill_broker(2)
    assert not stack.broker_alive(2)
    assert not psutil.pid_exists(pid)
    stack.check_alive()
    stack.start_broker(2)
    assert stack.broker_alive(2)


def test_a_broker_that_dies_by_itself_is_told(stack: DockerStack) -> None:
    container = stack.brokers()[2].container
    docker.from_env().containers.get(container).kill()
    wait_until(lambda: not stack.broker_alive(3), timeout_s=10, message="still there")
    with pytest.raises(StackError, match=r"broker 3 died \(exit code -9\)(.|\n)*something killed it"):
        stack.check_alive()
    stack.start_broker(3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_suite_is_ended(number: signal.Signals) -> None:
    script = (
        "from necp_validate.stack.docker import DockerStack\nstack = DockerStack()\nprint(stack._id, flush=True)\n"
        "try:\n    stack.start(lambda m: print(m, flush=True))\nfinally:\n    stack.stop()\n"
    )
    quiet = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=quiet, text=True) as suite:
        assert suite.stdout is not None
        stack_id = suite.stdout.readline().strip()
        wait_until(lambda: len(in_engine(stack_id)) == 4, timeout_s=60, message="no containers")
        suite.send_signal(number)
    wait_until(lambda: in_engine(stack_id) == [], timeout_s=30, message="containers are left")


def test_a_stack_whose_owner_went_without_its_guard_is_removed_by_the_next_one() -> None:
    """As after a crash of the machine; who lives, is detached, or may live where it cannot be seen is left alone."""
    script = (
        "from necp_validate.stack.docker_guard import OWNER_LABEL, labels; print(labels('', owned=True)[OWNER_LABEL])"
    )
    dead = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    living = labels("", owned=True)[OWNER_LABEL]
    boot, _, *process = dead.split(" ")
    owners = {
        "dead": dead,
        "before-the-crash": " ".join(["another-start", *living.split(" ")[1:]]),
        "living": living,
        "elsewhere": " ".join([boot, "pid:[1]", *process]),
        "detached": None,
    }
    client = docker.from_env()
    image = ensure_image(client, load_runtime(), lambda _: None)
    remove_orphans(client)  # whatever was here before
    ids = {name: secrets.token_hex(4) for name in owners}
    try:
        for name, owner in owners.items():
            given = {LABEL: ids[name]} | ({OWNER_LABEL: owner} if owner else {})
            create_network(client, f"necp-{ids[name]}", given)
            client.containers.create(image, "true", name=f"necp-{ids[name]}-broker", labels=given)
        assert remove_orphans(client) == 4
        left = {name: len(in_engine(stack_id)) for name, stack_id in ids.items()}
        assert left == {"dead": 0, "before-the-crash": 0, "living": 2, "elsewhere": 2, "detached": 2}
    finally:
        for stack_id in ids.values():
            remove_all(client, stack_id)


def test_a_broker_that_dies_while_starting_ends_the_start_and_leaves_nothing() -> None:
    stack = DockerStack(overrides={"num.io.threads": "none"})
    with pytest.raises(StackError, match=r"broker [123] died") as caught:
        stack.start(lambda _: None)
    assert "num.io.threads" in str(caught.value)
    assert in_engine(stack._id) == []


def test_up_and_down_across_processes(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    script = (
        "from pathlib import Path\nfrom necp_validate.stack import up\n"
        "from necp_validate.stack.docker import DockerStack\n"
        "up(lambda launched: DockerStack(detached=True, on_launched=launched),"
        f" 'docker', print, Path({str(state)!r}))\n"
    )
    try:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=280)
        found = attach(state)
        found.start(lambda _: None)
        found.stop()
        assert all(found.broker_alive(broker.id) for broker in found.brokers())
    finally:
        assert down(state)
    assert isinstance(found, DockerStack)
    assert in_engine(found._id) == []
