"""``history/topics.jsonl``: topics as the brokers describe them, each time that they were looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.record.values import EpochS

BEGIN, END = "begin", "end"


def looks(experiments: Iterable[str]) -> tuple[str, ...]:
    """When topics are looked at in a run, in order."""
    return (BEGIN, *experiments, END)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfiguration:
    """A topic as it is, whatever was asked for.

    Args:
        t: when it was described (epoch, seconds).
        when: ``begin``, ``end``, or the name of the experiment that was over.
        topic: its name.
        partitions: how many it has.
        replicas: of the partition that has the fewest.
        settings: that are in force, by Kafka's names.
    """

    t: EpochS
    when: str
    topic: str
    partitions: int
    replicas: int
    settings: dict[str, str]
