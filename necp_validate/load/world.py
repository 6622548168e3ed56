"""Everything the users of one load process share: producers, recorder, schedules, and the history they leave."""

from __future__ import annotations

import resource
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from necp_validate.clients.observer import ReceiptObserver
from necp_validate.clients.producer import EventProducer
from necp_validate.clients.trips import RoundTrips
from necp_validate.events.topics import Domain
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import load_record
from necp_validate.ledger.stream_account import StreamAccount
from necp_validate.load.passwords import PasswordFile
from necp_validate.load.plan import LoadPlan, PlannedPhase
from necp_validate.load.shares import schedules_of, share_of
from necp_validate.load.traffic import Flush, FlushPool, key_of, stream_id
from necp_validate.record import parts
from necp_validate.record.model import LoadRecord, Phase, StreamRecord, TimelineRow
from necp_validate.record.writer import Appender

if TYPE_CHECKING:
    from necp_validate.fuzz.loading import FuzzedEvents

#: Properties whose values decide what a producer may lose, double or reorder.
GUARANTEES = ("acks", "enable.idempotence", "max.in.flight.requests.per.connection", "retries", "message.timeout.ms")


class Server:
    """One game server: a stream of events, the flushes that it sends, and when they are due (epoch)."""

    __slots__ = ("domain", "due_us", "flushes", "stream")

    def __init__(self, domain: Domain, stream: StreamAccount, flushes: FlushPool, due_us: Iterator[int]) -> None:
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
        self.report: Callable[[list[TimelineRow]], object] = list  # told every timeline row
        self.planted = {domain: {"cheat": 0, "poison": 0, "fuzz": 0} for domain in plan.traffic}
        self.expected_totals: dict[str, dict[str, int]] = {domain: {} for domain in plan.traffic}
        self.schedules = schedules_of(plan)
        self._servers: list[Server] = []
        self.finished = 0
        fuzzed = _fuzzed(plan)
        most = {domain: schedule.most_servers for domain, schedule in self.schedules.items()}
        self._prepared = {
            domain: {
                server: FlushPool(Domain(domain), plan.traffic[domain], server, plan, fuzzed[domain])
                for server in numbers
            }
            for domain, numbers in share_of(most, worker, plan.processes).items()
        }
        self.recorder: Recorder
        self.producers: dict[str, EventProducer]
        self._passwords: list[PasswordFile] = []
        self.observer: ReceiptObserver
        self._run_dir = Path(plan.run_dir)
        self._trips = RoundTrips()
        self._timeline: Appender[TimelineRow]

    def open(self, start_us: int) -> None:
        """Connect, and begin the history; ``start_us`` (epoch) is second 0 of the schedule."""
        self.start_us = start_us
        self._cpu_before_s = _cpu_s()
        starts = self._phase_starts_us
        self.recorder = Recorder([p.name for p in self.plan.phases], starts, list(self.plan.traffic))
        self.producers = {
            domain: EventProducer(
                domain, traffic.topic, traffic.client, self.recorder, at_once_one_in=traffic.at_once_one_in
            )
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
        self._timeline = parts.TIMELINE.open(self._run_dir, self.name)

    @property
    def _phase_starts_us(self) -> list[int]:
        lengths = (round(phase.duration_s * 1e6) for phase in self.plan.phases)
        return list(accumulate(lengths, initial=self.start_us))[:-1]

    @property
    def end_us(self) -> int:
        """When the last phase ends (epoch)."""
        return self.start_us + round(self.plan.duration_s * 1e6)

    def claim(self, wanted: Domain) -> Server | None:
        """Give a user the server that plays first of those that nobody has, or None if there is none left.

        Of several, one of the user's own domain; but Locust knows nothing of shares, and a worker may get a user of one
        domain when what it needs is one of another.
        """
        left = [(domain, number) for domain, numbers in self._prepared.items() for number in numbers]
        if not left:
            return None
        name, number = min(left, key=lambda one: (self._begin_s(*one), one[0] != wanted, one[1]))
        domain = Domain(name)
        flushes = self._prepared[domain].pop(number)
        stream = self.producers[domain].book.open_stream(
            stream_id(self.plan.run_id, domain, number), key_of(domain, number)
        )
        server = Server(domain, stream, flushes, self._due_us(domain, number))
        self._servers.append(server)
        return server

    def _begin_s(self, domain: str, number: int) -> float:
        return next((start for start, _ in self.schedules[domain].active(number)), inf)

    def _due_us(self, domain: Domain, number: int) -> Iterator[int]:
        return (self.start_us + int(due_s * 1e6) for due_s in self.schedules[domain].flushes(number))

    def flush(self, server: Server, intended_us: int) -> None:
        """Send a server's next flush."""
        phase = self.plan.phases[self.recorder.phase_of(intended_us)]
        flush = server.flushes.next(phase.poison_share)
        self.producers[server.domain].send(server.stream, flush.template, intended_us)
        self._plant(server.domain, flush)
        expected_totals = self.expected_totals[server.domain]
        for name, amount in flush.expected_totals.items():
            expected_totals[name] = expected_totals.get(name, 0) + amount

    def _plant(self, domain: str, flush: Flush) -> None:
        planted = self.planted[domain]
        planted["cheat"] += flush.cheats
        planted["poison"] += flush.poison
        planted["fuzz"] += flush.fuzzed

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
            password.look(self._run_dir, self.name)

    def write_rows(self) -> None:
        """Append the timeline rows of the last second, and report them."""
        now_us = time.time_ns() // 1000
        phase = self.recorder.phase_names[self.recorder.phase_of(now_us)]
        for domain, producer in self.producers.items():
            if (statistics := producer.events.take_stats()) is not None:
                self._trips.add(phase, domain, statistics)
        rows = [self.recorder.row(domain, now_us) for domain in self.producers]
        self._timeline.write(*rows)
        self.report(rows)

    @property
    def outstanding(self) -> int:
        """Events handed to the clients and not yet answered."""
        return sum(producer.queued for producer in self.producers.values())

    @property
    def waiting(self) -> int:
        """Events acknowledged whose receipt has not been seen, where receipts are expected."""
        return self.observer.join.waiting if self.plan.receipts else 0

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
        self._count_unsent()
        for producer in self.producers.values():
            producer.close()
        self.observer.close()
        self.write_rows()
        self._timeline.close()
        self._write()

    def unknown_record(self, lost_us: int) -> LoadRecord:
        """Return the record of a worker that cannot tell what became of its events: any of them may have been sent.

        Made in a world that never plays, of the worker's own number: the same plan has the same events in it.

        Args:
            lost_us: when it was last heard of (epoch).
        """
        streams = []
        for name, servers in self._prepared.items():
            domain, traffic = Domain(name), self.plan.traffic[name]
            for number, flushes in servers.items():
                due = [self._phase_at(intended_us) for intended_us in self._due_us(domain, number)]
                for phase in due:
                    self._plant(name, flushes.next(phase.poison_share))
                sent = len(due) * traffic.run_length
                streams.append(
                    StreamRecord.unheard(
                        stream_id(self.plan.run_id, domain, number),
                        domain=name,
                        topic=traffic.topic,
                        key=key_of(domain, number),
                        sent=sent,
                    )
                )
        return LoadRecord(
            worker=self.name,
            streams=tuple(streams),
            guarantees={domain: _guarantees(traffic.client) for domain, traffic in self.plan.traffic.items()},
            planted=self.planted,
            lost_us=lost_us,
        )

    def _phase_at(self, intended_us: int) -> PlannedPhase:
        return self.plan.phases[max(bisect_right(self._phase_starts_us, intended_us) - 1, 0)]

    def _write(self) -> None:
        parts.LATENCY.write(self._run_dir, self.name, self.recorder.histograms_by_phase())
        record = load_record(
            self.name,
            [producer.book for producer in self.producers.values()],
            self.recorder,
            guarantees={domain: _guarantees(producer.config) for domain, producer in self.producers.items()},
            planted=self.planted,
            sees_outcomes=self.plan.receipts,
        )
        transactions = self.observer.transactions
        record = replace(
            record,
            expected_totals=self.expected_totals,
            outcomes_seen=transactions.outcomes_seen(),
            precommitted_reads=transactions.precommitted_reads,
            ends_from_future=self.observer.join.ends_from_future,
            cpu_s=_cpu_s() - self._cpu_before_s,
            max_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            errors=tuple(text for producer in self.producers.values() for text in producer.events.errors[-20:]),
            trips=self._trips.by_phase(),
        )
        parts.LOADS.write(self._run_dir, record)

    def save_phases(self) -> None:
        """Write down when each phase is, as everybody else in the run needs to know."""
        starts = self._phase_starts_us
        parts.PHASES.write(
            self._run_dir,
            (
                Phase(
                    name=phase.name,
                    kind=phase.kind,
                    start_us=start,
                    end_us=stop,
                    target_eps={name: traffic.rate_eps * phase.load for name, traffic in self.plan.traffic.items()},
                )
                for phase, start, stop in zip(self.plan.phases, starts, [*starts[1:], self.end_us], strict=True)
            ),
        )


def _guarantees(config: Mapping[str, str]) -> dict[str, str]:
    return {key: config[key] for key in GUARANTEES if key in config}


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
