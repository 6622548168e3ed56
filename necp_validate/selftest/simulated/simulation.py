"""The simulated run: events scheduled, sent, appended, acknowledged, handled and read, on a clock of their own.

No Kafka is involved, but all the accounting is that of a real run: events are encoded and decoded by the contract,
acks and receipts are joined by the load's recorder, the log is read back by the reader's accounting, and what comes
of it is written to a run directory and judged from there. Between its stages a run can be given a defect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import IntEnum
from typing import TypeVar

from necp_validate.events.ledger import LedgerRecord
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.record import (
    BrokerSample,
    CoreShutdown,
    HostSample,
    IsrSample,
    RunInfo,
    SecurityRound,
    TopicConfiguration,
)
from necp_validate.record.suite_failures import SuiteFailure
from necp_validate.selftest.simulated.attempts import sound_rounds
from necp_validate.selftest.simulated.audit import Audited
from necp_validate.selftest.simulated.cluster import (
    STALLED,
    broker_samples,
    host_samples,
    isr_samples,
    partition_of,
    topic_rows,
)
from necp_validate.selftest.simulated.faults import BREAK, STALL, Course
from necp_validate.selftest.simulated.ledger import ledger_of
from necp_validate.selftest.simulated.limits import Limiting
from necp_validate.selftest.simulated.log import Ack, Handled, Record, Sent, outcome_of
from necp_validate.selftest.simulated.monitoring import Monitored
from necp_validate.selftest.simulated.plan import plan
from necp_validate.selftest.simulated.players import Played, played
from necp_validate.selftest.simulated.scenario import RUN_ID, SCENARIO, TRAFFIC, finished_run

T = TypeVar("T")

ACK_US, HANDLED_US = 4_000, 9_000


class Stage(IntEnum):
    """After which stage a defect is seeded."""

    PLANNED = 0
    SENT = 1
    APPENDED = 2
    ACKED = 3
    HANDLED = 4
    READ = 5


@dataclass(slots=True, kw_only=True)
class Simulation:
    """One simulated run; every stage fills its part from the one before.

    Args:
        run: what it says of itself.
        plan: every event that is scheduled, in order of time.
        course: faults, and what became of groups and leaders under them.
        played: what the players saw of the gateway.
        rounds: what was tried that must be refused, round by round.
        audited: the audit trail.
        limiting: what limits and circuit breakers did.
        monitored: what a Prometheus saw of it.
        writes_later_us: by how much later than it says its end was, the core writes an outcome of combat.
        drains_later_s: by how much later the last event of the surge ended than the others say; None: it never did.
        shutdown, gateway_shutdown: how it ended.
        host, brokers, isr: samples.
        topics: descriptions of the topics.
        suite_failures: parts of the suite that ended early.
        sent: those that the client took.
        log: records per domain and partition, in order of offset.
        acks: in order of time.
        handled: in order of time.
        read: what the fresh reader gets, per domain, in the order it gets it.
        dead_letters: records per dead-letter topic.
        letters_altered: how many of each are not what was sent.
        ledger: what the event core booked of the economy's events.
        shown: offsets by economy partition whose outcome a reader of committed records saw, and which then was gone.
        precommitted: receipts that were shown before their transaction had ended.
        dealt_too_much: damage beyond what the model has.
        refused: stream and number of events that were reported as refused by a broker.
        uses_new_partitions: whether senders learn of partitions that are added.
        lost_worker: a load worker that was lost; empty if none was.
    """

    run: RunInfo
    plan: list[Sent]
    course: Course
    played: Played
    rounds: list[SecurityRound]
    audited: Audited
    limiting: Limiting
    monitored: Monitored
    shutdown: CoreShutdown
    gateway_shutdown: CoreShutdown
    host: list[HostSample]
    brokers: list[BrokerSample]
    isr: list[IsrSample]
    topics: list[TopicConfiguration]
    suite_failures: list[SuiteFailure]
    sent: list[Sent]
    log: dict[tuple[Domain, int], list[Record]]
    acks: list[Ack]
    handled: list[Handled]
    read: dict[Domain, list[Record]]
    dead_letters: dict[str, int]
    ledger: list[LedgerRecord]
    shown: dict[int, tuple[int, int]]
    drains_later_s: float | None = 0.0
    writes_later_us: int = 0
    precommitted: int = 0
    letters_altered: int = 0
    dealt_too_much: int = 0
    refused: frozenset[tuple[str, int]] = frozenset()
    uses_new_partitions: bool = True
    lost_worker: str = ""

    def copy(self) -> Simulation:
        """Another one that can be changed: lists and tables are its own, what lies in them is never changed."""
        return replace(self, **{one.name: _copied(getattr(self, one.name)) for one in fields(self)})

    def go(self, after: Stage) -> None:
        """Go through the stages that come after one."""
        for stage, step in self._steps():
            if stage > after:
                step()

    def through(self) -> Iterator[tuple[Stage, Simulation]]:
        """Go through all stages; yields what there is after each."""
        for stage, step in self._steps():
            step()
            yield stage, self.copy()

    def _steps(self) -> Iterator[tuple[Stage, Callable[[], None]]]:
        steps = (self._plan, self._send, self._append, self._acknowledge, self._handle, self._read)
        return zip(Stage, steps, strict=True)

    def _plan(self) -> None:
        """The plan is given; a defect may still change it."""

    def _send(self) -> None:
        self.sent = list(self.plan)

    def _append(self) -> None:
        self.log = {}
        for event in self.sent:
            self.append(event)

    def append(self, event: Sent) -> Record:
        """Append an event to its partition of the log."""
        partition = partition_of(event.domain, event.key, event.ts_us if self.uses_new_partitions else 0)
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
            Ack(sent=r.sent, partition=r.partition, offset=r.offset, at_us=written_us(r) + ACK_US)
            for r in self.records()
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


def _copied(value: T) -> T:
    """A list, a table of them, or what has some, that can be changed without changing the one that is given."""
    copied: object = value
    if isinstance(value, list):
        copied = list(value)
    elif isinstance(value, dict):
        copied = {key: _copied(one) for key, one in value.items()}
    elif isinstance(value, (Course, Audited, Limiting, Monitored)) and is_dataclass(value):
        copied = replace(value, **{one.name: _copied(getattr(value, one.name)) for one in fields(value)})
    return copied  # type: ignore[return-value]  # of the same type


def _handled(records: list[Record]) -> Iterator[Handled]:
    """A partition's records are handled in their order, whatever time they bear."""
    done_us = 0
    for r in records:
        done_us = max(done_us, _read_us(r) + HANDLED_US)
        yield Handled(
            domain=r.sent.domain, partition=r.partition, offset=r.offset, outcome=outcome_of(r), done_us=done_us
        )


