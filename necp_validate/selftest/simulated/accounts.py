"""The senders' accounts of a simulated run, kept by the code that keeps those of real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import numpy as np

from necp_validate.clients.flush import MAX_FLUSH
from necp_validate.clients.rdkafka import Deliveries
from necp_validate.events.expected_totals import expected_totals_of
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.events.topics import Domain
from necp_validate.ledger.latency import Recorder
from necp_validate.ledger.producer_account import ProducerAccount, load_record
from necp_validate.ledger.receipt_join import ReceiptJoin
from necp_validate.ledger.stream_account import AckedOffsets, StreamAccount
from necp_validate.ledger.transactions import TransactionWatch
from necp_validate.record import LoadRecord, StreamRecord, TimelineRow
from necp_validate.record.gateway import GatewayRecord, OwnStream
from necp_validate.record.workers import ClockEstimate, WorkerRecord
from necp_validate.security.sending import DrillStream, drill_record
from necp_validate.selftest.simulated.cluster import partition_of, seconds
from necp_validate.selftest.simulated.faults import FLOOD, POISON
from necp_validate.selftest.simulated.log import Ack, Sent
from necp_validate.selftest.simulated.plan import (
    GATEWAY,
    GATEWAY_STREAM,
    WORKER_OF,
    WORKERS,
    flood_streams,
    poison_streams,
)
from necp_validate.selftest.simulated.reading import appended_us, receipt_of
from necp_validate.selftest.simulated.scenario import PHASES, SCENARIO, at
from necp_validate.selftest.simulated.simulation import ACK_US, Simulation

GUARANTEES: Final = {"acks": "all", "enable.idempotence": "true", "max.in.flight.requests.per.connection": "5"}
_QUEUE_FULL, _TOO_LARGE = -184, 10
_LATE_US = 300
_RETRIED_US = 4_000_000
"""How often receipts that have overtaken their acks are looked at again."""

_Key = tuple[str, int]
"""A stream and a number in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """What a load worker leaves.

    Args:
        record: what it sent, and what became of it.
        recorder: its latencies.
        rows: of its timeline.
    """

    record: LoadRecord
    recorder: Recorder
    rows: tuple[TimelineRow, ...]


def accounted(simulation: Simulation, receipts: Sequence[Receipt]) -> list[Accounted]:
    """Let every load worker do its part.

    Args:
        simulation: gone through.
        receipts: of its event core, in order.
    """
    return [_Worker(simulation, name).play(receipts) for name in WORKERS]


