"""Reads a simulated run back with the code that reads real ones: records, receipts and the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from necp_validate.clients.bookkeeping import LedgerAccounting
from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode
from necp_validate.events.ledger import decode_ledger_record, encode_ledger_record
from necp_validate.events.receipts import Outcome, Receipt, Run, decode_receipt, encode_receipt
from necp_validate.events.stakes import stakes_of
from necp_validate.events.topics import Domain
from necp_validate.ledger.outcomes import ReceiptAccounting
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.selftest.simulation import Handled, Simulation


def read_back(simulation: Simulation) -> dict[str, Any]:
    """Read the log as the fresh reader does."""
    known = {event.stream: (event.domain.topic, event.key) for event in simulation.plan}
    reader = ReadAccounting(known)
    marks: dict[tuple[str, int], tuple[int, int]] = {}
    for (domain, partition), records in simulation.log.items():
        marks[domain.topic, partition] = (0, records[-1].offset + 1 if records else 0)
    for domain, records in simulation.read.items():
        reader.add_records(domain.topic, [(r.partition, r.offset, r.key, r.value) for r in records])
    receipts = ReceiptAccounting()
    receipts.add(decode_receipt(encode_receipt(receipt)) for receipt in receipts_of(simulation))
    ledger = LedgerAccounting()
    ledger.add(decode_ledger_record(encode_ledger_record(record)) for record in simulation.ledger)
    return {
        **reader.to_json(marks),
        "receipts": receipts.to_json(),
        "totals": receipts.totals,
        "ledger": ledger.to_json(),
        "epochs": simulation.course.epochs,
        "dead_letters": simulation.dead_letters,
    }


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
    results: dict[str, Any] = {}
    for value in processed:
        try:
            data = decode(value).data
        except InvalidEvent:
            continue
        if domain is Domain.ECONOMY:
            results[data.type_name] = results.get(data.type_name, 0) + 1
        elif "damage" in (stakes := stakes_of(data)):
            results.setdefault("damage", {"match": 0})["match"] += stakes["damage"]
    return results


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
