"""A small run in memory: real events, a log, acks, an event core and a reader, on a clock of their own.

No Kafka is involved, but all the accounting is that of a real run: events are encoded and decoded by the contract,
acks and receipts are joined by the load's recorder, the log is read back by the reader's accounting, and what comes
of it is written to a run directory and judged from there. Between its stages a run can be given a defect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from zlib import crc32

from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.ledger import LedgerRecord
from necp_validate.events.receipts import Outcome
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.record import BrokerSample, CoreShutdown, Drain, SecurityRound
from necp_validate.selftest.attempts import rounds_under_fault, sound_round
from necp_validate.selftest.auditing import Audited
from necp_validate.selftest.course import BREAK, STALL, START_US, Course
from necp_validate.selftest.ledger import ledger_of
from necp_validate.selftest.limiting import Limiting
from necp_validate.selftest.monitoring import Monitored
from necp_validate.selftest.playing import Played, played

PARTITIONS = 2
CHEAT_EVERY, POISON_EVERY = 100, 150
ACK_US, HANDLED_US = 4_000, 9_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPhase:
    """A phase of the simulated run; ``load`` multiplies the number of servers."""

    name: str
    kind: str
    start_us: int
    duration_s: int
    load: int

    @property
    def end_us(self) -> int:
        """Its end on the run's clock."""
        return self.start_us + self.duration_s * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTraffic:
    """Traffic of a domain: ``servers`` streams that each send ``run_length`` events ``tick_hz`` times a second."""

    servers: int
    run_length: int
    tick_hz: int

    @property
    def rate_eps(self) -> int:
        """Events per second at load 1."""
        return self.servers * self.run_length * self.tick_hz


