"""When a cluster is ready: every leader in place, every coordinator loaded, every ACL effective on every broker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import cycle

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata, TopicMetadata

from necp_validate.core import StackError
from necp_validate.events.topics import ACLS, CORE_PRINCIPAL, TOPICS, Domain, is_allowed
from necp_validate.stack.config import INTERNAL_TOPICS, TRANSACTIONS_PARTITIONS
from necp_validate.stack.protocol import ADMIN
from necp_validate.stack.provision import SILENT, admin_client, elect_preferred_leaders
from necp_validate.stack.waiting import wait_until

ConfigOf = Callable[[str, int], dict[str, str]]
"""Client properties for a principal (external listener) with one broker (its id) as the only bootstrap server."""


def unled(topic: TopicMetadata) -> str:
    """Say what a topic still lacks: a preferred leader or a replica in sync; empty if nothing."""
    if topic.error is not None:
        return f"{topic.topic}: {topic.error}"
    for number, partition in topic.partitions.items():
        if not partition.replicas or partition.leader != partition.replicas[0]:
            return f"{topic.topic}-{number} is led by {partition.leader}, not by its preferred leader"
        if set(partition.isrs) != set(partition.replicas):
            return f"{topic.topic}-{number} has {len(partition.isrs)} of {len(partition.replicas)} replicas in sync"
    return ""


def require_leaders(metadata: ClusterMetadata, expected: Mapping[str, int]) -> bool:
    """Return True if every topic is there, whole, led as preferred and in sync.

    Args:
        metadata: as one broker sees it.
        expected: topic to number of partitions.

    Raises:
        LookupError: what is missing.
    """
    for name, partitions in expected.items():
        topic = metadata.topics.get(name)
        if topic is None or len(topic.partitions) != partitions:
            raise LookupError(f"{name} is not known with its {partitions} partitions")
        if lack := unled(topic):
            raise LookupError(lack)
    return True


def expected_topics() -> dict[str, int]:
    """Return every topic of the stack, Kafka's own included, with its number of partitions."""
    return {spec.name: spec.partitions for spec in TOPICS.values()} | dict(INTERNAL_TOPICS)


def visible_topics(principal: str) -> set[str]:
    """Return the topics that a principal is to see, by the ACL table."""
    if principal == ADMIN:
        return set(expected_topics())
    return {name for name in TOPICS if is_allowed(principal, "topic", name, "Describe")}


def wait_brokers(admin: AdminClient, count: int, *, timeout_s: float, check: Callable[[], None]) -> None:
    """Wait until all brokers are members of the cluster.

    Args:
        admin: client of the internal listener.
        count: how many there are.
        timeout_s: for all of them.
        check: raises if one has died meanwhile.
    """

    def joined() -> bool:
        check()
        found = sorted(admin.list_topics(timeout=1.0).brokers)
        if len(found) < count:
            raise LookupError(f"only brokers {found} are members")
        return True

    wait_until(
        joined,
        timeout_s=timeout_s,
        backoff_s=0.05,
        retry_on=(KafkaException, LookupError),
        message=f"the {count} brokers did not form a cluster",
    )


def wait_ready(
    admin: AdminClient,
    config_of: ConfigOf,
    brokers: Sequence[int],
    *,
    timeout_s: float,
    check: Callable[[], None],
) -> None:
    """Come back when a provisioned cluster is ready for measurement.

    Args:
        admin: client of a super user.
        config_of: gives the properties of any principal with any broker.
        brokers: their ids.
        timeout_s: for each of the conditions.
        check: raises if a broker has died meanwhile.

    Raises:
        StackError: a condition did not come true, and which.
    """

    leaders = _Leaders(admin)

    def led() -> bool:
        check()
        metadata = admin.list_topics(timeout=5.0)
        leaders.give_back(metadata)
        return require_leaders(metadata, expected_topics())

    wait_until(
        led,
        timeout_s=timeout_s,
        backoff_s=0.05,
        retry_on=(KafkaException, LookupError, TimeoutError),
        message="not every partition got its preferred leader and all its replicas in sync",
    )
    given_up = threading.Event()

    def go_on() -> None:
        if given_up.is_set():
            raise StackError("given up")
        check()

    pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="necp-ready")
    try:
        acls = [
            pool.submit(_wait_acls, principal, broker, config_of(principal, broker), timeout_s, go_on, leaders)
            for broker in brokers
            for principal in probed_principals()
        ]
        _all(acls)
        coordinators = [
            pool.submit(_wait_transactions, identifier, config_of(CORE_PRINCIPAL, broker), timeout_s, go_on)
            for identifier, broker in zip(_covering_ids(), cycle(brokers), strict=False)
        ]
        _all([*coordinators, pool.submit(_wait_groups, admin, timeout_s, go_on)])
    finally:
        given_up.set()
        pool.shutdown(wait=False, cancel_futures=True)


