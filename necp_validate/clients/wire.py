"""A few requests of Kafka's protocol, made by hand over mutual TLS.

librdkafka's administrative requests to a group's coordinator abort the whole process when the connection drops
(https://github.com/confluentinc/librdkafka/issues/4605), those to partitions' leaders keep two cores busy while one
is down, and brokers are broken on purpose here. It also has no DescribeQuorum, and tells a random broker as the
controller. What is needed of these is small.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from necp_validate.clients.connection import Connection, Fields, text

_LIST_OFFSETS, _METADATA, _OFFSET_FETCH, _DESCRIBE_GROUPS, _DESCRIBE_QUORUM = 2, 3, 9, 15, 55
_METADATA_TOPIC = b"__cluster_metadata"
_TIMEOUT_S = 1.0
_REST_S = 1.0  # a broker that did not answer is left alone for so long


class WireClient:
    """Connections to every broker of a list, made when they are needed.

    Args:
        config: librdkafka properties of a listener with mutual TLS.
    """

    def __init__(self, config: Mapping[str, str]) -> None:
        self.addresses = tuple(config["bootstrap.servers"].split(","))
        self._config = config
        self._connections: dict[str, Connection] = {}
        self._rests_until: dict[str, float] = {}

    def ask(self, address: str, key: int, version: int, body: bytes, *, tagged: bool = False) -> Fields:
        """Send one request and return the fields of its answer, the header left out.

        Args:
            address: host and port of the broker.
            key: the request's number.
            version: its version.
            body: its fields.
            tagged: whether this version's headers end with tags.

        Raises:
            OSError: the broker did not answer, or not long ago.
        """
        if time.monotonic() < self._rests_until.get(address, 0.0):
            raise ConnectionError(f"{address} did not answer a moment ago")
        try:
            connection = self._connections.get(address)
            if connection is None:
                connection = self._connections[address] = Connection(address, timeout_s=_TIMEOUT_S)
                connection.secure(self._context())
            return connection.ask(key, version, body, tagged=tagged)
        except OSError:
            self._drop(address)
            self._rests_until[address] = time.monotonic() + _REST_S
            raise

    def _context(self) -> ssl.SSLContext:
        """TLS with the certificates as they are now: they may have been renewed since the last connection."""
        context = ssl.create_default_context(cafile=self._config["ssl.ca.location"])
        context.load_cert_chain(self._config["ssl.certificate.location"], self._config["ssl.key.location"])
        return context

    def _drop(self, address: str) -> None:
        connection = self._connections.pop(address, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close every connection; the next request makes new ones."""
        for address in tuple(self._connections):
            self._drop(address)


def active_controller(client: WireClient) -> int:
    """Return the node id of the active controller (DescribeQuorum version 0, KIP-595).

    Raises:
        OSError: no broker answered.
        LookupError: no controller is active at present.
    """
    topic = bytes([len(_METADATA_TOPIC) + 1]) + _METADATA_TOPIC + b"\x02" + struct.pack(">i", 0) + b"\0" + b"\0"
    last: OSError | None = None
    for address in client.addresses:
        try:
            return leader_of_quorum(client.ask(address, _DESCRIBE_QUORUM, 0, b"\x02" + topic + b"\0", tagged=True))
        except OSError as error:
            last = error
    raise last or OSError("there is no broker to ask")


def leader_of_quorum(fields: Fields) -> int:
    """Read the leader out of the answer to DescribeQuorum.

    Raises:
        LookupError: there is none.
    """
    if error := fields.number(2):
        raise LookupError(f"the quorum cannot be described: error {error}")
    fields.raw(1 + 1 + len(_METADATA_TOPIC) + 1 + 4)  # one topic, its name, one partition, its number
    error, leader = fields.number(2), fields.number(4)
    if error or leader < 0:
        raise LookupError(f"no controller is active (error {error})")
    return leader


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """A partition as one broker sees it.

    Args:
        leader: node id; negative if there is none.
        replicas: node ids.
        in_sync: those of them that are in sync.
    """

    topic: str
    number: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


def partitions_seen_by(client: WireClient, address: str) -> list[PartitionView]:
    """Every partition as one broker sees it (Metadata version 1): one that is cut off sees what used to be.

    Raises:
        OSError: the broker did not answer.
    """
    fields = client.ask(address, _METADATA, 1, struct.pack(">i", -1))
    for _ in range(fields.number(4)):
        fields.number(4), fields.text(), fields.number(4), fields.text()  # id, host, port, rack of a broker
    fields.number(4)  # the controller, or rather some broker
    found = []
    for _ in range(fields.number(4)):
        _, topic, _ = fields.number(2), fields.text(), fields.number(1)
        for _ in range(fields.number(4)):
            _, number, leader = fields.number(2), fields.number(4), fields.number(4)
            replicas, in_sync = fields.numbers(), fields.numbers()
            found.append(PartitionView(topic=topic, number=number, leader=leader, replicas=replicas, in_sync=in_sync))
    return found


