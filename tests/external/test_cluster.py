"""What a cluster says of itself: its version out of ApiVersions' answer, and what its topics' figures mean."""

from __future__ import annotations

from typing import Any

import pytest

from necp_validate.clients.connection import Fields
from necp_validate.external.cluster import TopicFacts, _version


class Answer:
    """A connection that answers once."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.asked = b""

    def exchange(self, request: bytes) -> Fields:
        self.asked = request
        return Fields(self._content)


def _answer(features: dict[str, int] | None, *, error: int = 0) -> bytes:
    """ApiVersionsResponse, version 3: Produce up to 9, then perhaps the features that are supported."""
    body = error.to_bytes(2, "big") + b"\x02" + b"\0\0" + b"\0\0" + b"\0\x09" + b"\0" + bytes(4)
    if features is None:
        return body + b"\0"
    names = b"".join(
        bytes([len(name) + 1]) + name.encode() + b"\0\x01" + level.to_bytes(2, "big") + b"\0"
        for name, level in features.items()
    )
    tagged = bytes([len(features) + 1]) + names
    return body + b"\x01" + b"\0" + bytes([len(tagged)]) + tagged


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_answer({"kraft.version": 1, "metadata.version": 21}), "3.9"),
        (_answer({"metadata.version": 14}), "3.6"),
        (_answer({"metadata.version": 99}), "4.0 or later (metadata.version 99)"),
        (_answer({"kraft.version": 1}), "not told (Produce up to version 9)"),
        (_answer(None), "not told (Produce up to version 9)"),
        (_answer(None, error=35), ""),
    ],
)
def test_the_version_is_told_by_the_newest_level_of_the_metadata(content: bytes, told: str) -> None:
    connection: Any = Answer(content)
    assert _version(connection) == told
    assert connection.asked[:4] == b"\0\x12\0\x03"


def test_records_are_what_is_there_and_written_what_ever_was() -> None:
    topic = TopicFacts(name="t", begin=(5, 0), end=(9, 2), replication_factor=1)
    assert (topic.records, topic.written, topic.compacted) == (6, 11, False)
