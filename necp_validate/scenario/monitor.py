"""Watches the host, the brokers and the consumer groups while a scenario runs; writes the run's ``metrics/``."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.history import layout
from necp_validate.history.model import BrokerSample as BrokerRow
from necp_validate.history.model import HostSample, IsrSample, LagSample
from necp_validate.history.writer import HistoryWriter
from necp_validate.results import SuiteError
from necp_validate.stack import BrokerSample, ServiceHandle, Stack

_HOST_S = 1.0
_KAFKA_S = 2.0
_TIMEOUT_S = 5.0


class Monitor:
    """Samples once a second (host, brokers) and every two seconds (consumer lag, ISR), in threads of its own.

    Args:
        run_dir: where ``metrics/`` goes.
        stack: whose brokers are sampled.
        domains: whose consumer groups are watched.
        cores: the event core's instances, for their CPU.
    """

    def __init__(self, run_dir: Path, stack: Stack, domains: Sequence[Domain], cores: Sequence[ServiceHandle]) -> None:
        self._stack = stack
        self._domains = tuple(domains)
        self._cores = tuple(cores)
        self.load_pids: tuple[int, ...] = ()
        self.lag: Mapping[str, int] = {}
        self.host_busy_pct: float | None = None
        self.broken: SuiteError | None = None
        writer = HistoryWriter(run_dir)
        self._host = writer.metrics(layout.HOST_METRICS, HostSample)
        self._brokers = writer.metrics(layout.BROKER_METRICS, BrokerRow)
        self._lag = writer.metrics(layout.LAG_METRICS, LagSample)
        self._isr = writer.metrics(layout.ISR_METRICS, IsrSample)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch_host, name="necp-monitor-host", daemon=True),
            threading.Thread(target=self._watch_kafka, name="necp-monitor-kafka", daemon=True),
        ]

    def start(self) -> None:
        """Begin to sample."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End sampling and close the files; may be called more than once."""
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_TIMEOUT_S * 2)
        for file in (self._host, self._brokers, self._lag, self._isr):
            file.close()

    def _watch_host(self) -> None:
        before_t, before, before_cpu = time.time(), psutil.cpu_times(), self._cpu()
        before_brokers = {sample.broker: sample for sample in self._stack.sample()}
        while not self._stopped.wait(_HOST_S - time.time() % _HOST_S):
            try:
                self._stack.check_alive()
                now_t, now, cpu = time.time(), psutil.cpu_times(), self._cpu()
                brokers = {sample.broker: sample for sample in self._stack.sample()}
                elapsed = now_t - before_t
                self._write_host(now_t, elapsed, before, now, before_cpu, cpu)
                for broker, sample in brokers.items():
                    if (previous := before_brokers.get(broker)) is not None:
                        self._brokers.write(_broker_row(now_t, elapsed, previous, sample))
            except SuiteError as error:
                self.broken = error  # the runner looks at it every second, and stops
                return
            before_t, before, before_cpu, before_brokers = now_t, now, cpu, brokers

    def _write_host(
        self,
        t: float,
        elapsed: float,
        before: Any,
        now: Any,
        cpu_before: tuple[float, float],
        cpu: tuple[float, float],
    ) -> None:
        # Guest time is part of user time; the rest adds up to all the time that there was.
        total = sum(now[:8]) - sum(before[:8]) or 1.0
        idle = (now.idle + now.iowait) - (before.idle + before.iowait)
        self.host_busy_pct = round(100 * (1 - idle / total), 1)
        self._host.write(
            HostSample(
                t=round(t, 3),
                cpu_busy_pct=self.host_busy_pct,
                cpu_steal_pct=round(100 * (now.steal - before.steal) / total, 1),
                mem_used_bytes=psutil.virtual_memory().used,
                load_cpu_pct=round(100 * max(cpu[0] - cpu_before[0], 0.0) / elapsed, 1),
                core_cpu_pct=round(100 * max(cpu[1] - cpu_before[1], 0.0) / elapsed, 1),
            )
        )

    def _cpu(self) -> tuple[float, float]:
        """CPU seconds used so far by the load processes and by the event core."""
        load_s = 0.0
        for pid in self.load_pids:
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            load_s += times.user + times.system
        return load_s, sum(core.cpu_s() for core in self._cores)

    def _watch_kafka(self) -> None:
        admin = AdminClient(dict(self._stack.client_config(VERIFIER_PRINCIPAL)))
        while not self._stopped.wait(_KAFKA_S):
            now = round(time.time(), 3)
            try:
                self.lag = {domain.value: group_lag(admin, domain) for domain in self._domains}
                self._lag.write(*(LagSample(t=now, domain=d, lag=lag) for d, lag in self.lag.items()))
                self._isr.write(_isr_row(now, admin))
            except KafkaException:
                continue  # brokers are down or electing: there is no sample, and its absence shows
            except SuiteError as error:
                self.broken = error
                return


def group_lag(admin: AdminClient, domain: Domain) -> int:
    """Records of a domain's topic that the event core's group has not committed yet.

    Raises:
        KafkaException: the brokers do not answer.
    """
    metadata = admin.list_topics(domain.topic, timeout=_TIMEOUT_S).topics[domain.topic]
    partitions = [TopicPartition(domain.topic, number) for number in metadata.partitions]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # confluent_kafka leaves it untyped
    ends = admin.list_offsets(dict.fromkeys(partitions, latest), request_timeout=_TIMEOUT_S)
    request = ConsumerGroupTopicPartitions(domain.group, partitions)
    (group,) = admin.list_consumer_group_offsets([request], request_timeout=_TIMEOUT_S).values()
    committed = {p.partition: max(p.offset, 0) for p in group.result().topic_partitions}
    return sum(max(end.result().offset - committed.get(p.partition, 0), 0) for p, end in ends.items())


def _isr_row(now: float, admin: AdminClient) -> IsrSample:
    partitions = [
        partition
        for topic in admin.list_topics(timeout=_TIMEOUT_S).topics.values()
        for partition in topic.partitions.values()
    ]
    return IsrSample(
        t=now,
        under_replicated=sum(len(p.isrs) < len(p.replicas) for p in partitions),
        offline=sum(p.leader < 0 for p in partitions),
    )


def _broker_row(t: float, elapsed: float, before: BrokerSample, now: BrokerSample) -> BrokerRow:
    def rate(name: str) -> float:
        # A broker that was restarted in between begins to count anew.
        difference: float = getattr(now, name) - getattr(before, name)
        return round(max(difference, 0.0) / elapsed, 2)

    return BrokerRow(
        t=round(t, 3),
        broker=str(now.broker),
        cpu_pct=round(100 * rate("cpu_s"), 1),
        rss_bytes=now.rss_bytes,
        read_ios=rate("read_ios"),
        write_ios=rate("write_ios"),
        read_bytes=rate("read_bytes"),
        write_bytes=rate("write_bytes"),
    )
