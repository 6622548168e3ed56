"""What a state machine drives: the event core of one domain, alone in this process or as a process on real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from necp_validate.events.base import EventData
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain


class Crash(StrEnum):
    """At which point of a batch the event core ends; in all cases a successor takes its place."""

    BEFORE_OUTPUT = "before output"
    """The batch was handled, and nothing of it was written."""
    BEFORE_COMMIT = "before commit"
    """What came of the batch was written, but neither committed nor its offsets."""
    AFTER_COMMIT = "after commit"
    """All was committed, and the instance died before it knew."""
    ABORTED = "aborted"
    """The transaction was aborted; the instance itself lives and goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One record as it was sent; a retry sends the same one again.

    Args:
        key: the record's key.
        value: the record's value, sealed.
        id: the event's id.
        data: what it says, in the version in which it was sent.
    """

    key: str
    value: bytes
    id: str
    data: EventData

    def __repr__(self) -> str:
        return f"<{self.id} {self.data!r}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One record that the event core wrote, and that readers of committed records see."""

    partition: int
    offset: int
    key: bytes
    value: bytes


class Driver(Protocol):
    """An event core of one domain that nobody else uses meanwhile."""

    @property
    def domain(self) -> Domain:
        """The domain."""

    @property
    def number(self) -> int:
        """A number that no other driver of the same target has: it goes into keys and streams."""

    @property
    def crashes(self) -> Sequence[Crash]:
        """The crashes that it can make now, gentlest first; none if it has made as many as it may."""

    def deliver(self, batch: Sequence[Sent], crash: Crash | None = None) -> list[tuple[Outcome, ...]]:
        """Hand events over, and come back when every one of them is accounted for.

        Args:
            batch: the events, in their order.
            crash: where the event core dies over them.

        Returns:
            For each event its outcomes, in the order in which they were reported: one, unless a domain that handles
            events at least once has handled it again.
        """

    def written(self, topic: str) -> list[Written]:
        """Give what has been written to a topic, in the order of each partition."""

    def total(self, name: str) -> int:
        """Sum up a total that receipts report, over all keys."""

    def holding(self, shard: str, account: str, asset: str) -> int | None:
        """Say what the live books hold; None where one cannot look into them."""

    def members(self, region: str, guild: str) -> set[str] | None:
        """List the players known to be in a guild; None where one cannot ask."""

    def settle(self, check: Callable[[], None]) -> None:
        """Run a check of what is written; where writing takes time, again and again until it passes.

        Raises:
            AssertionError: it does not pass.
        """

    def audit_keys(self) -> Path:
        """Where the keys of the audit trail are."""

    def close(self) -> None:
        """Let go of what it holds."""
