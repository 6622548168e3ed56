"""What an event is held to: the parts that every kind of schema has in common."""

# ruff: noqa: ARG002 - a schema says of some parts of a record nothing at all

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Literal

from hypothesis import strategies as st

from necp_validate.fuzz.cases import Case, Headers

MAX_RECORD_BYTES: Final = 1_000_000
"""What Kafka's clients send at most by default; brokers take little more."""

Form = Literal["json", "avro"]
Record = tuple[bytes | None, bytes | None, Headers]
"""``(key, value, headers)``"""


class Schema(ABC):
    """One event type: makes valid events of it, and is the oracle for any record.

    Args:
        name: of the event type.
        topic: where its events go, if the schema's document says so.
    """

    form: ClassVar[Form]
    version: int = 0

    def __init__(self, name: str, *, topic: str | None = None) -> None:
        self.name = name
        self.topic = topic

    @abstractmethod
    def documents(self) -> st.SearchStrategy[Any]:
        """Valid payloads, before they are encoded."""

    @abstractmethod
    def encode(self, document: Any) -> bytes:
        """Encode a payload."""

    @abstractmethod
    def decode(self, value: bytes) -> Any:
        """Decode a payload.

        Raises:
            ValueError: it is none.
        """

    @abstractmethod
    def judge_value(self, value: bytes) -> str:
        """Say what is wrong with a record's value; "" if nothing is."""

    @abstractmethod
    def records(self) -> st.SearchStrategy[Record]:
        """Whole records that should be valid; the oracle is not asked."""

    def round_trip(self, document: Any) -> str:
        """Say in what a payload differs that was encoded and decoded; "" if it is the same."""
        back = self.decode(self.encode(document))
        return "" if back == document else f"came back as {back!r:.300}, was {document!r:.300}"

    @abstractmethod
    def at_bounds(self, case: Case, rng: random.Random) -> list[Case]:
        """Variants of a valid case in which one bound of the schema is exactly met and all else still holds."""

    def judge_key(self, key: bytes | None, value: bytes) -> str:
        """Say what is wrong with a record's key; "" if nothing is."""
        return ""

    def judge_headers(self, headers: Headers) -> str:
        """Say what is wrong with a record's headers; "" if nothing is."""
        return ""

    def judge(self, record: Record) -> str:
        """Say what is wrong with a record; "" if nothing is."""
        key, value, headers = record
        if value is None:
            return "the record has no value"
        size = len(value) + len(key or b"") + sum(len(name) + len(text) for name, text in headers)
        if size > MAX_RECORD_BYTES:
            return f"{size} bytes: a record has at most {MAX_RECORD_BYTES}"
        return self.judge_value(value) or self.judge_key(key, value) or self.judge_headers(headers)

    def case(self, record: Record, *, operator: str = "") -> Case:
        """Make a case of a record, with the oracle's word on it."""
        key, value, headers = record
        problem = self.judge(record)
        return Case(
            type_name=self.name,
            version=self.version,
            operator=operator,
            key=key,
            value=value,
            headers=headers,
            valid=not problem,
            problem=problem,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
