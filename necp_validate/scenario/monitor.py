"""Watches the host, the brokers and the consumer groups while a scenario runs; writes the run's ``metrics/``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import KafkaException

from necp_validate.chaos.cluster import cluster_reader
from necp_validate.clients.cluster import ClusterReader
from necp_validate.core import SuiteError
from necp_validate.events.topics import Domain
from necp_validate.monitoring.host import RunDelay, cpu_percentages
from necp_validate.record import parts
from necp_validate.record.model import BrokerSample as BrokerRow
from necp_validate.record.model import GatewaySample, HostSample, IsrSample, LagSample
from necp_validate.record.self_watch import WatchedThread, noting
from necp_validate.record.store import Part
from necp_validate.record.writer import Appender
from necp_validate.scenario.cluster_watch import GroupWatch, LeaderWatch
from necp_validate.scenario.gateway_watch import GatewayWatch
from necp_validate.stack import BrokerSample, Stack
from necp_validate.stack.fleet import CoreFleet, GatewayFleet

_HOST_S = 1.0
_KAFKA_S = 2.0
_GROUPS_S = 0.25
_LEADERS_S = 1.0
_TIMEOUT_S = 5.0


class Monitor:
    """Samples once a second (host, brokers, gateway) and every two seconds (consumer lag, ISR), in threads of its own.

    Args:
        run_dir: where ``metrics/`` goes.
        stack: whose brokers are sampled.
        domains: whose consumer groups are watched.
        fleet: the event core's instances, for their CPU.
        check: raises if something died that nobody ended; the stack's own look by default.
        close_up: describe the consumer groups four times a second, and the partitions' leaders once a second,
            as the verdicts on faults need it; else both every two seconds.
        gateways: the gateway, where the scenario has players.
    """

    def __init__(
        self,
        run_dir: Path,
        stack: Stack,
        domains: Sequence[Domain],
        fleet: CoreFleet,
        check: Callable[[], None] | None = None,
        *,
        close_up: bool = False,
        gateways: GatewayFleet | None = None,
    ) -> None:
        self._stack = stack
        self._domains = tuple(domains)
        self._fleet = fleet
        self._check = check or stack.check_alive
        self.load_pids: tuple[int, ...] = ()
        self.player_pids: tuple[int, ...] = ()
        self.gateway: GatewaySample | None = None
        self.gateway_watch: GatewayWatch | None = None
        self.lag: Mapping[str, int] = {}
        self.host_busy_pct: float | None = None
        self.broken: SuiteError | None = None
        self._host = parts.HOST.open(run_dir)
        self._brokers = parts.BROKERS.open(run_dir)
        self._lag = parts.LAG.open(run_dir)
        self._isr = parts.ISR.open(run_dir)
        self._groups = parts.GROUPS.open(run_dir)
        self._leaders = parts.LEADERS.open(run_dir)
        self._close_up = close_up
        self._stopped = threading.Event()
        self._target = RunDelay()

        def thread(of: str, work: Callable[[], None], *written: Part[Any]) -> WatchedThread:
            name = f"monitor of {of}"
            return WatchedThread(work, name=name, asked=self._stopped, on_failure=noting(run_dir, name, *written))

        self._threads = [
            thread("host and brokers", self._watch_host, parts.HOST, parts.BROKERS),
            thread("lag and replicas", self._watch_kafka, parts.LAG, parts.ISR),
            thread("groups and leaders", self._watch_cluster, parts.GROUPS, parts.LEADERS),
        ]
        self._files: list[Appender[Any]] = [
            self._host,
            self._brokers,
            self._lag,
            self._isr,
            self._groups,
            self._leaders,
        ]
        if gateways is not None:
            file = parts.GATEWAY.open(run_dir)
            self.gateway_watch = watch = GatewayWatch(gateways)
            self._files.append(file)
            look = partial(self._watch_gateway, watch, file)
            self._threads.append(thread("the gateway", look, parts.GATEWAY, parts.GATEWAY_RECORD))

    def start(self) -> None:
        """Begin to sample."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End sampling and close the files; may be called more than once."""
        self._stopped.set()
        for thread in self._threads:
            thread.stop(_TIMEOUT_S * 2)
        for file in self._files:
            file.close()

    def _watch_host(self) -> None:
        before_t, before, before_cpu = time.time(), psutil.cpu_times(), self._cpu()
        before_brokers = {sample.broker: sample for sample in self._stack.sample()}
        while not self._stopped.wait(_HOST_S - time.time() % _HOST_S):
            try:
                self._check()
                now_t, now, cpu = time.time(), psutil.cpu_times(), self._cpu()
                brokers = {sample.broker: sample for sample in self._stack.sample()}
                elapsed = now_t - before_t
                self._write_host(now_t, elapsed, before, now, before_cpu, cpu)
                for broker, sample in brokers.items():
                    if (previous := before_brokers.get(broker)) is not None:
                        self._brokers.write(_broker_row(now_t, elapsed, previous, sample))
            except SuiteError as error:
                self.broken = error  # the runner looks at it every second, and stops
                raise
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
        self.host_busy_pct, steal_pct = cpu_percentages(before, now)
        target = self._target.since(self._target_pids())
        self._host.write(
            HostSample(
                t=round(t, 3),
                cpu_busy_pct=self.host_busy_pct,
                cpu_steal_pct=steal_pct,
                mem_used_bytes=psutil.virtual_memory().used,
                load_cpu_pct=round(100 * max(cpu[0] - cpu_before[0], 0.0) / elapsed, 1),
                core_cpu_pct=round(100 * max(cpu[1] - cpu_before[1], 0.0) / elapsed, 1),
                target_run_s=None if target is None else round(target[0], 3),
                target_wait_s=None if target is None else round(target[1], 3),
            )
        )

    def _target_pids(self) -> list[int]:
        """Processes of the brokers and of the event core, as far as they are on this host."""
        brokers = [broker.pid for broker in self._stack.brokers()]
        return [pid for pid in (*brokers, *(core.pid for core in self._fleet.running())) if pid is not None]

    def _cpu(self) -> tuple[float, float]:
        """CPU seconds used so far by the load processes and by the event core."""
        load_s = 0.0
        for pid in (*self.load_pids, *self.player_pids):
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            load_s += times.user + times.system
        return load_s, self._fleet.cpu_s()

    def _watch_gateway(self, watch: GatewayWatch, file: Appender[GatewaySample]) -> None:
        while not self._stopped.wait(_HOST_S - time.time() % _HOST_S):
            try:
                self.gateway = watch.sample()
                if self.gateway is not None:
                    file.write(self.gateway)
            except SuiteError as error:
                self.broken = error
                raise

    def _watch_kafka(self) -> None:
        reader = cluster_reader(self._stack)
        while not self._stopped.wait(_KAFKA_S):
            now = round(time.time(), 3)
            try:
                self._isr.write(_isr_row(now, reader))
                self.lag = {domain.value: reader.lag(domain) for domain in self._domains}
                self._lag.write(*(LagSample(t=now, domain=d, lag=lag) for d, lag in self.lag.items()))
            except (KafkaException, LookupError, OSError):
                continue  # brokers are down or electing: there is no sample, and its absence shows
            except SuiteError as error:
                self.broken = error
                raise

    def _watch_cluster(self) -> None:
        """Describe groups and leaders; while brokers are down there is no sample, and its absence shows."""
        reader = cluster_reader(self._stack)
        groups = GroupWatch(reader, self._domains)
        leaders = LeaderWatch(reader, [domain.topic for domain in self._domains])
        next_leaders = 0.0
        while not self._stopped.wait(_GROUPS_S if self._close_up else _KAFKA_S):
            try:
                self._groups.write(*groups.sample())
                if time.monotonic() >= next_leaders:
                    next_leaders = time.monotonic() + _LEADERS_S
                    self._leaders.write(*leaders.sample())
            except (KafkaException, LookupError, OSError):
                continue
            except SuiteError as error:
                self.broken = error
                raise


def _isr_row(now: float, reader: ClusterReader) -> IsrSample:
    """As the broker sees it that sees the most of it."""
    views = reader.views()
    return IsrSample(
        t=now,
        under_replicated=max(sum(len(p.in_sync) < len(p.replicas) for p in view) for view in views),
        offline=max(sum(p.leader < 0 for p in view) for view in views),
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
