"""The matrix of principals, resources and operations, tried for real: one harmless request for each cell.

Brokers check what a principal may do before they look at what it asks for. So a request that could not be carried out
by anybody (a batch with a wrong checksum, a group member that does not exist, a change that is only validated) tells
the two apart: whoever may is told what is wrong with the request, whoever may not is told that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from necp_validate.clients.connection import Connection, Fields, text
from necp_validate.record import ACCEPTED, REFUSED, UNTRIED, AccessProbe
from necp_validate.security.policy import OPERATIONS, Policy

DENIALS = {
    29: "TOPIC_AUTHORIZATION_FAILED",
    30: "GROUP_AUTHORIZATION_FAILED",
    31: "CLUSTER_AUTHORIZATION_FAILED",
    53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
}
"""Kafka's errors that say "you may not"."""

_OTHERS = {
    0: "NONE",
    2: "CORRUPT_MESSAGE",
    3: "UNKNOWN_TOPIC_OR_PARTITION",
    6: "NOT_LEADER_OR_FOLLOWER",
    16: "NOT_COORDINATOR",
    22: "ILLEGAL_GENERATION",
    25: "UNKNOWN_MEMBER_ID",
    36: "TOPIC_ALREADY_EXISTS",
    49: "INVALID_PRODUCER_ID_MAPPING",
    69: "GROUP_ID_NOT_FOUND",
    87: "INVALID_RECORD",
}
_TOPIC_CONFIG, _BROKER_CONFIG = 2, 4

Connect = Callable[[str], Connection]
"""Makes a connection on which a principal is logged in."""


class _Request(NamedTuple):
    """A request that probes one operation: its number, its version, its body, and where its answer has the error."""

    key: int
    version: int
    body: Callable[[str], bytes]
    error: Callable[[Fields], int]
    tagged: bool = False


def _one(content: bytes) -> bytes:
    return struct.pack(">i", 1) + content


def _describe_topic(fields: Fields) -> int:
    for _ in range(fields.number(4)):
        fields.number(4), fields.text(), fields.number(4), fields.text()
    fields.number(4)
    fields.number(4)  # one topic
    return fields.number(2)


def _in_one_topic(fields: Fields) -> int:
    """The error of the only partition of the only topic."""
    fields.number(4), fields.text(), fields.number(4), fields.number(4)
    return fields.number(2)


def _fetched(fields: Fields) -> int:
    fields.number(4)  # throttle time
    return _in_one_topic(fields)


def _deleted(fields: Fields) -> int:
    fields.number(4), fields.number(4), fields.text(), fields.number(4), fields.number(4), fields.number(8)
    return fields.number(2)


def _created(fields: Fields) -> int:
    fields.number(4), fields.number(4), fields.text()
    return fields.number(2)


def _first_result(fields: Fields) -> int:
    fields.number(4), fields.number(4)
    return fields.number(2)


def _after_throttle(fields: Fields) -> int:
    fields.number(4)
    return fields.number(2)


def _first_group(fields: Fields) -> int:
    fields.number(4)
    return fields.number(2)


def _bad_batch() -> bytes:
    """A record batch without records whose checksum is wrong: no broker appends it."""
    after_length = struct.pack(">ibIhiqqqhii", -1, 2, 0xDEADBEEF, 0, 0, 0, 0, -1, -1, -1, 0)
    return struct.pack(">qi", 0, len(after_length)) + after_length


def _configs(kind: int, name: str) -> bytes:
    return _one(struct.pack(">b", kind) + text(name))


def _alter(kind: int, key: str, value: str) -> Callable[[str], bytes]:
    change = _one(text(key) + text(value))
    only_validated = b"\x01"
    return lambda name: _configs(kind, name) + change + only_validated


def _write(name: str) -> bytes:
    batch = _bad_batch()
    partition = _one(struct.pack(">ii", 0, len(batch)) + batch)
    return struct.pack(">hhi", -1, -1, 1000) + _one(text(name) + partition)


def _read(name: str) -> bytes:
    partition = _one(struct.pack(">iqi", 0, 0, 1))
    return struct.pack(">iiiib", -1, 0, 0, 1, 1) + _one(text(name) + partition)


