"""Accounts for the ledger of the economy: what it covers, what is booked twice, torn, or not covered by money.

Memory follows the accounts and what went wrong, and the invalid events that were planted (each is a hole in the
sequence of its stream), not the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from necp_validate.core.intervals import IntervalSet
from necp_validate.events.economy import OPENING_BALANCE, OPENING_STOCK, TREASURY
from necp_validate.events.ledger import CURRENCY, LedgerRecord, Posting, posting_weight
from necp_validate.record.readback import LedgerRead


@dataclass(slots=True)
class _Book:
    covered: IntervalSet = field(default_factory=IntervalSet)
    covered_twice: int = 0
    entries: int = 0
    trades: int = 0
    repeated: int = 0
    torn: int = 0
    unfounded: int = 0
    overdrawn: int = 0
    moved: dict[str, int] = field(default_factory=dict)
    postings_sum: int = 0


class LedgerAccounting:
    """Accounts for the records of the ledger, in the order in which they lie in their partition."""

    def __init__(self) -> None:
        self._books: dict[int, _Book] = {}
        self._seen: dict[str, IntervalSet] = {}
        self._changes: dict[tuple[str, str, str], int] = {}

    def add(self, records: Iterable[LedgerRecord]) -> None:
        """Account for records.

        A batch that the ledger has already is counted as covered twice, and nothing else of it is.
        """
        for record in records:
            book = self._books.setdefault(record.partition, _Book())
            twice = book.covered.add(record.first_offset, record.last_offset)
            book.covered_twice += twice
            if not twice:
                self._account(book, record)

    def _account(self, book: _Book, record: LedgerRecord) -> None:
        for stream, first, last in record.sequences:
            book.repeated += self._seen.setdefault(stream, IntervalSet()).add(first, last)
        has_read = _reader_of(record)
        booked: dict[str, list[Posting]] = {}
        for posting in record.postings:
            booked.setdefault(posting.id, []).append(posting)
        for id_, postings in booked.items():
            book.unfounded += not has_read(id_)
            self._post(book, postings)
        listed = {listing.id for listing in record.listings}
        book.unfounded += sum(not has_read(id_) for id_ in listed)
        book.repeated += len(record.listings) - len(listed)
        book.entries += len(booked) + len(listed) + len(record.ticks)

    def _post(self, book: _Book, postings: list[Posting]) -> None:
        """Book what one event caused: a payment, or both legs of a trade, the money first."""
        money, goods = postings[0], postings[1:2]
        book.repeated += max(len(postings) - 2, 0)
        trade = bool(goods) and goods[0].asset != CURRENCY
        if goods and not trade:
            book.repeated += 1  # one event, paid twice
        if money.asset != CURRENCY or (trade and (goods[0].debit, goods[0].credit) != (money.credit, money.debit)):
            book.torn += 1
        elif trade:
            book.trades += 1
        for posting in postings[: 2 if trade else 1]:
            _, shard, debit, credit, asset, amount = posting
            book.unfounded += amount <= 0 or debit == credit
            book.moved[asset] = book.moved.get(asset, 0) + amount
            book.postings_sum += amount * posting_weight(debit, credit, asset)
            opening = OPENING_BALANCE if asset == CURRENCY else OPENING_STOCK
            changes = self._changes
            changes[shard, credit, asset] = changes.get((shard, credit, asset), 0) + amount
            changes[shard, debit, asset] = left = changes.get((shard, debit, asset), 0) - amount
            book.overdrawn += left < -opening and debit != TREASURY

    def records(self) -> tuple[LedgerRead, ...]:
        """What the ledger says, by partition of the events."""
        return tuple(
            LedgerRead(
                partition=partition,
                covered=book.covered,
                covered_twice=book.covered_twice,
                entries=book.entries,
                trades=book.trades,
                repeated=book.repeated,
                torn=book.torn,
                unfounded=book.unfounded,
                overdrawn=book.overdrawn,
                moved=book.moved,
                postings_sum=book.postings_sum,
            )
            for partition, book in sorted(self._books.items())
        )


def _reader_of(record: LedgerRecord) -> Callable[[str], bool]:
    """Tells whether an event, by its id, is one of those that the record's batch had."""
    runs: dict[str, list[tuple[int, int]]] = {}
    for stream, first, last in record.sequences:
        runs.setdefault(stream, []).append((first, last))

    def has_read(id_: str) -> bool:
        seq = int(id_[9:])
        return any(first <= seq <= last for first, last in runs.get(id_[:8], ()))

    return has_read
