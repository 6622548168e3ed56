"""What a cluster says of itself when it is asked politely: nothing here writes, creates or changes anything."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from necp_validate.clients.connection import Connection
from necp_validate.clients.topic_settings import topic_settings
from necp_validate.clients.watermarks import ask_leader
from necp_validate.core import SuiteError
from necp_validate.stack.provision import SILENT

_TIMEOUT_S: Final = 15.0
_API_VERSIONS: Final = 18
_ENDS: Final = (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]  # untyped in the client
_FEATURE: Final = "metadata.version"
_LEVELS: Final[Mapping[int, str]] = {
    1: "3.0", 2: "3.1", 3: "3.1", 4: "3.2", 5: "3.3", 6: "3.3", 7: "3.3", 8: "3.4", 9: "3.5", 10: "3.5", 11: "3.5",
    12: "3.6", 13: "3.6", 14: "3.6", 15: "3.7", 16: "3.7", 17: "3.7", 18: "3.7", 19: "3.7", 20: "3.8", 21: "3.9",
    22: "4.0", 23: "4.0", 24: "4.0", 25: "4.0",
}  # fmt: skip
"""Which release brought a level of ``metadata.version`` (``MetadataVersion.java``); later ones are told as they are."""

SETTINGS: Final = ("cleanup.policy", "min.insync.replicas", "retention.ms", "retention.bytes", "max.message.bytes")
"""What is asked of each topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """One topic as the cluster describes it.

    Args:
        name: of the topic.
        begin, end: watermarks, by partition.
        replication_factor: the least of its partitions.
        settings: those of `SETTINGS` that may be read.
    """

    name: str
    begin: tuple[int, ...]
    end: tuple[int, ...]
    replication_factor: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Records in it at present, at most."""
        return sum(self.end) - sum(self.begin)

    @property
    def written(self) -> int:
        """Records that were ever written to it, those that have expired since included."""
        return sum(self.end)

    @property
    def compacted(self) -> bool:
        """Whether the cluster may remove records that have a later one of the same key."""
        return "compact" in self.settings.get("cleanup.policy", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A cluster as it describes itself.

    Args:
        id: the cluster's.
        brokers: host and port by id.
        version: of Kafka as far as it can be told; empty if it cannot.
        topics: all but internal ones, by name.
    """

    id: str
    brokers: Mapping[int, str]
    version: str
    topics: Mapping[str, TopicFacts]


def describe(config: Mapping[str, str], topics: Iterable[str] | None = None) -> ClusterFacts:
    """Ask a cluster what it is.

    Args:
        config: librdkafka properties.
        topics: which topics are looked at; all but internal ones by default.

    Raises:
        SuiteError: it does not answer.
    """
    admin = AdminClient({"log_level": "2", **config}, logger=SILENT)
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
        names = [
            name
            for name, one in sorted(metadata.topics.items())
            if one.error is None and (name in topics if topics is not None else not name.startswith("__"))
        ]
        settings = topic_settings(admin, names, SETTINGS)
        places = [(name, number) for name in names for number in sorted(metadata.topics[name].partitions)]
        begin, end = (_offsets(admin, places, spec) for spec in _ENDS)
    except (KafkaException, TimeoutError) as error:
        why = error.args[0].str() if isinstance(error, KafkaException) else "it took too long"
        raise SuiteError(
            f"{config['bootstrap.servers']} did not answer: {why}",
            hint="see that the address, the security protocol and the credentials are right",
        ) from error
    found = {
        name: TopicFacts(
            name=name,
            begin=tuple(begin[name, number] for number in sorted(metadata.topics[name].partitions)),
            end=tuple(end[name, number] for number in sorted(metadata.topics[name].partitions)),
            replication_factor=min((len(one.replicas) for one in metadata.topics[name].partitions.values()), default=0),
            settings=settings.get(name, {}),
        )
        for name in names
    }
    brokers = {one.id: f"{one.host}:{one.port}" for one in metadata.brokers.values()}
    return ClusterFacts(
        id=str(metadata.cluster_id or ""), brokers=dict(sorted(brokers.items())), version=version(config), topics=found
    )


def _offsets(admin: AdminClient, places: list[tuple[str, int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    """A watermark of every partition, in one request to each broker: a cluster may have thousands."""
    if not places:
        return {}

    def asked(left_s: float) -> dict[tuple[str, int], int]:
        answers = admin.list_offsets({TopicPartition(*place): spec for place in places}, request_timeout=left_s)
        return {(place.topic, place.partition): one.result(left_s + 5).offset for place, one in answers.items()}

    return ask_leader(asked, _TIMEOUT_S)


def version(config: Mapping[str, str]) -> str:
    """Kafka's version, from ApiVersions (version 3, KIP-584): the newest level of ``metadata.version`` it supports.

    Brokers without that feature (ZooKeeper's, and other implementations) are told by the newest Produce they know.

    Returns:
        E.g. ``3.9``; empty if it cannot be told.
    """
    for address in config["bootstrap.servers"].split(","):
        try:
            with Connection(address.strip().rpartition("/")[2], timeout_s=5.0) as connection:
                if config["security.protocol"].endswith("SSL"):
                    connection.secure(_tls(config))
                return _version(connection)
        except (OSError, ValueError):
            continue
    return ""


def _tls(config: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.get("ssl.ca.location"))
    if "ssl.certificate.location" in config:
        context.load_cert_chain(config["ssl.certificate.location"], config["ssl.key.location"])
    if config.get("ssl.endpoint.identification.algorithm") == "none":
        context.check_hostname = False
    return context


def _version(connection: Connection) -> str:
    name = b"necp"
    body = bytes([len(name) + 1]) + name + bytes([2]) + b"1" + b"\0"
    # The answer's header has no tags, whatever the version: old brokers must be able to send it.
    length = struct.pack(">hhih", _API_VERSIONS, 3, 1, len(name)) + name + b"\0" + body
    fields = connection.exchange(length)
    if fields.number(2):
        return ""
    newest: dict[int, int] = {}
    for _ in range(fields.unsigned() - 1):
        key, _lowest, highest = fields.number(2), fields.number(2), fields.number(2)
        fields.raw(fields.unsigned())
        newest[key] = highest
    fields.number(4)  # throttled for
    for _ in range(fields.unsigned()):
        tag, size = fields.unsigned(), fields.unsigned()
        if tag:
            fields.raw(size)
            continue
        for _ in range(fields.unsigned() - 1):
            feature, _lowest, highest = fields.compact_text(), fields.number(2), fields.number(2)
            fields.raw(fields.unsigned())
            if feature == _FEATURE:
                return _LEVELS.get(highest, f"4.0 or later (metadata.version {highest})")
    return f"not told (Produce up to version {newest[0]})" if 0 in newest else ""
