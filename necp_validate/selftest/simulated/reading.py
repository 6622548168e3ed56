"""Reads a simulated run back with the code that reads real ones: records, receipts and the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any

from necp_validate.clients.bookkeeping import LedgerAccounting
from necp_validate.core.intervals import IntervalSet
from necp_validate.events.expected_totals import expected_of
from necp_validate.events.ledger import decode_ledger_record, encode_ledger_record
from necp_validate.events.receipts import Outcome, Receipt, Run, decode_receipt, encode_receipt
from necp_validate.events.topics import LEDGER_TOPIC, RECEIPTS_TOPIC, Domain
from necp_validate.ledger.leader_epochs import EpochAccounting
from necp_validate.ledger.outcomes import ReceiptAccounting
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.record.readback import DeadLettersRead, EpochRead, PartitionRead, Readback
from necp_validate.selftest.simulated.cluster import OUTPUTS, epochs_of, partitions_of
from necp_validate.selftest.simulated.log import Handled, decoded
from necp_validate.selftest.simulated.simulation import Simulation

_RECEIPT_US = 20_000


def appended_us(simulation: Simulation, receipt: Receipt) -> int:
    """When a broker appends a receipt, which is read at once (epoch)."""
    later_us = simulation.writes_later_us if receipt.domain == Domain.COMBAT else 0
    return max(done_us for *_, done_us in receipt.runs) + _RECEIPT_US + later_us


def read_back(simulation: Simulation, receipts: Sequence[Receipt]) -> Readback:
    """Read the log as the fresh reader does.

    Args:
        simulation: gone through.
        receipts: of its event core, in order.
    """
    known = {event.stream: (event.domain.topic, event.key) for event in simulation.plan}
    cheats: dict[str, IntervalSet] = {}
    for event in simulation.sent:
        if event.kind == "cheat":
            cheats.setdefault(event.stream, IntervalSet()).add(event.seq, event.seq)
    reader = ReadAccounting(known, cheats)
    marks = {(domain.topic, number): (0, 0) for domain in Domain for number in range(partitions_of(domain.topic))}
    for (domain, partition), records in simulation.log.items():
        marks[domain.topic, partition] = (0, records[-1].offset + 1 if records else 0)
    for domain, records in simulation.read.items():
        reader.add_records(domain.topic, [(r.partition, r.offset, r.key, r.value) for r in records])
    outcomes = ReceiptAccounting()
    outcomes.add((decode_receipt(encode_receipt(one)), appended_us(simulation, one)) for one in receipts)
    ledger = LedgerAccounting()
    ledger.add(decode_ledger_record(encode_ledger_record(record)) for record in simulation.ledger)
    return replace(
        reader.record(marks, {place: high for place, (_, high) in marks.items()}),
        elapsed_s=1.0,
        cpu_s=1.0,
        events_per_s=1e4,
        max_rss_bytes=100 << 20,
        receipts=outcomes.records(),
        totals=outcomes.totals,
        ledger=ledger.records(),
        epochs=_epochs(simulation),
        dead_letters=simulation.dead_letters,
        letters=tuple(_letters(simulation, known)),
        outputs=tuple(_outputs(simulation, len(receipts))),
    )


def _letters(simulation: Simulation, known: Mapping[str, tuple[str, str]]) -> Iterator[DeadLettersRead]:
    """The dead letters, as the reader finds them: so many of the events that were set aside as there are."""
    lying = {(r.sent.domain, r.partition, r.offset): r for r in simulation.records()}
    for domain in Domain:
        reader = ReadAccounting(known)
        set_aside = [
            record
            for one in simulation.handled
            if one.domain is domain and one.outcome is Outcome.DEAD_LETTERED
            if (record := lying.get((domain, one.partition, one.offset))) is not None
        ]
        there = set_aside[: simulation.dead_letters.get(domain.dead_letter_topic, 0)]
        values = [
            bytes([record.value[0] ^ 1]) + record.value[1:] if at < simulation.letters_altered else record.value
            for at, record in enumerate(there)
        ]
        letters = [(0, at, record.key, values[at]) for at, record in enumerate(there)]
        reader.add_records(domain.topic, letters)
        yield reader.dead_letters(domain.dead_letter_topic)


def _epochs(simulation: Simulation) -> tuple[EpochRead, ...]:
    """Leader epochs of the records, as the reader notes them, and what a defect adds to them."""
    epochs = EpochAccounting()
    for (domain, partition), records in simulation.log.items():
        if records:
            for epoch in epochs_of(domain.topic, partition, [record.sent.ts_us for record in records]):
                epochs.saw(domain.topic, partition, epoch)
    changed = {(one.topic, one.partition): one for one in simulation.course.epochs}
    return tuple(changed.get((one.topic, one.partition), one) for one in epochs.records())


def _outputs(simulation: Simulation, receipts: int) -> Iterator[PartitionRead]:
    """The output topics, each partition read to its end; all that one holds lies in its first partition."""
    held = {RECEIPTS_TOPIC: receipts, LEDGER_TOPIC: len(simulation.ledger), **simulation.dead_letters}
    for topic in OUTPUTS:
        for number in range(partitions_of(topic)):
            count = held[topic] if number == 0 else 0
            yield PartitionRead(
                topic=topic,
                partition=number,
                low=0,
                high=count,
                read=count,
                position=count,
                gaps=0,
                out_of_order_offsets=0,
            )


def _when_and_where(one: Handled) -> tuple[int, Domain, str]:
    return one.done_us, one.domain, one.instance


def receipts_of(simulation: Simulation) -> Iterator[Receipt]:
    """One receipt for what an instance handled of a domain at one time, with runs of equal outcomes."""
    values = {(r.sent.domain, r.partition, r.offset): r.value for r in simulation.records()}
    too_much = simulation.dealt_too_much
    for (done_us, domain, instance), group in groupby(
        sorted(simulation.handled, key=_when_and_where), key=_when_and_where
    ):
        runs: list[Run] = []
        processed = []
        for one in group:
            last = runs[-1] if runs else None
            if last and (last[0], last[2] + 1, last[3]) == (one.partition, one.offset, one.outcome):
                runs[-1] = (last[0], last[1], one.offset, one.outcome, done_us)
            else:
                runs.append((one.partition, one.offset, one.offset, one.outcome, done_us))
            if one.outcome is Outcome.PROCESSED:
                processed.append(values.get((one.domain, one.partition, one.offset), b""))
        results = _results(domain, processed)
        if too_much and "damage" in results:
            results["damage"]["match"] += too_much
            too_much = 0
        yield receipt_of(domain, instance, done_us, runs, results)


def _results(domain: Domain, processed: list[bytes]) -> dict[str, Any]:
    """A domain's own totals: damage, or events by type; an event that a defect let through counts for nothing."""
    if domain is Domain.ECONOMY:
        return dict(Counter(event.data.type_name for event in map(decoded, processed) if event is not None))
    damage = sum(map(_damage, processed)) if domain is Domain.COMBAT else 0
    return {"damage": {"match": damage}} if damage else {}


@cache
def _damage(value: bytes) -> int:
    event = decoded(value)
    return 0 if event is None else expected_of(event.data).get("damage", 0)


def receipt_of(domain: Domain, instance: str, done_us: int, runs: list[Run], results: dict[str, Any]) -> Receipt:
    """A receipt as the event core writes it."""
    return Receipt(
        instance=instance,
        domain=str(domain),
        topic=domain.topic,
        sent_us=done_us,
        transactional=domain is Domain.ECONOMY,
        runs=runs,
        results=results,
    )
