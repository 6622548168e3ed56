"""The vocabulary of fuzzing: one record to be sent, and what may become of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

Headers = tuple[tuple[str, bytes], ...]


class Expected(StrEnum):
    """What becomes of a record; each ends in exactly one of these."""

    PROCESSED = "processed"
    REJECTED = "rejected"
    DEAD_LETTERED = "dead_lettered"
    REFUSED = "refused"
    """By the producer or the brokers: it was never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One record to be sent.

    Args:
        type_name: what it began as: an event type of the registry, or the foreign schema's name.
        version: of the registry's type; 0 for a foreign schema.
        operator: name of the mutation operator that made it; "" for a valid one.
        key: key of the record.
        value: value of the record; None is a tombstone.
        headers: headers of the record.
        valid: what the oracle says, which shares no code with the decoder under test.
        problem: what the oracle found wrong; "" where it is valid.
    """

    type_name: str
    version: int = 0
    operator: str = ""
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    valid: bool
    problem: str = ""

    @property
    def id(self) -> str:
        """Names the case by its content, 12 hex digits: the same record has the same name in every run."""
        digest = hashlib.sha256()
        for part in (self.key, self.value, *(part for name, value in self.headers for part in (name.encode(), value))):
            digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
        return digest.hexdigest()[:12]
