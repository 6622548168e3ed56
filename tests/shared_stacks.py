"""Stacks that many tests share: one at a time, each left as its start had left it, and replaced if it was not."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import docker
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from necp_validate.chaos.cluster import Cluster
from necp_validate.clients.wire import PartitionView, WireClient, views
from necp_validate.events.topics import Domain
from necp_validate.stack import LocalStack
from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_guard import LABEL
from necp_validate.stack.faulty import FaultyStack
from necp_validate.stack.provision import admin_client
from necp_validate.stack.waiting import wait_until

S = TypeVar("S", LocalStack, DockerStack)


class SharedStacks:
    """At most one stack that runs for whoever asks for its kind."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._running: LocalStack | DockerStack | None = None

    def of(self, kind: type[S]) -> S:
        """Give the stack of a kind; it is brought up first, and one of another kind down, where that is needed."""
        if not isinstance(self._running, kind):
            self.close()
            parent, logs = self._folders.mktemp("stack"), self._folders.mktemp("logs")
            self._running = LocalStack(parent=parent, log_dir=logs) if kind is LocalStack else DockerStack(log_dir=logs)
            self._running.start(print)
        return cast(S, self._running)

    def check(self) -> None:
        """Put right what a test may leave behind; anything else fails, and the next one gets another stack."""
        if self._running is None:
            return
        try:
            restore(self._running)
        except BaseException:
            with suppress(Exception):
                self.close()
            raise

    def close(self, kind: type[LocalStack | DockerStack] | None = None) -> None:
        """Bring down what runs, if it is of a kind; nothing of it may be left."""
        if kind is not None and not isinstance(self._running, kind):
            return
        stack, self._running = self._running, None
        if stack is not None:
            stack.stop()
            if stack.stages:
                assert left_of(stack) == []


def left_of(stack: LocalStack | DockerStack) -> list[str]:
    """What is left of a stack: its folder, its containers, its networks."""
    found = [str(stack.layout.directory)] if Path(stack.layout.directory).exists() else []
    return found + (in_engine(stack._id) if isinstance(stack, DockerStack) else [])


def in_engine(stack_id: str) -> list[str]:
    """Containers and networks of a stack."""
    client = docker.from_env()
    filters = {"label": f"{LABEL}={stack_id}"}
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
    return [str(item.name) for item in (*containers, *client.networks.list(filters=filters))]


def restore(stack: FaultyStack[Any]) -> None:
    """Leave a stack as its start did: replicas in sync, leaders spread, no event that no core has read.

    Raises:
        AssertionError, StackError: a fault is in force, or a service or no longer every broker runs.
    """
    stack.check_alive()
    assert [one.id for one in stack.brokers() if not stack.broker_alive(one.id)] == []
    assert stack.remaining_faults() == []
    assert [service.name for service in stack._services if service.alive()] == []
    with closing(WireClient(stack.internal_client_config())) as wire:
        wait_until(
            lambda: all(set(p.in_sync) == set(p.replicas) for p in _partitions(wire)),
            timeout_s=40,
            message="replicas are not in sync again",
            retry_on=(OSError,),
        )
        if _displaced(wire):
            Cluster(stack).elect_preferred()
            wait_until(
                lambda: not _displaced(wire), timeout_s=20, message="leaders are not spread", retry_on=(OSError,)
            )
    if Cluster(stack).lag():
        _skip_what_is_unread(stack)


def _partitions(wire: WireClient) -> list[PartitionView]:
    return [partition for view in views(wire) for partition in view]


def _displaced(wire: WireClient) -> list[PartitionView]:
    return [partition for partition in _partitions(wire) if partition.leader != partition.replicas[0]]


def _skip_what_is_unread(stack: FaultyStack[Any]) -> None:
    """Let event cores begin at the end; a member that was killed is waited for, until its session is over."""
    admin, cluster = admin_client(stack.internal_client_config()), Cluster(stack)

    def skipped(domain: Domain) -> bool:
        ends = [TopicPartition(domain.topic, number, end) for number, end in cluster.ends(domain.topic).items()]
        asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(domain.group, ends)])
        asked[domain.group].result(10)
        return True

    for domain in Domain:
        wait_until(
            lambda domain=domain: skipped(domain),  # type: ignore[misc]
            timeout_s=20,
            message=f"{domain.group} was not moved to the end",
            retry_on=(KafkaException,),
        )
