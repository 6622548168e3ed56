"""What came of fuzzed events: ``history/fuzz.json``."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.readback import LedgerRead
from necp_validate.record.values import Place, Signed

MISSING, SEVERAL = "missing", "several"
"""How an event is found that has no outcome, or more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzGroup:
    """Events of one type, made by one operator, that were to end in one way and did end in one.

    Args:
        type_name: what they began as, e.g. ``economy.transfer``.
        operator: name of the mutation; "" for none.
        expected: ``processed``, ``rejected``, ``dead_lettered`` or ``refused``, as the oracle says.
        found: one of these, ``missing`` or ``several``.
        count: how many.
    """

    type_name: str
    operator: str
    expected: str
    found: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzFlaw:
    """One event that did not end as it must.

    Args:
        kind: what is wrong, one of :data:`FLAWS`.
        type_name, operator: of the event.
        topic, partition, offset: where it lies; -1 where it was never written.
        expected, found: as in :class:`FuzzGroup`.
        detail: what exactly is wrong.
        key, value, headers: of the record, as text; bytes that are no UTF-8 are escaped, and long ones cut.
        minimal: the smallest event that was found to show the same, likewise; "" if none was looked for.
        file: where the example lies, relative to the run directory, to be given to ``--replay``.
    """

    kind: str
    type_name: str
    operator: str
    topic: str
    partition: Place
    offset: Place
    expected: str
    found: str
    detail: str
    key: str
    value: str
    headers: str
    minimal: str
    file: str

    @property
    def where(self) -> str:
        """``topic[partition]@offset``, or that it was never written."""
        return f"{self.topic}[{self.partition}]@{self.offset}" if self.offset >= 0 else "not written"


UNACCOUNTED, OUTCOME, DEAD_LETTER, EFFECT = "unaccounted", "outcome", "dead-letter", "effect"
FLAWS = (UNACCOUNTED, OUTCOME, DEAD_LETTER, EFFECT)
"""Not exactly one outcome; another than its own; not kept as it came, with a reason; an effect too many or too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzEffect:
    """Something that events change, summed up: by the oracle, and by the event core's outputs.

    Args:
        name: e.g. ``damage``.
        domain: whose events.
        due: by the oracle.
        found: in the outputs.
        wrong: how much of it differs, event by event; may be more than the difference of the sums.
    """

    name: str
    domain: str
    due: Signed
    found: Signed
    wrong: int

    @property
    def differs(self) -> int:
        """How much differs: by event, or by the sums where these say more."""
        return max(self.wrong, abs(self.found - self.due))


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzConsumer:
    """How far the event core came with one domain.

    Args:
        domain: the domain.
        end: events in its topic, all partitions together.
        committed: of them, those that the group has committed.
    """

    domain: str
    end: int
    committed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """Settings of a topic as a broker tells them, by Kafka's names, in a campaign; runs have `TopicConfiguration`."""

    topic: str
    found: dict[str, str]
    claimed: dict[str, str]

    @property
    def wrong(self) -> dict[str, str]:
        """What differs from what is claimed."""
        return {name: self.found.get(name, "") for name, value in self.claimed.items() if self.found.get(name) != value}


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzRecord:
    """One campaign of fuzzed events against the reference system.

    Args:
        seed: makes the same events again.
        asked: how many events were to be sent.
        sent: how many were acknowledged.
        distinct: how many of them differ in more than their identity.
        seconds: from the first that was made until the last had an outcome.
        groups: every event, counted.
        flaws: the first of each kind.
        flaw_counts: how many there are, by kind.
        effects: what the events have changed.
        ledger: the economy's books, by partition.
        consumers: how far the event core came.
        crashes: what died, was started again or stood still, in words.
        settings: of the topics, if they could be learned.
    """

    seed: Signed
    asked: int
    sent: int
    distinct: int
    seconds: float
    groups: tuple[FuzzGroup, ...]
    flaws: tuple[FuzzFlaw, ...]
    flaw_counts: dict[str, int]
    effects: tuple[FuzzEffect, ...]
    ledger: tuple[LedgerRead, ...]
    consumers: tuple[FuzzConsumer, ...]
    crashes: tuple[str, ...]
    settings: tuple[TopicSettings, ...]

    @property
    def events(self) -> int:
        """Events in all groups: what was sent, and what was refused."""
        return sum(group.count for group in self.groups)

    def of(self, domain: str) -> tuple[FuzzGroup, ...]:
        """The groups of one domain."""
        return tuple(group for group in self.groups if group.type_name.startswith(f"{domain}."))
