"""What a broker says of itself: its disk, its listeners. Requests made by hand, as in ``wire``."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from necp_validate.clients.connection import Fields, text
from necp_validate.clients.wire import WireClient

_DESCRIBE_CONFIGS, _DESCRIBE_LOG_DIRS = 32, 35
_BROKER = 4  # a kind of resource
_LISTENERS, _PROTOCOLS = "listeners", "listener.security.protocol.map"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """The volume under a broker's log directory.

    Args:
        path: the directory, as the broker sees it.
        total_bytes: size of the volume.
        usable_bytes: what is left of it.
    """

    path: str
    total_bytes: int
    usable_bytes: int

    @property
    def used_percent(self) -> float:
        """How full it is."""
        return 100.0 * (1 - self.usable_bytes / self.total_bytes) if self.total_bytes else 0.0


def disks(client: WireClient, address: str) -> list[DiskUse]:
    """The volumes of one broker (DescribeLogDirs version 4, KIP-827); those that are offline are left out.

    Raises:
        OSError: the broker did not answer.
    """
    no_topics = b"\x01\0"
    return read_disks(client.ask(address, _DESCRIBE_LOG_DIRS, 4, no_topics, tagged=True))


def read_disks(fields: Fields) -> list[DiskUse]:
    """Read the answer to DescribeLogDirs for no topics.

    Raises:
        ConnectionError: the broker refuses, or the answer is not what was asked for.
    """
    fields.number(4)  # throttle time
    if error := fields.number(2):
        raise ConnectionError(f"the log directories cannot be described: error {error}")
    found = []
    for _ in range(fields.unsigned() - 1):
        error, path = fields.number(2), fields.compact_text()
        if fields.unsigned() > 1:
            raise ConnectionError("the broker tells of topics that were not asked for")
        total, usable = fields.number(8), fields.number(8)
        fields.raw(fields.unsigned())  # tags: there are none
        if not error:
            found.append(DiskUse(path=path, total_bytes=total, usable_bytes=usable))
    return found


def listener_protocols(client: WireClient, address: str, broker: int) -> dict[str, str]:
    """The protocol of every listener that a broker has open now, by the listener's name.

    Raises:
        OSError: the broker did not answer.
    """
    config = broker_config(client, address, broker, (_LISTENERS, _PROTOCOLS))
    return protocols_of(config.get(_LISTENERS, ""), config.get(_PROTOCOLS, ""))


def protocols_of(listeners: str, protocols: str) -> dict[str, str]:
    """Put a broker's ``listeners`` and ``listener.security.protocol.map`` together."""
    names = [one.partition("://")[0].strip() for one in listeners.split(",") if one]
    known = dict(pair.strip().split(":", 1) for pair in protocols.split(",") if pair)
    return {name: known.get(name, name) for name in names}


def broker_config(client: WireClient, address: str, broker: int, names: tuple[str, ...]) -> Mapping[str, str]:
    """Settings of a broker that are in force, changes since its start included (DescribeConfigs version 1).

    Raises:
        OSError: the broker did not answer, or refused.
    """
    wanted = struct.pack(">i", len(names)) + b"".join(map(text, names))
    body = struct.pack(">ib", 1, _BROKER) + text(str(broker)) + wanted + b"\0"
    fields = client.ask(address, _DESCRIBE_CONFIGS, 1, body)
    fields.number(4), fields.number(4)  # throttle time, one resource
    error, words = fields.number(2), fields.text()
    if error:
        raise ConnectionError(f"the settings of broker {broker} cannot be described: {words or error}")
    fields.number(1), fields.text()
    found = {}
    for _ in range(fields.number(4)):
        name, value = fields.text(), fields.text()
        fields.raw(3)  # read-only, source, sensitive
        for _ in range(fields.number(4)):
            fields.text(), fields.text(), fields.number(1)  # a synonym
        found[name] = value
    return found
