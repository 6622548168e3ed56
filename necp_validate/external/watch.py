"""Watches the host, the topics' replicas and the consumer groups' lag from outside; writes ``metrics/``."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from necp_validate.monitoring.host import cpu_percentages
from necp_validate.record import parts
from necp_validate.record.model import HostSample, IsrSample, LagSample
from necp_validate.record.self_watch import WatchedThread, noting
from necp_validate.stack.provision import SILENT

_HOST_S: Final = 1.0
_KAFKA_S: Final = 2.0
_TIMEOUT_S: Final = 5.0


class LagReader:
    """Asks how much of a topic its consumer group has not committed yet.

    Args:
        config: librdkafka properties; the principal must be allowed to describe the group.
        topic: the topic.
        group: the consumer group.
    """

    def __init__(self, config: Mapping[str, str], topic: str, group: str) -> None:
        # Never subscribed, so it is no member: it only asks for what the group has committed.
        settings = {**config, "group.id": group, "enable.auto.commit": False, "log_level": 2}
        self._asker = Consumer(settings, logger=SILENT)
        self._topic = topic

    def lag(self) -> int:
        """Records that are written and not committed; a partition without any commit counts from its beginning.

        Raises:
            KafkaException: the cluster did not answer.
        """
        partitions = self._asker.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic].partitions
        wanted = [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        total = 0
        for one in self._asker.committed(wanted, timeout=_TIMEOUT_S):
            low, high = self._asker.get_watermark_offsets(
                TopicPartition(self._topic, one.partition), timeout=_TIMEOUT_S
            )
            total += high - (one.offset if one.offset >= 0 else low)
        return total

    def close(self) -> None:
        """Close its connections."""
        self._asker.close()


class Watch:
    """Samples the host every second, and the cluster every two; a sample that could not be had is missing.

    Args:
        run_dir: where ``metrics/`` goes.
        config: librdkafka properties.
        groups: by topic, the consumer group whose lag is watched; others have no lag.
        topics: whose replicas are watched.
    """

    def __init__(self, run_dir: Path, config: Mapping[str, str], groups: Mapping[str, str], topics: list[str]) -> None:
        self.load_pid: int | None = None
        self.host_busy_pct: float | None = None
        self.lag: dict[str, int] = {}
        self._host = parts.HOST.open(run_dir)
        self._lag = parts.LAG.open(run_dir)
        self._isr = parts.ISR.open(run_dir)
        self._topics = topics
        self._admin = AdminClient({"log_level": "2", **config}, logger=SILENT)
        self._readers = {topic: LagReader(config, topic, group) for topic, group in groups.items()}
        self._stopped = threading.Event()
        of_host = noting(run_dir, "watch over the host", parts.HOST)
        of_cluster = noting(run_dir, "watch over the cluster", parts.LAG, parts.ISR, parts.DRAIN)
        self._threads = [
            WatchedThread(self._watch_host, name="necp-watch-host", asked=self._stopped, on_failure=of_host),
            WatchedThread(self._watch_cluster, name="necp-watch-cluster", asked=self._stopped, on_failure=of_cluster),
        ]

    def start(self) -> None:
        """Begin to sample."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End sampling and close everything; may be called more than once."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        for thread in self._threads:
            thread.stop(4 * _TIMEOUT_S)
        for reader in self._readers.values():
            reader.close()
        for file in (self._host, self._lag, self._isr):
            file.close()

    def _watch_host(self) -> None:
        before_t, before, load_before = time.time(), psutil.cpu_times(), self._load_cpu_s()
        while not self._stopped.wait(_HOST_S):
            now_t, now, load = time.time(), psutil.cpu_times(), self._load_cpu_s()
            self.host_busy_pct, steal_pct = cpu_percentages(before, now)
            self._host.write(
                HostSample(
                    t=round(now_t, 3),
                    cpu_busy_pct=self.host_busy_pct,
                    cpu_steal_pct=steal_pct,
                    mem_used_bytes=psutil.virtual_memory().used,
                    load_cpu_pct=round(100 * max(load - load_before, 0.0) / (now_t - before_t), 1),
                )
            )
            before_t, before, load_before = now_t, now, load

    def _load_cpu_s(self) -> float:
        try:
            times = psutil.Process(self.load_pid).cpu_times() if self.load_pid else None
        except psutil.NoSuchProcess:
            times = None
        return times.user + times.system if times else 0.0

    def _watch_cluster(self) -> None:
        while not self._stopped.wait(_KAFKA_S):
            try:
                now = round(time.time(), 3)
                self._isr.write(self._replicas(now))
                self.lag = {topic: reader.lag() for topic, reader in self._readers.items()}
                self._lag.write(*(LagSample(t=now, domain=topic, lag=lag) for topic, lag in self.lag.items()))
            except KafkaException:
                continue  # brokers are down or electing: there is no sample, and its absence shows

    def _replicas(self, now: float) -> IsrSample:
        described = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        partitions = [one for topic in self._topics for one in described[topic].partitions.values()]
        return IsrSample(
            t=now,
            under_replicated=sum(len(one.isrs) < len(one.replicas) for one in partitions),
            offline=sum(one.leader < 0 for one in partitions),
        )