def written_us(record: Record) -> int:
    """When a record was written: when it was sent, but for the partition that has no leader for a while."""
    ts_us, (begin_us, end_us) = record.sent.ts_us, STALL
    stalled = record.sent.domain is Domain.COMBAT and record.partition == STALLED and begin_us <= ts_us < end_us
    return end_us if stalled else ts_us


def _read_us(record: Record) -> int:
    """When the event core reads a record: at once, but for the domain whose circuit breaker is open."""
    due_us, (begin_us, end_us) = written_us(record), BREAK
    return end_us if record.sent.domain is Domain.SYSTEM and begin_us <= due_us < end_us else due_us


def new_simulation() -> Simulation:
    """A sound simulated run, not gone through yet."""
    return Simulation(
        run=finished_run(RUN_ID, SCENARIO.name, SCENARIO.to_config()),
        plan=list(plan()),
        course=Course(),
        played=played(),
        rounds=sound_rounds(),
        audited=Audited(),
        limiting=Limiting(),
        monitored=Monitored(),
        shutdown=CoreShutdown(exit_code=0, seconds=1.5, healthy_before=True),
        gateway_shutdown=CoreShutdown(exit_code=0, seconds=0.7, healthy_before=True),
        host=host_samples(),
        brokers=broker_samples(),
        isr=isr_samples(),
        topics=topic_rows(),
        suite_failures=[],
        sent=[],
        log={},
        acks=[],
        handled=[],
        read={},
        dead_letters={},
        ledger=[],
        shown={},
    )
