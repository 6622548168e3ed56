"""What a run owes as evidence: ``history/due.json``, written before anything is done, by whoever plans it.

What was found is held against it. Without it, nobody could know whether a partition, a broker or an attempt is missing
from the record, or was never to be there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDue:
    """A topic that the fresh reader has to read to its end.

    Args:
        topic: its name.
        role: ``events``, ``receipts``, ``ledger`` or ``dead-letters``.
        partitions: how many it had when the run began; it may have grown since.
        replicas: that were asked for when it was made; None where nobody of the suite made it.
        settings: likewise, by Kafka's names.
    """

    topic: str
    role: str
    partitions: int
    replicas: int | None = None
    settings: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerDue:
    """Attempts to get in at one listener of one broker, in each round.

    Args:
        listener: ``internal``, ``external`` ...
        broker: node id.
        mutual: whether it wants a client's certificate; if not, it wants a login.
        attempts: names of the attempts.
    """

    listener: str
    broker: int
    mutual: bool
    attempts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a run owes.

    Args:
        topics: to be read back.
        brokers: node ids of those whose process is sampled; empty where they cannot be seen.
        groups: consumer groups that are watched.
        listeners: attempts of a round; empty where nothing is tried.
        access_cells: cells of the access matrix of a round; 0 where nothing is tried.
        alert_rules: names of the alert rules that Prometheus is given; empty without monitoring.
        committed_within_s: by domain, within how many seconds of its outcome the consumer commits an event's offset;
            empty where that is not known.
        receipted_within_s: by domain, how long before the append of its outcome an event may be said to have ended;
            empty where no broker says when an outcome was appended.
        receipted_at_once: by domain, of so many events one has its outcome written at once; empty where none has.
    """

    topics: tuple[TopicDue, ...]
    brokers: tuple[str, ...]
    groups: tuple[str, ...]
    listeners: tuple[ListenerDue, ...]
    access_cells: int
    alert_rules: tuple[str, ...]
    committed_within_s: dict[str, float]
    receipted_within_s: dict[str, float] | None = None
    receipted_at_once: dict[str, int] | None = None