class _Worker:
    """The accounts of one load worker, one for each domain, told in order of time what happened."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        names, starts = [phase.name for phase in PHASES], [phase.start_us for phase in PHASES]
        self.name = name
        self.domains = [domain for domain, worker in WORKER_OF.items() if worker == name]
        self.recorder = Recorder(names, starts, [str(domain) for domain in self.domains])
        self.accounts = {
            domain: ProducerAccount(
                str(domain), domain.topic, self.recorder, at_once_one_in=SCENARIO.receipted_at_once.get(domain, 0)
            )
            for domain in self.domains
        }
        self.join = ReceiptJoin(self.recorder, {str(domain): of for domain, of in self.accounts.items()})
        self.transactions = TransactionWatch()
        self._simulation = simulation
        self._sent = [event for event in simulation.sent if event.sender == name]
        self._streams: dict[str, StreamAccount] = {}
        self._opaque: dict[_Key, int] = {}

    def play(self, receipts: Sequence[Receipt]) -> Accounted:
        """Let everything happen, and leave a timeline row every second."""
        happenings = sorted(self._happenings(receipts), key=lambda one: (one[0], one[1]))
        rows: list[TimelineRow] = []
        done = 0
        for now_us in (second * 10**6 for second in [*seconds(), seconds()[-1] + 1]):
            while done < len(happenings) and happenings[done][0] < now_us:
                self._happen(*happenings[done])
                done += 1
            if now_us % _RETRIED_US == 0:
                self.join.retry(now_us)
            rows += [self.recorder.row(str(domain), now_us) for domain in self.domains]
        for happening in happenings[done:]:
            self._happen(*happening)
        now_us = max(happenings[-1][0], now_us)
        self.join.retry(now_us)
        for account in self.accounts.values():
            account.close(now_us)
        rows += [self.recorder.row(str(domain), now_us) for domain in self.domains]
        return Accounted(record=self._record(receipts), recorder=self.recorder, rows=tuple(rows))

    def _happenings(self, receipts: Sequence[Receipt]) -> Iterator[tuple[int, int, Any]]:
        """What happened when: flushes sent, reports come, receipts come."""
        taken = {(event.stream, event.seq) for event in self._sent} | self._simulation.refused
        mine = (event for event in self._simulation.plan if event.sender == self.name)
        for (ts_us, _), flush in groupby(mine, key=lambda event: (event.ts_us, event.stream)):
            yield ts_us, 0, (list(flush), taken)
        acks = [
            ack
            for ack in self._simulation.acks
            if ack.sent.sender == self.name and (ack.sent.stream, ack.sent.seq) not in self._simulation.refused
        ]
        for (at_us, _), reported in groupby(acks, key=lambda ack: (ack.at_us, ack.sent.domain)):
            yield at_us, 1, list(reported)
        for event in self._simulation.plan:
            if event.sender == self.name and (event.stream, event.seq) in self._simulation.refused:
                yield event.ts_us + ACK_US, 2, event
        for receipt in receipts:
            if receipt.domain in self.domains:  # the join leaves those of others out
                yield appended_us(self._simulation, receipt), 3, receipt

    def _happen(self, at_us: int, what: int, of: Any) -> None:
        if what == 0:
            self._send(at_us, *of)
        elif what == 1:
            self._acked(at_us, of)
        elif what == 2:
            self._refused(at_us, of)
        else:
            self.join.saw(of, at_us, at_us)

    def _send(self, ts_us: int, flush: list[Sent], taken: set[_Key]) -> None:
        first = flush[0]
        account, domain = self.accounts[first.domain], str(first.domain)
        phase = self.recorder.phase_of(ts_us)
        self.recorder.count(domain, phase, "scheduled", len(flush))
        if first.stream not in self._streams:
            self._streams[first.stream] = account.open_stream(first.stream, first.key)
        tag, _ = account.begin(self._streams[first.stream], len(flush), ts_us)
        errors = np.array([0 if (e.stream, e.seq) in taken else _QUEUE_FULL for e in flush], dtype=np.int32)
        account.handed_over(tag, errors, int(np.count_nonzero(errors == 0)))
        self.recorder.latency(domain, "late", phase, _LATE_US, len(flush))
        for event in flush:
            if event.kind != "valid":
                self._streams[event.stream].plant(event.kind, [event.seq])
        for place, event in enumerate(flush):
            self._opaque[event.stream, event.seq] = tag * MAX_FLUSH + place

    def _acked(self, at_us: int, acks: list[Ack]) -> None:
        opaque = np.array([self._opaque[ack.sent.stream, ack.sent.seq] for ack in acks], dtype=np.int64)
        report = Deliveries(
            err=np.zeros(len(acks), dtype=np.int32),
            partition=np.array([ack.partition for ack in acks], dtype=np.int64),
            offset=np.array([ack.offset for ack in acks], dtype=np.int64),
            opaque=opaque,
        )
        self.accounts[acks[0].sent.domain].settle(report, at_us)

    def _refused(self, at_us: int, event: Sent) -> None:
        report = Deliveries(
            err=np.array([_TOO_LARGE], dtype=np.int32),
            partition=np.array([partition_of(event.domain, event.key, event.ts_us)], dtype=np.int64),
            offset=np.array([-1], dtype=np.int64),
            opaque=np.array([self._opaque[event.stream, event.seq]], dtype=np.int64),
        )
        self.accounts[event.domain].settle(report, at_us)

    def _record(self, receipts: Sequence[Receipt]) -> LoadRecord:
        planted = {str(domain): {"cheat": 0, "poison": 0, "fuzz": 0} for domain in self.domains}
        for event in self._sent:
            if event.kind != "valid":
                planted[str(event.domain)][event.kind] += 1
        self._watch_transactions(receipts)
        record = load_record(
            self.name,
            self.accounts.values(),
            self.recorder,
            guarantees={str(domain): GUARANTEES for domain in self.domains},
            planted=planted,
            sees_outcomes=True,
        )
        return replace(
            record,
            expected_totals={str(domain): self._expected(domain) for domain in self.domains},
            outcomes_seen=self.transactions.outcomes_seen(),
            precommitted_reads=self.transactions.precommitted_reads,
            ends_from_future=self.join.ends_from_future,
            cpu_s=1.0,
            max_rss_bytes=100 << 20,
            errors=(),
            trips={},
        )

    def _expected(self, domain: Domain) -> dict[str, int]:
        return _expected_of(tuple(e.value for e in self._sent if e.domain is domain and e.kind == "valid"))

    def _watch_transactions(self, receipts: Sequence[Receipt]) -> None:
        """What its watch of transactions has seen."""
        for number, receipt in enumerate(receipts):
            end = 2 * number + (1 if number < self._simulation.precommitted else 2)
            self.transactions.saw(receipt, 2 * number, end)
        for partition, (first, last) in self._simulation.shown.items():
            run = (partition, first, last, Outcome.PROCESSED, PHASES[-1].end_us)
            self.transactions.saw(receipt_of(Domain.ECONOMY, "core-0", run[4], [run], {}), 0, -1)


@lru_cache(maxsize=64)
def _expected_of(values: tuple[bytes, ...]) -> dict[str, int]:
    """Most simulated runs send the same events."""
    return expected_totals_of(values)


def lost_record(accounted: Accounted, lost_us: int) -> LoadRecord:
    """What the master writes down for a worker that never left its record: all that it may have sent."""
    record = accounted.record
    return LoadRecord(
        worker=record.worker,
        streams=tuple(
            StreamRecord.unheard(one.stream, domain=one.domain, topic=one.topic, key=one.key, sent=one.sent)
            for one in record.streams
        ),
        guarantees=record.guarantees,
        planted=record.planted,
        lost_us=lost_us,
    )


def worker_records(lost: str = "") -> list[WorkerRecord]:
    """Who the load workers were; each clock was compared with the master's.

    Args:
        lost: one of them that was lost in the first second.
    """
    return [
        WorkerRecord(
            worker=name,
            host="as-simulated",
            namespace="",
            pid=100 + number,
            cpus=2,
            state="lost" if name == lost else "finished",
            heard_us=at(1) if name == lost else PHASES[-1].end_us,
            silences=0,
            clocks=(ClockEstimate(at_us=at(-1), offset_us=10.0, uncertainty_us=90.0, samples=8),),
            received_bytes=0,
        )
        for number, name in enumerate(WORKERS)
    ]


def drill_records(simulation: Simulation) -> list[LoadRecord]:
    """What the flood and the poison have sent, by the accounts of real drills."""
    return [
        _drill(simulation, FLOOD.id, Domain.SOCIAL, flood_streams, {}),
        _drill(simulation, POISON.id, Domain.SYSTEM, poison_streams, {"poison": 1}),
    ]


def _drill(
    simulation: Simulation,
    name: str,
    domain: Domain,
    streams_of: Callable[[AckedOffsets], list[DrillStream]],
    planted: dict[str, int],
) -> LoadRecord:
    """Account for the batches of a drill; ``planted`` is for each event sent."""
    places = {(ack.sent.stream, ack.sent.seq): (ack.partition, ack.offset) for ack in simulation.acks}
    count, offsets = 0, AckedOffsets()
    streams = streams_of(offsets)
    for stream in streams:
        mine = [event for event in simulation.sent if event.stream == stream.account.id]
        for _, batch in groupby(mine, key=lambda event: event.ts_us):
            events = list(batch)
            runs = _runs(events, places)
            stream.sent(len(events), runs)
            count += len(events)
    return drill_record(
        name, domain, streams, offsets, planted={kind: count * each for kind, each in planted.items()}, errors=()
    )


def _runs(events: Iterable[Sent], places: dict[_Key, tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    found = [(number, places.get((event.stream, event.seq))) for number, event in enumerate(events)]
    return [(number, *place, 1) for number, place in found if place is not None]


def gateway_record(simulation: Simulation) -> GatewayRecord:
    """What the gateway says that it has sent on its own account."""
    sent = sum(event.sender == GATEWAY for event in simulation.sent)
    return GatewayRecord(
        streams=(OwnStream(instance=GATEWAY, stream=GATEWAY_STREAM, key=GATEWAY, sent=sent, killed=False),)
    )
