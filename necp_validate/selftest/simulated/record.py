"""The record that a real run with the simulated course of events would have left, made by the code for real ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from necp_validate.events.receipts import Receipt
from necp_validate.events.topics import Domain
from necp_validate.ledger.drain import drain_of
from necp_validate.record import HdrHistogram, LagSample, LoadRecord, MonitoringRecord, Readback, parts
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.model import Drain, last_end_us
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.simulated.accounts import (
    Accounted,
    accounted,
    drill_records,
    gateway_record,
    lost_record,
    worker_records,
)
from necp_validate.selftest.simulated.audit import audit_log, audit_record
from necp_validate.selftest.simulated.cluster import due, seconds
from necp_validate.selftest.simulated.reading import read_back, receipts_of
from necp_validate.selftest.simulated.scenario import PHASES, SURGE, at
from necp_validate.selftest.simulated.simulation import Simulation, written_us

_OUTCOMES: Final = ("handled", "log", "dealt_too_much")
_ACCOUNTS: Final = ("plan", "sent", "acks", "refused", "shown", "precommitted", "writes_later_us", *_OUTCOMES)
_READ: Final = ("plan", "read", "ledger", "dead_letters", "letters_altered", "course", "writes_later_us", *_OUTCOMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is worked out of a simulation, each of it as a part of a real run does it.

    Args:
        simulation: gone through.
        receipts: of the event core.
        workers: the load workers' accounts.
        drills: records of what drills have sent.
        readback: by the fresh reader.
        lag: consumer lag.
        audit: what was read of the audit trail.
        monitoring: what Prometheus has seen.
    """

    simulation: Simulation
    receipts: list[Receipt]
    workers: list[Accounted]
    drills: list[LoadRecord]
    readback: Readback
    lag: list[LagSample]
    audit: AuditRecord
    monitoring: MonitoringRecord

    def contents(self) -> Contents:
        """The parts of its record."""
        run, lost = self.simulation, self.simulation.lost_worker
        heard = [one for one in self.workers if one.record.worker != lost]
        return {
            parts.RUN: run.run,
            parts.DUE: due(),
            parts.PHASES: list(PHASES),
            parts.WORKERS: worker_records(lost),
            parts.LOADS: [lost_record(w, at(1)) if w.record.worker == lost else self._load(w) for w in self.workers],
            parts.LATENCY: {one.record.worker: one.recorder.histograms_by_phase() for one in heard},
            parts.TIMELINE: {one.record.worker: one.rows for one in heard},
            parts.LAG: self.lag,
            parts.READBACK: self.readback,
            parts.MONITORING: self.monitoring,
            parts.DRILL_LOADS: self.drills,
            parts.GATEWAY_RECORD: gateway_record(run),
            parts.COLLECTOR_RECORD: CollectorRecord(streams=()),
            parts.AUDIT: self.audit,
            parts.PLAYERS: [run.played.record],
            parts.PLAYERS_LATENCY: {run.played.record.worker: run.played.latency},
            parts.PLAYERS_TIMELINE: {run.played.record.worker: run.played.rows},
            parts.FAULTS: run.course.faults,
            parts.EXPERIMENTS: run.course.outcomes,
            parts.GROUPS: run.course.groups,
            parts.LEADERS: run.course.leaders,
            parts.PASSWORD_CHANGES: run.course.password_changes,
            parts.CORE_STOPS: run.course.core_stops,
            parts.CERTIFICATE_SWAPS: run.course.certificate_swaps,
            parts.SECURITY: run.rounds,
            parts.ALERTS: run.monitored.rows(),
            parts.FLOODS: [run.limiting.flood],
            parts.BREAKERS: run.limiting.breakers,
            parts.HOST: run.host,
            parts.BROKERS: run.brokers,
            parts.ISR: run.isr,
            parts.TOPIC_CONFIGURATIONS: run.topics,
            parts.SUITE_FAILURES: run.suite_failures,
            parts.DRAIN: self._drain(),
            parts.CORE_SHUTDOWN: run.shutdown,
            parts.GATEWAY_SHUTDOWN: run.gateway_shutdown,
        }

    def _load(self, worker: Accounted) -> LoadRecord:
        """A worker's record, with the end of its last event of the surge as late as it is to be."""
        ended, later_s = worker.record.last_ended_us or {}, self.simulation.drains_later_s
        if SURGE.name not in ended or not later_s:
            return worker.record
        return replace(
            worker.record, last_ended_us={**ended, SURGE.name: ended[SURGE.name] + round(later_s * 1_000_000)}
        )

    def _drain(self) -> Drain:
        never = self.simulation.drains_later_s is None
        last_us = None if never else last_end_us(map(self._load, self.workers), SURGE.name)
        return drain_of(self.lag, SURGE.end_us, last_us)


def recorded(simulation: Simulation, like: Recorded | None = None) -> Recorded:
    """Work out what a simulation leaves.

    Args:
        simulation: gone through.
        like: of another simulation: what rests on nothing that differs is taken from there.
    """

    def same(*names: str) -> Recorded | None:
        unchanged = like is not None and all(getattr(simulation, n) == getattr(like.simulation, n) for n in names)
        return like if unchanged else None

    of = same(*_OUTCOMES)
    receipts = of.receipts if of else list(receipts_of(simulation))
    of = same(*_ACCOUNTS)
    workers = of.workers if of else accounted(simulation, receipts)
    of = same("log", "handled")
    lag = of.lag if of else list(_lag(simulation))
    of = same(*_READ)
    readback = of.readback if of else read_back(simulation, receipts)
    of = same("sent", "acks")
    drills = of.drills if of else drill_records(simulation)
    of = same("audited", "rounds")
    of = of if of and audit_log(simulation) == audit_log(of.simulation) else None
    audit = of.audit if of else audit_record(simulation)
    monitoring = simulation.monitored.record(readback, _ends(workers), [simulation.limiting.flood], lag)
    return Recorded(
        simulation=simulation,
        receipts=receipts,
        workers=workers,
        drills=drills,
        readback=readback,
        lag=lag,
        audit=audit,
        monitoring=monitoring,
    )


def _ends(workers: list[Accounted]) -> dict[str, HdrHistogram]:
    """End-to-end latencies by domain."""
    found: dict[str, HdrHistogram] = {}
    for worker in workers:
        for (_, domain, kind), histogram in worker.recorder.histograms.items():
            if kind == "e2e":
                found.setdefault(domain, HdrHistogram()).merge(histogram)
    return found


def _lag(simulation: Simulation) -> Iterator[LagSample]:
    """Events written and not yet handled, every other second."""
    written: dict[Domain, list[int]] = {domain: [] for domain in Domain}
    done: dict[Domain, list[int]] = {domain: [] for domain in Domain}
    for record in simulation.records():
        written[record.sent.domain].append(written_us(record))
    for one in simulation.handled:
        done[one.domain].append(one.done_us)
    for times in (*written.values(), *done.values()):
        times.sort()
    for t in seconds(2):
        for domain in Domain:
            lag = bisect_right(written[domain], t * 10**6) - bisect_right(done[domain], t * 10**6)
            yield LagSample(t=t, domain=domain.value, lag=max(lag, 0))