class _Leaders:
    """Gives partitions back to their preferred leaders, where those are in sync again.

    A broker that gets no CPU for as long as its session lasts is fenced, and what it led is led by others from then on,
    also while a stack comes up on a busy machine.
    """

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._lock = threading.Lock()
        self._asked_at = -math.inf

    def give_back(self, metadata: ClusterMetadata) -> None:
        """Ask for an election if metadata show a use for it, at most once a second."""
        if not any(_wrongly_led(topic) for topic in metadata.topics.values()):
            return
        with self._lock:
            if time.monotonic() - self._asked_at < 1.0:
                return
            self._asked_at = time.monotonic()
        elect_preferred_leaders(self._admin)


def _wrongly_led(topic: TopicMetadata) -> bool:
    return any(
        partition.replicas and partition.leader != partition.replicas[0] and partition.replicas[0] in partition.isrs
        for partition in topic.partitions.values()
    )


def _all(jobs: Sequence[Future[None]]) -> None:
    for job in as_completed(jobs):
        job.result()


def probed_principals() -> tuple[str, ...]:
    """Return the principals that stand for all: those of the first and of the last rule.

    All rules are made by one request, and every broker applies the metadata log in order: where the last one is
    effective, all are.
    """
    return ACLS[0].principal, ACLS[-1].principal


def _wait_acls(
    principal: str,
    broker: int,
    config: dict[str, str],
    timeout_s: float,
    check: Callable[[], None],
    leaders: _Leaders,
) -> None:
    """Wait until a broker shows a principal exactly the topics that the ACL table allows it to see.

    What it may not see, it was refused: one answer proves the allowed and the denied.
    """
    client = admin_client(config)
    expected = visible_topics(principal)

    def effective() -> bool:
        check()
        metadata = client.list_topics(timeout=5.0)
        seen = set(metadata.topics)
        if seen != expected:
            raise LookupError(f"sees too many: {sorted(seen - expected)}, too few: {sorted(expected - seen)}")
        leaders.give_back(metadata)
        return require_leaders(metadata, {name: len(topic.partitions) for name, topic in metadata.topics.items()})

    wait_until(
        effective,
        timeout_s=timeout_s,
        backoff_s=0.05,
        retry_on=(KafkaException, LookupError, TimeoutError),
        message=f"the ACLs of {principal} did not take effect on broker {broker}",
    )


def _wait_transactions(identifier: str, config: dict[str, str], timeout_s: float, check: Callable[[], None]) -> None:
    """Wait until the transaction coordinator of an id answers; leaves nothing in any topic of the stack."""

    def initialised() -> bool:
        check()
        # A refusal is final for a producer: each attempt needs a new one.
        producer = Producer({**config, "transactional.id": identifier, "log_level": "2"}, logger=SILENT)
        producer.init_transactions(5.0)
        return True

    wait_until(
        initialised,
        timeout_s=timeout_s,
        retry_on=(KafkaException,),
        message=f"the transaction coordinator of {identifier} did not answer",
    )


def _wait_groups(admin: AdminClient, timeout_s: float, check: Callable[[], None]) -> None:
    def loaded() -> bool:
        check()
        result = admin.list_consumer_groups(request_timeout=5.0).result(6.0)
        for error in result.errors:
            raise KafkaException(error)
        offline = [domain.group for domain in Domain if not _described(admin, domain.group)]
        if offline:
            raise LookupError(f"no coordinator yet for {offline}")
        return True

    wait_until(
        loaded,
        timeout_s=timeout_s,
        retry_on=(KafkaException, LookupError, TimeoutError),
        message="not every group coordinator was loaded",
    )


def _described(admin: AdminClient, group: str) -> bool:
    future = admin.describe_consumer_groups([group], request_timeout=5.0)[group]
    try:
        future.result(6.0)
    except KafkaException as error:
        # A group that nobody has joined yet: its coordinator has answered.
        code = error.args[0].code()
        return bool(code == KafkaError.GROUP_ID_NOT_FOUND)
    return True


def _covering_ids() -> list[str]:
    """Return transactional ids that between them reach every partition of the transaction log."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < TRANSACTIONS_PARTITIONS:
        identifier = f"{CORE_PRINCIPAL}-ready-{number}"
        found.setdefault(transaction_partition(identifier), identifier)
        number += 1
    return list(found.values())


def transaction_partition(identifier: str, partitions: int = TRANSACTIONS_PARTITIONS) -> int:
    """Return the partition of the transaction log that holds an id: Java's string hash modulo their number."""
    value = 0
    for unit in identifier.encode("utf-16-be")[1::2]:
        value = (31 * value + unit) & 0xFFFFFFFF
    return (value & 0x7FFFFFFF) % partitions