PHASES = (
    SimulatedPhase(name="steady", kind="steady", start_us=START_US, duration_s=20, load=1),
    SimulatedPhase(name="surge", kind="surge", start_us=START_US + 20_000_000, duration_s=10, load=2),
)
DRAIN = Drain(phase_end_us=PHASES[-1].end_us, lag_at_end=40, drained_us=PHASES[-1].end_us, drain_s=0.1)
SHUTDOWN = CoreShutdown(exit_code=0, seconds=1.5, healthy_before=True)
BROKER = BrokerSample(t=START_US / 1e6, broker="1", rss_bytes=1.2e9, read_ios=5, write_ios=120)
TRAFFIC: Mapping[Domain, SimulatedTraffic] = {
    Domain.COMBAT: SimulatedTraffic(servers=3, run_length=10, tick_hz=2),
    Domain.ECONOMY: SimulatedTraffic(servers=2, run_length=5, tick_hz=1),
    Domain.SOCIAL: SimulatedTraffic(servers=2, run_length=5, tick_hz=1),
    Domain.SYSTEM: SimulatedTraffic(servers=2, run_length=5, tick_hz=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event as its game server sends it."""

    domain: Domain
    stream: str
    key: str
    seq: int
    kind: SampleKind
    ts_us: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An event as it lies in the log."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    sent: Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What the producer was told of an event."""

    sent: Sent
    partition: int
    offset: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What the event core did with a record."""

    domain: Domain
    partition: int
    offset: int
    outcome: Outcome
    done_us: int
    instance: str = "core-0"


class Stage(IntEnum):
    """After which stage a defect is seeded."""

    PLANNED = 0
    SENT = 1
    APPENDED = 2
    ACKED = 3
    HANDLED = 4
    READ = 5


@dataclass(slots=True)
class Simulation:
    """One simulated run; every stage fills its part from the one before.

    Args:
        plan: every event that is scheduled, in order of time.
        sent: those that the client took.
        log: records per domain and partition, in order of offset.
        acks: in order of time.
        handled: in order of time.
        read: what the fresh reader gets, per domain, in the order it gets it.
        dead_letters: records per dead-letter topic.
        ledger: what the event core booked of the economy's events.
        shown: offsets by economy partition whose outcome a reader of committed records saw, and which then was gone.
        precommitted: receipts that were shown before their transaction had ended.
        dealt_too_much: damage beyond what the model has.
        course: faults, and what became of groups and leaders under them.
        played: what the players saw of the gateway.
        attempts: what was tried that must be refused.
        attempts_under_fault: the same, while a broker was down and afterwards.
        audited: the audit trail.
        limiting: what limits and circuit breakers did.
        monitored: what a Prometheus saw of it.
        lost_events: of a second load worker that was lost: events that it may have sent; none if there is only one.
    """

    plan: list[Sent]
    sent: list[Sent] = field(default_factory=list)
    log: dict[tuple[Domain, int], list[Record]] = field(default_factory=dict)
    acks: list[Ack] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    read: dict[Domain, list[Record]] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    ledger: list[LedgerRecord] = field(default_factory=list)
    shown: dict[int, tuple[int, int]] = field(default_factory=dict)
    precommitted: int = 0
    dealt_too_much: int = 0
    course: Course = field(default_factory=Course)
    played: Played = field(default_factory=played)
    attempts: SecurityRound = field(default_factory=sound_round)
    attempts_under_fault: tuple[SecurityRound, ...] = field(default_factory=rounds_under_fault)
    audited: Audited = field(default_factory=Audited)
    limiting: Limiting = field(default_factory=Limiting)
    monitored: Monitored = field(default_factory=Monitored)
    lost_events: int = 0
    drain: Drain = DRAIN
    shutdown: CoreShutdown = SHUTDOWN
    broker: BrokerSample = BROKER

    def go(self, stage: Stage | None = None, seed: Callable[[Simulation], None] | None = None) -> None:
        """Go through all stages; ``seed`` spoils the run after one of them."""
        steps = (self._plan, self._send, self._append, self._acknowledge, self._handle, self._read)
        for now, step in zip(Stage, steps, strict=True):
            step()
            if now is stage and seed is not None:
                seed(self)

    def _plan(self) -> None:
        """The plan is given; a defect may still change it."""

    def _send(self) -> None:
        self.sent = list(self.plan)

    def _append(self) -> None:
        for event in self.sent:
            self.append(event)

    def append(self, event: Sent) -> Record:
        """Append an event to its partition of the log."""
        partition = crc32(event.key.encode()) % PARTITIONS
        records = self.log.setdefault((event.domain, partition), [])
        offset = records[-1].offset + 1 if records else 0
        key = event.key.encode()
        record = Record(partition=partition, offset=offset, key=key, value=event.value, sent=event)
        records.append(record)
        return record

    def records(self) -> Iterator[Record]:
        """Every record of the log, by partition and offset."""
        for records in self.log.values():
            yield from records

    def _acknowledge(self) -> None:
        acks = [
            Ack(sent=r.sent, partition=r.partition, offset=r.offset, at_us=_due_us(r) + ACK_US) for r in self.records()
        ]
        self.acks = sorted(acks, key=lambda ack: ack.at_us)

    def _handle(self) -> None:
        done = [one for records in self.log.values() for one in _handled(records)]
        self.handled = sorted(done, key=lambda one: (one.done_us, one.domain, one.partition, one.offset))
        self.ledger = ledger_of(self)
        for domain in TRAFFIC:
            dead = sum(h.outcome is Outcome.DEAD_LETTERED for h in done if h.domain is domain)
            self.dead_letters[domain.dead_letter_topic] = dead

    def _read(self) -> None:
        for domain in TRAFFIC:
            self.read[domain] = [record for record in self.records() if record.sent.domain is domain]


def _handled(records: list[Record]) -> Iterator[Handled]:
    """A partition's records are handled in their order, whatever time they bear."""
    done_us = 0
    for r in records:
        done_us = max(done_us, _read_us(r) + HANDLED_US)
        yield Handled(
            domain=r.sent.domain, partition=r.partition, offset=r.offset, outcome=outcome_of(r), done_us=done_us
        )


def _due_us(record: Record) -> int:
    """When a record was written: when it was sent, but for the partition that has no leader for a while."""
    ts_us, (begin_us, end_us) = record.sent.ts_us, STALL
    stalled = record.sent.domain is Domain.COMBAT and record.partition == 0 and begin_us <= ts_us < end_us
    return end_us if stalled else ts_us


def _read_us(record: Record) -> int:
    """When the event core reads a record: at once, but for the domain whose circuit breaker is open."""
    due_us, (begin_us, end_us) = _due_us(record), BREAK
    return end_us if record.sent.domain is Domain.SYSTEM and begin_us <= due_us < end_us else due_us


def outcome_of(record: Record) -> Outcome:
    """What a sound event core does with a record."""
    try:
        decode(record.value)
    except InvalidEvent:
        return Outcome.DEAD_LETTERED
    return Outcome.REJECTED if record.sent.kind == "cheat" else Outcome.PROCESSED


def new_simulation() -> Simulation:
    """A sound simulated run, not gone through yet."""
    return Simulation(plan=list(_plan()))


@lru_cache(maxsize=1)
def _plan() -> tuple[Sent, ...]:
    """The events of all phases: encoded once, since every simulated run sends the same."""
    plan: list[Sent] = []
    for domain, traffic in TRAFFIC.items():
        rng = random.Random(f"selftest/{domain}")
        sequence: dict[int, int] = {}
        number = 0
        for ts_us, server in sorted(_ticks(traffic)):
            for _ in range(traffic.run_length):
                number += 1
                seq = sequence[server] = sequence.get(server, -1) + 1
                plan.append(_event(domain, server, seq, ts_us, _kind(domain, number), rng))
    return tuple(sorted(plan, key=lambda event: event.ts_us))


def _ticks(traffic: SimulatedTraffic) -> Iterator[tuple[int, int]]:
    interval_us = 1_000_000 // traffic.tick_hz
    for phase in PHASES:
        servers = traffic.servers * phase.load
        for server in range(servers):
            offset_us = interval_us * (2 * server + 1) // (2 * servers)
            for tick in range(phase.duration_s * traffic.tick_hz):
                yield phase.start_us + offset_us + tick * interval_us, server


def _kind(domain: Domain, number: int) -> SampleKind:
    if domain is Domain.COMBAT and number % CHEAT_EVERY == CHEAT_EVERY // 2:
        return "cheat"
    return "poison" if number % POISON_EVERY == POISON_EVERY // 2 else "valid"


def _event(domain: Domain, server: int, seq: int, ts_us: int, kind: SampleKind, rng: random.Random) -> Sent:
    stream = f"5e1f{domain.number:02x}{server:02x}"
    key = f"{domain}-{server:04d}"
    name, version, data = sample_event(domain, rng, kind=kind)
    value = seal(head(name, version, key=key, data=data), ts_us, event_id(stream, seq))
    return Sent(domain=domain, stream=stream, key=key, seq=seq, kind=kind, ts_us=ts_us, value=value)
