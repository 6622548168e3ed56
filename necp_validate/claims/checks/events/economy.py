"""Checks of the economy's books: whole transactions, nothing booked twice, money and goods conserved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from necp_validate.claims.checks.anomalies import Anomalies, shown
from necp_validate.claims.checks.events.totals import totals_due
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_receipts, recorded
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.inventory import EVENTS_READ, LEDGER, RECEIPTS, SENDERS
from necp_validate.evidence.inventory import TRANSACTIONS as EVENTS_OF_THEIRS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import TRANSACTIONAL, TRANSACTIONS
from necp_validate.record import IntervalSet, LedgerRead, ReceiptsRecord, Record, parts

TOPIC = "game.economy.events"
CURRENCY = "eddies"
TRADE = "economy.trade"


def _ledger(history: Record) -> tuple[LedgerRead, ...]:
    readback = need_receipts(history)
    if readback.ledger is None:
        raise NoEvidence("the ledger was not read")
    return readback.ledger


_NO_BOOK = LedgerRead(
    partition=0,
    covered=IntervalSet(),
    covered_twice=0,
    entries=0,
    trades=0,
    repeated=0,
    torn=0,
    unfounded=0,
    overdrawn=0,
    moved={},
    postings_sum=0,
)
_NO_RECEIPTS = ReceiptsRecord(
    topic=TOPIC,
    partition=0,
    accounted=IntervalSet(),
    processed=0,
    rejected=0,
    dead_lettered=0,
    duplicate_outcomes=0,
)


def _both(history: Record) -> Iterator[tuple[int, LedgerRead, ReceiptsRecord]]:
    """Ledger and receipts of each partition of the economy's events."""
    books = {book.partition: book for book in _ledger(history)}
    receipts = {r.partition: r for r in need_receipts(history).receipts if r.topic == TOPIC}
    for partition in sorted(books.keys() | receipts.keys()):
        yield (
            partition,
            books.get(partition, replace(_NO_BOOK, partition=partition)),
            receipts.get(partition, replace(_NO_RECEIPTS, partition=partition)),
        )


@check("torn-transaction", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS, EVENTS_READ, RECEIPTS, LEDGER)
def torn_transaction(history: Record) -> Finding:
    """Transactions of which a part is there and a part is not: ledger, receipt, or one leg of a trade."""
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
        sees=f"1 of {entries:,} entries without its receipt, or a trade without one of its legs",
    )


def _trades_torn(history: Record) -> int:
    """By how many trades the receipts' own counts and the ledger differ; 0 if they cannot be compared."""
    readback = need_receipts(history)
    counted = recorded(readback.totals, "totals", parts.READBACK).get(TRANSACTIONAL, {}).get(TRADE)
    pairs = list(_both(history))
    whole = all(book.covered == r.accounted and not book.torn and not r.duplicate_outcomes for _, book, r in pairs)
    if counted is None or not whole:
        return 0
    return abs(counted - sum(book.trades for _, book, _ in pairs))


@check("double-booking", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS, RECEIPTS, LEDGER)
def double_booking(history: Record) -> Finding:
    """Events, or whole batches, that the ledger holds more than once."""
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
        sees=f"1 of {entries:,} entries booked again",
    )


@check("conserved-economy", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS, RECEIPTS, LEDGER)
def conserved_economy(history: Record) -> Finding:
    """Money and goods: nothing comes from nowhere, or is spent by an account that lacks it."""
    anomalies = Anomalies("conserved-economy", history)
    for book in _ledger(history):
        where = f"{TOPIC}[{book.partition}]"
        anomalies.add(book.overdrawn, where, f"{book.overdrawn} payments that the account did not cover")
        anomalies.add(book.unfounded, where, f"{book.unfounded} entries that no event of their batch accounts for")
    moved = _moved(history)
    words = f"{moved['money']:,} {CURRENCY} and {moved['goods']:,} items moved"
    return anomalies.finding(
        clean=f"{words}, every entry with its event, no account overdrawn",
        found=f"{{count}} entries are without an event or without money ({words})",
        sees="1 entry without an event, or 1 payment that is not covered",
    )


@check("economy-total", TRANSACTIONS, EVENTS_OF_THEIRS, SENDERS, EVENTS_READ, RECEIPTS, LEDGER)
def economy_total(history: Record) -> Finding:
    """Money and goods that were moved, against what the events that were sent were to move."""
    name = "economy-total"
    whole = all(book.covered == receipts.accounted and not book.torn for _, book, receipts in _both(history))
    due = totals_due(history, TRANSACTIONAL) if whole and not _trades_torn(history) else None
    if due is None:
        words = "money and goods are not comparable: not every event was acked, handled once and booked once"
        return Finding(name=name, verdict=Verdict.NOT_APPLICABLE, count=0, summary=words)
    anomalies = Anomalies(name, history)
    moved = _moved(history)
    for what, amount in moved.items():
        detail = f"{amount:,} of {what} moved, {due.get(what, 0):,} by the events that were sent"
        anomalies.add(abs(amount - due.get(what, 0)), f"domain {TRANSACTIONAL}", detail)
    postings_sum = [recorded(book.postings_sum, "ledger: postings_sum", parts.READBACK) for book in _ledger(history)]
    if sum(moved.values()) and "postings_sum" not in due:
        raise NoEvidence("from which account to which the events sent were to move anything was not recorded")
    if not anomalies.count and sum(postings_sum) != due.get("postings_sum", 0):
        detail = "the amounts are right, and not all of them went from and to the accounts that the events sent name"
        anomalies.add(1, f"domain {TRANSACTIONAL}", detail)
    words = f"{moved['money']:,} {CURRENCY} and {moved['goods']:,} items moved"
    return anomalies.finding(
        clean=f"{words}, exactly what the events sent were to move, from and to the accounts that they name",
        found=f"{{count}} units of money or goods are wrong ({words})",
        sees=f"1 unit of {moved['money']:,} {CURRENCY} and {moved['goods']:,} items, or 1 that another account got",
    )


def _moved(history: Record) -> dict[str, int]:
    moved = {"money": 0, "goods": 0}
    for book in _ledger(history):
        for asset, amount in book.moved.items():
            moved["money" if asset == CURRENCY else "goods"] += amount
    return moved
