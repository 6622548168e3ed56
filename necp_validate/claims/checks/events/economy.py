"""Checks of the economy's books: whole transactions, nothing booked twice, money and goods conserved."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.events.fuzzing import fuzzed
from necp_validate.claims.checks.events.handling import need_receipts
from necp_validate.claims.checks.events.isolation import TRANSACTIONAL, no_transactions
from necp_validate.claims.checks.events.stakes import stakes_due
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Finding, Verdict, worst
from necp_validate.record import History, IntervalSet, LedgerRead, ReceiptsRecord

TOPIC = "game.economy.events"
CURRENCY = "eddies"
TRADE = "economy.trade"


def _ledger(history: History) -> tuple[LedgerRead, ...]:
    readback = need_receipts(history)
    if readback.ledger is None:
        raise NoEvidence("the ledger was not read")
    return readback.ledger


def _both(history: History) -> Iterator[tuple[int, LedgerRead, ReceiptsRecord]]:
    """Ledger and receipts of each partition of the economy's events."""
    books = {book.partition: book for book in _ledger(history)}
    receipts = {r.partition: r for r in need_receipts(history).receipts if r.topic == TOPIC}
    for partition in sorted(books.keys() | receipts.keys()):
        yield (
            partition,
            books.get(partition, LedgerRead(partition=partition, covered=IntervalSet())),
            receipts.get(partition, ReceiptsRecord(topic=TOPIC, partition=partition, accounted=IntervalSet())),
        )


@check("torn-transaction")
def torn_transaction(history: History) -> Finding:
    """Transactions of which a part is there and a part is not: ledger, receipt, or one leg of a trade."""
    if (none := no_transactions(history, "torn-transaction")) is not None:
        return none
    anomalies = Anomalies("torn-transaction", history)
    records = {p.partition: p.offsets for p in need_receipts(history).partitions if p.topic == TOPIC}
    entries = 0
    for partition, book, receipts in _both(history):
        where = f"{TOPIC}[{partition}]"
        covered, offsets = book.covered, records.get(partition)
        if offsets is not None:
            covered = covered.intersection(offsets)
        unsaid, unbooked = covered.difference(receipts.accounted), receipts.accounted.difference(covered)
        anomalies.add(unsaid.count, where, f"in the ledger, but in no receipt: {shown(unsaid)}")
        anomalies.add(unbooked.count, where, f"in a receipt, but not in the ledger: {shown(unbooked)}")
        anomalies.add(book.torn, where, f"{book.torn} trades without one of their legs")
        if not unsaid and not unbooked and not receipts.duplicate_outcomes:
            wrong = abs(book.entries - receipts.processed)
            anomalies.add(wrong, where, f"{receipts.processed} events processed, but {book.entries} have an entry")
        entries += book.entries
    missing = _trades_torn(history)
    anomalies.add(missing, TOPIC, f"{missing} trades more in the receipts than in the ledger with both legs")
    return anomalies.finding(
        clean=f"ledger and receipts agree on every event; {entries:,} entries",
        found="{count} events of which only a part of the transaction is there",
        needs_all_workers=False,
    )


def _trades_torn(history: History) -> int:
    """By how many trades the receipts' own counts and the ledger differ; 0 if they cannot be compared."""
    readback = need_receipts(history)
    counted = readback.totals.get(TRANSACTIONAL, {}).get(TRADE)
    pairs = list(_both(history))
    whole = all(book.covered == r.accounted and not book.torn and not r.duplicate_outcomes for _, book, r in pairs)
    if counted is None or not whole:
        return 0
    return abs(counted - sum(book.trades for _, book, _ in pairs))


@check("double-booking")
def double_booking(history: History) -> Finding:
    """Events, or whole batches, that the ledger holds more than once."""
    if (none := no_transactions(history, "double-booking")) is not None:
        return none
    anomalies = Anomalies("double-booking", history)
    entries = 0
    for book in _ledger(history):
        where = f"{TOPIC}[{book.partition}]"
        anomalies.add(book.covered_twice, where, f"batches with {book.covered_twice} events are in the ledger again")
        anomalies.add(book.repeated, where, f"{book.repeated} events are booked again")
        entries += book.entries
    return anomalies.finding(
        clean=f"none of {entries:,} entries of the ledger is there twice",
        found="{count} events are booked more than once",
        needs_all_workers=False,
    )


@check("conserved-economy")
def conserved_economy(history: History) -> Finding:
    """Money and goods: nothing comes from nowhere, goes nowhere, or is spent by an account that lacks it."""
    if (none := no_transactions(history, "conserved-economy")) is not None:
        return none
    anomalies = Anomalies("conserved-economy", history)
    moved: dict[str, int] = {"money": 0, "goods": 0}
    for book in _ledger(history):
        where = f"{TOPIC}[{book.partition}]"
        anomalies.add(book.overdrawn, where, f"{book.overdrawn} payments that the account did not cover")
        anomalies.add(book.unfounded, where, f"{book.unfounded} entries that no event of their batch accounts for")
        for asset, amount in book.moved.items():
            moved["money" if asset == CURRENCY else "goods"] += amount
    whole = all(book.covered == receipts.accounted and not book.torn for _, book, receipts in _both(history))
    due = stakes_due(history, TRANSACTIONAL) if whole and not _trades_torn(history) else None
    if due is not None:
        for name, amount in moved.items():
            wrong = abs(amount - due.get(name, 0))
            detail = f"{amount:,} of {name} moved, {due.get(name, 0):,} by the events that were sent"
            anomalies.add(wrong, f"domain {TRANSACTIONAL}", detail)
    compared = "not comparable with what was sent" if due is None else "exactly what the events sent were to move"
    return anomalies.finding(
        clean=f"{moved['money']:,} {CURRENCY} and {moved['goods']:,} items moved, {compared}",
        found=f"{{count}} units of money or goods are wrong ({moved['money']:,} {CURRENCY} moved)",
    )


@judges("EVT-ECONOMY", "no torn transaction, nothing booked twice, money and goods conserved")
def atomic_economy(evidence: Evidence) -> Ruling:
    """The economy's books, as the ledger and the receipts tell them after whatever happened in the run."""
    if (ruling := fuzzed(evidence, TRANSACTIONAL)) is not None:
        return ruling
    if TRANSACTIONAL not in evidence.history.domains:
        raise NoEvidence("there was no economy traffic")
    names = ("torn-transaction", "double-booking", "conserved-economy", "aborted-read", "precommitted-read")
    findings = [evidence.finding(name) for name in names]
    wrong = [finding for finding in findings if finding.verdict is not Verdict.PASS]
    entries = sum(book.entries for book in _ledger(evidence.history))
    return Ruling(
        verdict=worst(finding.verdict for finding in findings),
        measured=f"{sum(f.count for f in findings):,} anomalies in {entries:,} entries",
        evidence="; ".join(finding.summary for finding in wrong or findings[:3]),
    )
