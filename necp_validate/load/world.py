"""Everything the users of one load process share: producers, recorder, schedules, and the history they leave."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from necp_validate.clients.ackbook import Stream
from necp_validate.clients.observer import ReceiptObserver
from necp_validate.clients.producer import EventProducer
from necp_validate.clients.recorder import Recorder
from necp_validate.clients.trips import RoundTrips
from necp_validate.events.topics import Domain
from necp_validate.history import layout
from necp_validate.history.writer import HistoryWriter, JsonLines, write_json
from necp_validate.load.passwords import PasswordFile
from necp_validate.load.plan import LoadPlan
from necp_validate.load.schedule import Schedule
from necp_validate.load.traffic import FlushPool, key_of, stream_id

if TYPE_CHECKING:
    from necp_validate.fuzz.loading import FuzzedEvents

#: Properties whose values decide what a producer may lose, double or reorder.
GUARANTEES = ("acks", "enable.idempotence", "max.in.flight.requests.per.connection", "retries", "message.timeout.ms")


class Server:
    """One game server: a stream of events, the flushes that it sends, and when they are due (epoch)."""

    __slots__ = ("domain", "due_us", "flushes", "stream")

    def __init__(self, domain: Domain, stream: Stream, flushes: FlushPool, due_us: Iterator[int]) -> None:
        self.domain = domain
        self.stream = stream
        self.flushes = flushes
        self.due_us = due_us


class World:
    """The shared state of one load process.

    Args:
        plan: what to do.
        worker: index of this process, from 0.
    """

    def __init__(self, plan: LoadPlan, worker: int) -> None:
        self.plan = plan
        self.worker = worker
        self.name = f"w{worker}"
        self.start_us = 0
        self.planted = {domain: {"cheat": 0, "poison": 0, "fuzz": 0} for domain in plan.traffic}
        self.stakes: dict[str, dict[str, int]] = {domain: {} for domain in plan.traffic}
        self.schedules = {
            domain: Schedule(traffic, plan.phases, f"{plan.seed}/{domain}") for domain, traffic in plan.traffic.items()
        }
        self._claimed = dict.fromkeys(plan.traffic, 0)
        self._servers: list[Server] = []
        self.finished = 0
        fuzzed = _fuzzed(plan)
        self._prepared = {
            domain: {
                server: FlushPool(Domain(domain), traffic, server, plan, fuzzed[domain])
                for server in range(worker, self.schedules[domain].most_servers, plan.processes)
            }
            for domain, traffic in plan.traffic.items()
        }
        self.recorder: Recorder
        self.producers: dict[str, EventProducer]
        self._passwords: list[PasswordFile] = []
        self.observer: ReceiptObserver
        self._writer = HistoryWriter(Path(plan.run_dir))
        self._trips = RoundTrips()
        self._timeline: JsonLines

    def open(self, start_us: int) -> None:
        """Connect, and begin the history; ``start_us`` (epoch) is second 0 of the schedule."""
        self.start_us = start_us
        self._cpu_before_s = _cpu_s()
        starts, at = [], start_us
        for phase in self.plan.phases:
            starts.append(at)
            at += round(phase.duration_s * 1e6)
        self.recorder = Recorder([p.name for p in self.plan.phases], starts, list(self.plan.traffic))
        self.producers = {
            domain: EventProducer(domain, traffic.topic, traffic.client, self.recorder)
            for domain, traffic in self.plan.traffic.items()
        }
        self._passwords = [
            PasswordFile(
                Path(traffic.password_file),
                traffic.client["sasl.username"],
                traffic.client["sasl.password"],
                self.producers[domain].set_password,
            )
            for domain, traffic in self.plan.traffic.items()
            if traffic.password_file
        ]
        self.observer = ReceiptObserver(
            self.plan.verifier, self.recorder, {domain: p.book for domain, p in self.producers.items()}
        )
        self._timeline = self._writer.timeline(self.name)
        if self.worker == 0:
            write_json(Path(self.plan.run_dir) / layout.PHASES, self._phases(starts, at))

    @property
    def end_us(self) -> int:
        """When the last phase ends (epoch)."""
        return self.start_us + round(self.plan.duration_s * 1e6)

    def claim(self, domain: Domain) -> Server | None:
        """Give the next server of a domain to a user, or None when all of this process's are taken."""
        number = self._claimed[domain] * self.plan.processes + self.worker
        flushes = self._prepared[domain].pop(number, None)
        if flushes is None:
            return None
        self._claimed[domain] += 1
        stream = self.producers[domain].book.open_stream(
            stream_id(self.plan.run_id, domain, number), key_of(domain, number)
        )
        server = Server(domain, stream, flushes, self._due_us(domain, number))
        self._servers.append(server)
        return server

    def _due_us(self, domain: Domain, number: int) -> Iterator[int]:
        return (self.start_us + int(due_s * 1e6) for due_s in self.schedules[domain].flushes(number))

    def flush(self, server: Server, intended_us: int) -> None:
        """Send a server's next flush."""
        phase = self.plan.phases[self.recorder.phase_of(intended_us)]
        flush = server.flushes.next(phase.poison_share)
        self.producers[server.domain].send(server.stream, flush.template, intended_us)
        planted = self.planted[server.domain]
        planted["cheat"] += flush.cheats
        planted["poison"] += flush.poison
        planted["fuzz"] += flush.fuzzed
        stakes = self.stakes[server.domain]
        for name, amount in flush.stakes.items():
            stakes[name] = stakes.get(name, 0) + amount

    @property
    def behind(self) -> bool:
        """Whether a server that plays still has flushes to send."""
        return self.finished < len(self._servers)

    def _count_unsent(self) -> None:
        """Flushes that were due and never sent, by servers that fell behind or never started, were scheduled too."""
        never_started = [
            (Domain(domain), self._due_us(Domain(domain), number))
            for domain, servers in self._prepared.items()
            for number in servers
        ]
        for domain, due in [*((s.domain, s.due_us) for s in self._servers), *never_started]:
            for intended_us in due:
                phase = self.recorder.phase_of(intended_us)
                self.recorder.count(domain, phase, "scheduled", self.plan.traffic[domain].run_length)

    def poll(self) -> None:
        """Account for the delivery reports and receipts that have come in."""
        for producer in self.producers.values():
            producer.poll()
        self.observer.poll()
        for password in self._passwords:
            password.look(Path(self.plan.run_dir), self.name)

    def write_rows(self) -> list[dict[str, Any]]:
        """Append the timeline rows of the last second; returns them."""
        now_us = time.time_ns() // 1000
        phase = self.recorder.phase_names[self.recorder.phase_of(now_us)]
        for domain, producer in self.producers.items():
            if (statistics := producer.events.take_stats()) is not None:
                self._trips.add(phase, domain, statistics)
        rows = [self.recorder.row(domain, now_us) for domain in self.producers]
        self._timeline.write(*rows)
        return rows

    @property
    def outstanding(self) -> int:
        """Events handed to the clients and not yet answered."""
        return sum(producer.queued for producer in self.producers.values())

    @property
    def waiting(self) -> int:
        """Events acknowledged whose receipt has not been seen, where receipts are expected."""
        return self.observer.waiting if self.plan.receipts else 0

    def close(self, sleep: Callable[[float], None]) -> None:
        """Wait for the answers still out, then write what this process knows; called once, also when interrupted."""
        deadline = time.monotonic() + self.plan.drain_timeout_s
        next_row = time.monotonic() + 1
        while (self.outstanding or self.waiting > 0) and time.monotonic() < deadline:
            self.poll()
            if time.monotonic() > next_row:
                self.write_rows()
                next_row += 1
            sleep(0.01)
        missing = self.waiting
        self._count_unsent()
        for producer in self.producers.values():
            producer.close()
        self.observer.close()
        self.write_rows()
        self._timeline.close()
        self._write(missing)

    def _write(self, missing: int) -> None:
        names = self.recorder.phase_names
        self._writer.save_latency(
            self.name, {(names[p], d, kind): h for (p, d, kind), h in self.recorder.histograms.items()}
        )
        write_json(
            Path(self.plan.run_dir) / layout.LOAD.format(worker=self.name),
            {
                "worker": self.name,
                "streams": [row for producer in self.producers.values() for row in producer.book.to_json()],
                "guarantees": {
                    domain: {key: producer.config[key] for key in GUARANTEES if key in producer.config}
                    for domain, producer in self.producers.items()
                },
                "planted": self.planted,
                "stakes": self.stakes,
                "phases": {
                    name: {d: self.recorder.counters[i, d].to_json() for d in self.producers}
                    for i, name in enumerate(names)
                },
                "offset_not_monotonic": sum(p.book.not_monotonic for p in self.producers.values()),
                "unmatched_receipts": max(missing, 0),
                "max_gap_ms": {
                    name: {
                        d: self.recorder.max_gap_us[i, d] / 1000
                        for d in self.producers
                        if (i, d) in self.recorder.max_gap_us
                    }
                    for i, name in enumerate(names)
                },
                "gaps": [gap for p in self.producers.values() for gap in p.book.watch.gaps],
                "acked_below_known": sum(p.book.watch.acked_below_known for p in self.producers.values()),
                **self.observer.transactions.to_json(),
                "ends_from_future": self.observer.ends_from_future,
                "last_ended_us": {names[i]: us for i, us in self.recorder.last_ended_us.items()},
                "cpu_s": _cpu_s() - self._cpu_before_s,
                "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "errors": [text for p in self.producers.values() for text in p.events.errors[-20:]],
                "trips": self._trips.to_json(),
                "examples": [text for p in self.producers.values() for text in p.book.examples],
            },
        )

    def _phases(self, starts: list[int], end: int) -> list[dict[str, Any]]:
        return [
            {
                "name": phase.name,
                "kind": phase.kind,
                "start_us": start,
                "end_us": stop,
                "target_eps": {domain: traffic.rate_eps * phase.load for domain, traffic in self.plan.traffic.items()},
            }
            for phase, start, stop in zip(self.plan.phases, starts, [*starts[1:], end], strict=True)
        ]


def _fuzzed(plan: LoadPlan) -> dict[str, FuzzedEvents | None]:
    """What makes the fuzzed events of each domain that has some; who has none need not load Hypothesis."""
    if not any(traffic.fuzz for traffic in plan.traffic.values()):
        return dict.fromkeys(plan.traffic)
    from necp_validate.fuzz.loading import FuzzedEvents

    return {
        domain: FuzzedEvents(Domain(domain), str(plan.seed)) if traffic.fuzz else None
        for domain, traffic in plan.traffic.items()
    }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