def views(client: WireClient) -> list[list[PartitionView]]:
    """Every partition as each broker sees it that answers.

    Raises:
        OSError: none did.
    """
    found = []
    for address in client.addresses:
        with contextlib.suppress(OSError):
            found.append(partitions_seen_by(client, address))
    if not found:
        raise ConnectionError("no broker answered")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """The end of a partition's log as its leader tells it, and the epoch of that leader."""

    offset: int
    epoch: int | None


def log_ends(
    client: WireClient, partitions: Mapping[str, Sequence[int]], *, committed: bool = False
) -> dict[tuple[str, int], LogEnd]:
    """Ends of logs (ListOffsets version 4); partitions whose leader does not answer are left out.

    Args:
        client: asks every broker: only the leader of a partition answers for it.
        partitions: numbers by topic.
        committed: the last stable offset instead, above which transactions are open.
    """
    latest = -1
    body = struct.pack(">ibi", -1, int(committed), len(partitions))
    for topic, numbers in partitions.items():
        body += text(topic) + struct.pack(">i", len(numbers))
        body += b"".join(struct.pack(">iiq", number, -1, latest) for number in numbers)
    found: dict[tuple[str, int], LogEnd] = {}
    for address in client.addresses:
        try:
            fields = client.ask(address, _LIST_OFFSETS, 4, body)
        except OSError:
            continue
        fields.number(4)  # throttle time
        for _ in range(fields.number(4)):
            topic = fields.text()
            for _ in range(fields.number(4)):
                number, error, _ = fields.number(4), fields.number(2), fields.number(8)
                offset, epoch = fields.number(8), fields.number(4)
                known = found.get((topic, number))
                # One that is cut off may still take itself for the leader: the later epoch is right.
                if not error and (known is None or (known.epoch or 0) < epoch):
                    found[topic, number] = LogEnd(offset=offset, epoch=epoch if epoch >= 0 else None)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """A consumer group as its coordinator describes it.

    Args:
        coordinator: address of the broker that answered for it, on the listener that was asked.
        state: ``STABLE``, ``EMPTY``, ``PREPARINGREBALANCE``, ``COMPLETINGREBALANCE``, ``DEAD``.
        members: how many it has.
    """

    coordinator: str
    state: str
    members: int


def describe_groups(client: WireClient, names: Sequence[str]) -> dict[str, GroupInfo]:
    """Describe consumer groups (DescribeGroups version 0); those whose coordinator does not answer are left out."""
    body = struct.pack(">i", len(names)) + b"".join(map(text, names))
    found: dict[str, GroupInfo] = {}
    for address in client.addresses:
        try:
            fields = client.ask(address, _DESCRIBE_GROUPS, 0, body)
        except OSError:
            continue
        for _ in range(fields.number(4)):
            error, name, state = fields.number(2), fields.text(), fields.text()
            fields.text(), fields.text()  # type and data of its protocol
            members = fields.number(4)
            for _ in range(members):
                fields.text(), fields.text(), fields.text()  # id, client id, host
                for _ in range(2):
                    fields.raw(max(fields.number(4), 0))  # metadata, assignment
            if not error:
                found[name] = GroupInfo(coordinator=address, state=state.upper(), members=members)
    return found


def committed_offsets(client: WireClient, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    """Offsets that a group has committed (OffsetFetch version 1); partitions without any are left out.

    Raises:
        OSError: its coordinator did not answer.
    """
    numbers = struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
    body = text(group) + struct.pack(">i", 1) + text(topic) + numbers
    for address in client.addresses:
        try:
            fields = client.ask(address, _OFFSET_FETCH, 1, body)
        except OSError:
            continue
        fields.raw(4), fields.text()  # one topic, its name
        found = {}
        wrong = False
        for _ in range(fields.number(4)):
            number, offset, _, error = fields.number(4), fields.number(8), fields.text(), fields.number(2)
            wrong |= error != 0
            if offset >= 0:
                found[number] = offset
        if not wrong:
            return found
    raise ConnectionError(f"the coordinator of {group} did not answer")
