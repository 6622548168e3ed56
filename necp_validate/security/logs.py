"""The brokers' own words on what they refused: what their logs have on an attempt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FAILED: Final = re.compile(
    r"Failed \S*\s*authentication with .*|SSL handshake failed.*|Unexpected error from .*", re.I
)
_PORT: Final = re.compile(r":(\d+)-")  # in a channel's id: its two ends
_DENIED: Final = re.compile(
    r"Principal = User:(?P<principal>\S+) is Denied operation = (?P<operation>\S+) .*"
    r"on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+) for request"
)
_KINDS: Final = {"topic": "Topic", "group": "Group", "transactional-id": "TransactionalId", "cluster": "Cluster"}
_OPERATIONS: Final = {"DescribeConfigs": "DESCRIBE_CONFIGS", "AlterConfigs": "ALTER_CONFIGS"}


class BrokerLogs:
    """What brokers write into their logs from now on.

    Args:
        files: by node id; brokers without a log that can be read here are left out.
    """

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = dict(files)
        self._from = {broker: _size(path) for broker, path in self._files.items()}

    def lines(self, broker: int) -> list[str]:
        """Everything that a broker has written since."""
        path = self._files.get(broker)
        if path is None:
            return []
        try:
            with path.open("rb") as file:
                file.seek(self._from[broker])
                return file.read().decode(errors="replace").splitlines()
        except OSError:
            return []

    def refusals(self) -> dict[tuple[int, int], str]:
        """The lines on connections that were refused, each by the broker and the port that the connection came from."""
        found: dict[tuple[int, int], str] = {}
        for broker in self._files:
            for line in self.lines(broker):
                if _FAILED.search(line):
                    found.update(((broker, int(port)), line) for port in _PORT.findall(line))
        return found

    def denials(self) -> dict[tuple[str, str, str], str]:
        """The authorizer's lines, each by principal, resource and operation as the policy names them."""
        found: dict[tuple[str, str, str], str] = {}
        kinds = {theirs: ours for ours, theirs in _KINDS.items()}
        for broker in self._files:
            for line in self.lines(broker):
                match = _DENIED.search(line)
                if match is not None and match["kind"] in kinds:
                    resource = f"{kinds[match['kind']]}:{match['name']}"
                    found[match["principal"], resource, match["operation"].upper()] = line
        return found


def logged_operation(operation: str) -> str:
    """An operation's name as the authorizer logs it."""
    return _OPERATIONS.get(operation, operation.upper())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
