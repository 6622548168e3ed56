"""Describes the topics of a run, at its beginning, after each experiment and at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from necp_validate.clients.topic_settings import topic_settings
from necp_validate.events.topics import TOPIC_GUARANTEES
from necp_validate.record import TopicConfiguration, parts
from necp_validate.stack.provision import admin_client

_ASK_S = 5.0
_PATIENCE_S = 10.0
"""After a fault, brokers may still be coming up."""


class TopicWatch:
    """Looks at topics and writes down what it finds; what cannot be described is left out, and its absence shows.

    Args:
        run_dir: where ``history/topics.jsonl`` goes.
        config: gives the configuration of a client that may describe them: credentials change under some faults.
        topics: gives their names, which are known once the run begins.
    """

    def __init__(
        self, run_dir: Path, config: Callable[[], Mapping[str, str]], topics: Callable[[], Iterable[str]]
    ) -> None:
        self._run_dir = run_dir
        self._config = config
        self._names = topics

    def look(self, when: str) -> None:
        """Describe every topic now.

        Brokers that do not answer are asked again; where they answer and do not say everything, a right is missing.

        Args:
            when: as in `TopicConfiguration`.
        """
        deadline = time.monotonic() + _PATIENCE_S
        topics = tuple(self._names())
        admin = admin_client(self._config())
        while True:
            try:
                parts.TOPIC_CONFIGURATIONS.append(self._run_dir, *self._described(admin, when, topics))
            except (KafkaException, TimeoutError):
                if time.monotonic() < deadline:
                    time.sleep(0.2)
                    continue
            return

    def _described(self, admin: AdminClient, when: str, topics: Collection[str]) -> list[TopicConfiguration]:
        metadata = admin.list_topics(timeout=_ASK_S).topics
        settings = topic_settings(admin, topics, TOPIC_GUARANTEES)
        now = round(time.time(), 3)
        return [
            TopicConfiguration(
                t=now,
                when=when,
                topic=name,
                partitions=len(metadata[name].partitions),
                replicas=min(len(one.replicas) for one in metadata[name].partitions.values()),
                settings=settings[name],
            )
            for name in topics
            if name in settings and name in metadata and metadata[name].partitions
        ]