_REQUESTS: dict[tuple[str, str], _Request] = {
    ("topic", "Describe"): _Request(3, 1, lambda name: _one(text(name)), _describe_topic),
    ("topic", "Read"): _Request(1, 4, _read, _fetched),
    ("topic", "Write"): _Request(0, 3, _write, _in_one_topic),
    ("topic", "Create"): _Request(
        19, 2, lambda name: _one(text(name) + struct.pack(">ihii", 1, 1, 0, 0)) + struct.pack(">ib", 1000, 1), _created
    ),
    # Records below offset 0: there are none.
    ("topic", "Delete"): _Request(
        21, 0, lambda name: _one(text(name) + _one(struct.pack(">iq", 0, 0))) + struct.pack(">i", 1000), _deleted
    ),
    ("topic", "DescribeConfigs"): _Request(
        32, 1, lambda name: _one(struct.pack(">b", _TOPIC_CONFIG) + text(name) + _one(text("retention.ms"))) + b"\0",
        _first_result,
    ),
    ("topic", "AlterConfigs"): _Request(33, 0, _alter(_TOPIC_CONFIG, "retention.ms", "604800000"), _first_result),
    ("group", "Describe"): _Request(15, 0, lambda name: _one(text(name)), _first_group),
    ("group", "Read"): _Request(
        12, 0, lambda name: text(name) + struct.pack(">i", 0) + text("nobody"), lambda fields: fields.number(2)
    ),
    ("transactional-id", "Write"): _Request(
        26, 0, lambda name: text(name) + struct.pack(">qhb", 4_000_000_000, 0, 0), _after_throttle
    ),
    ("cluster", "Describe"): _Request(35, 3, lambda _: b"\x01\0", _after_throttle, tagged=True),
    ("cluster", "AlterConfigs"): _Request(
        33, 0, lambda _: _alter(_BROKER_CONFIG, "log.cleaner.threads", "1")("1"), _first_result
    ),
}  # fmt: skip


def cells_of(policy: Policy) -> list[tuple[str, str, str]]:
    """Every principal, resource and operation that is tried."""
    return [
        (principal, resource, operation)
        for principal in policy.principals
        for resource in policy.resources
        for operation in OPERATIONS[resource.partition(":")[0]]
    ]


def try_access(policy: Policy, connect: Connect) -> list[AccessProbe]:
    """Try every operation of every principal on every resource.

    Args:
        policy: who is to be tried on what, and what is expected.
        connect: logs a principal in.

    Returns:
        A probe for each cell; where a principal could not log in, untried.
    """
    probes = []
    for principal, cells in groupby(cells_of(policy), key=itemgetter(0)):
        client = Asker(principal, connect)
        for _, resource, operation in cells:
            outcome, answer = client.ask(resource, operation)
            probes.append(
                AccessProbe(
                    principal=principal,
                    resource=resource,
                    operation=operation,
                    allowed=policy.allows(principal, resource, operation),
                    outcome=outcome,
                    answer=answer,
                    log_line="",
                )
            )
        client.close()
    return probes


class Asker:
    """A principal's connection, made again when the broker has closed it."""

    def __init__(self, principal: str, connect: Connect) -> None:
        self._principal = principal
        self._connect = connect
        self._connection: Connection | None = None

    def ask(self, resource: str, operation: str) -> tuple[str, str]:
        """Send the request of a cell; returns the outcome and the answer.

        A broker that closes a connection, or does not answer in time, has neither let anybody in nor refused: the
        request is sent again, on a new connection.
        """
        kind, _, name = resource.partition(":")
        request = _REQUESTS[kind, operation]
        for last in (False, True):
            try:
                if self._connection is None:
                    self._connection = self._connect(self._principal)
                fields = self._connection.ask(request.key, request.version, request.body(name), tagged=request.tagged)
                error = request.error(fields)
                break
            except OSError as problem:
                self.close()
                if last:
                    return UNTRIED, str(problem) or type(problem).__name__
        if error in DENIALS:
            return REFUSED, DENIALS[error]
        return ACCEPTED, _OTHERS.get(error, f"error {error}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
