"""What the brokers say of consumer groups and of partitions' leaders, sample by sample."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from necp_validate.clients.cluster import ClusterReader
from necp_validate.events.topics import Domain
from necp_validate.record.model import GroupSample, LeaderSample

_REPEAT_S = 1.0


class GroupWatch:
    """Describes consumer groups; a sample that says the same as the one before is given once a second at most.

    Args:
        reader: asks the groups' coordinators.
        domains: whose groups are watched.
    """

    def __init__(self, reader: ClusterReader, domains: Sequence[Domain]) -> None:
        self._reader = reader
        self._groups = [domain.group for domain in domains]
        self._last: dict[str, GroupSample] = {}

    def sample(self) -> list[GroupSample]:
        """Ask now; a group whose coordinator does not answer is left out."""
        new = []
        for group, found in self._reader.describe(self._groups).items():
            sample = GroupSample(t=round(time.time(), 3), group=group, state=found.state, members=found.members)
            before = self._last.get(group)
            same = before is not None and (before.state, before.members) == (sample.state, sample.members)
            if before is None or not same or sample.t - before.t >= _REPEAT_S:
                new.append(sample)
                self._last[group] = sample
        return new


class LeaderWatch:
    """Asks who leads each partition, and in which epoch; gives what has changed.

    Args:
        reader: asks the brokers.
        topics: whose partitions are watched.
    """

    def __init__(self, reader: ClusterReader, topics: Iterable[str]) -> None:
        self._reader = reader
        self._topics = tuple(topics)
        self._last: dict[tuple[str, int], tuple[int, int | None]] = {}

    def sample(self) -> list[LeaderSample]:
        """Ask now; the epoch of a partition whose leader does not answer is ``None``.

        Raises:
            KafkaException, OSError: no broker answers.
        """
        leaders = self._reader.leaders(self._topics)
        ends = self._reader.ends(self._topics)
        now = round(time.time(), 3)
        new = []
        for place, leader in leaders.items():
            end = ends.get(place)
            state = (leader, None if end is None else end.epoch)
            if state != self._last.get(place):
                self._last[place] = state
                new.append(LeaderSample(t=now, topic=place[0], partition=place[1], leader=state[0], epoch=state[1]))
        return new
