"""The accounts of the ledger, of receipts and of epochs, on a few hand-written records."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from neutral import neutral

from necp_validate.clients.bookkeeping import LedgerAccounting
from necp_validate.events.economy import OPENING_BALANCE, TREASURY
from necp_validate.events.ledger import LedgerRecord, Listing, Posting, Tick, posting_weight
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.ledger.leader_epochs import EpochAccounting
from necp_validate.ledger.outcomes import ReceiptAccounting
from necp_validate.record import EpochRead, IntervalSet, Jump, LedgerRead, ReceiptsRecord

SHARD = "market-0001"


def id_of(seq: int) -> str:
    return f"0000000a-{seq:012d}"


def pay(seq: int, amount: int = 10, *, debit: str = "a", credit: str = "b") -> Posting:
    return Posting(id_of(seq), SHARD, debit, credit, "eddies", amount)


def goods(seq: int, *, debit: str = "b", credit: str = "a") -> Posting:
    return Posting(id_of(seq), SHARD, debit, credit, "ammo", 2)


def record(first: int, last: int, *postings: Posting, **changes: Any) -> LedgerRecord:
    fields = {"listings": [], "ticks": [], "sequences": [("0000000a", first, last)], **changes}
    return LedgerRecord(partition=4, first_offset=first, last_offset=last, postings=list(postings), **fields)


def book(*records: LedgerRecord) -> LedgerRead:
    accounting = LedgerAccounting()
    accounting.add(records)
    (found,) = accounting.records()
    return found


PAID = [("a", "b", "eddies", 20), (TREASURY, "b", "eddies", 5), ("b", "a", "ammo", 2)]
SOUND = neutral(
    LedgerRead,
    partition=4,
    covered=IntervalSet([(0, 4)]),
    entries=5,
    trades=1,
    moved={"eddies": 25, "ammo": 2},
    postings_sum=sum(amount * posting_weight(*who) for *who, amount in PAID),
)


def test_sound_books() -> None:
    """A payment, a reward, a trade, a listing and a price tick in two batches."""
    listing = Listing(id_of(3), SHARD, "ammo", "l-1", "open", 1)
    tick = Tick(SHARD, "ammo", 1, 2, 3)
    first = record(0, 1, pay(0), pay(1, 5, debit=TREASURY))
    second = record(2, 4, pay(2), goods(2), listings=[listing], ticks=[tick])

    assert book(first, second) == SOUND


def test_a_batch_that_is_there_again_counts_for_nothing_else() -> None:
    """Neither its money nor its entries."""
    found = book(record(0, 1, pay(0)), record(0, 1, pay(0)))

    assert (found.covered_twice, found.entries, found.moved) == (2, 1, {"eddies": 10})


def test_an_event_that_is_booked_again_is_counted() -> None:
    """In the same record, or in one of other offsets."""
    assert book(record(0, 1, pay(0), pay(0))).repeated == 1
    assert book(record(0, 1, pay(0)), record(2, 3, pay(0), sequences=[("0000000a", 0, 0)])).repeated == 1


def test_a_trade_needs_both_legs_between_the_same_accounts() -> None:
    """The goods alone, or goods from somebody else."""
    assert book(record(0, 0, goods(0))).torn == 1
    assert book(record(0, 0, pay(0), goods(0, debit="c"))).torn == 1
    assert book(record(0, 0, pay(0), goods(0))).torn == 0


def test_money_needs_an_event_an_amount_and_somebody_who_has_it() -> None:
    """An event of another batch, nothing at all, oneself; and more than an account ever had."""
    assert book(record(0, 0, pay(7))).unfounded == 1
    assert book(record(0, 0, pay(0, 0))).unfounded == 1
    assert book(record(0, 0, pay(0, credit="a"))).unfounded == 1
    assert book(record(0, 0, pay(0, OPENING_BALANCE))).overdrawn == 0
    assert book(record(0, 1, pay(0, OPENING_BALANCE), pay(1, 1))).overdrawn == 1
    assert book(record(0, 0, pay(0, 2 * OPENING_BALANCE, debit=TREASURY))).overdrawn == 0


def receipt(*runs: tuple[int, int], instance: str = "core-0", sent_us: int = 1, **results: Any) -> Receipt:
    return Receipt(
        instance=instance,
        domain="combat",
        topic="t",
        sent_us=sent_us,
        transactional=False,
        runs=[(0, first, last, Outcome.PROCESSED, sent_us) for first, last in runs],
        results=results,
    )


def outcomes(*receipts: Receipt) -> ReceiptsRecord:
    accounting = ReceiptAccounting()
    accounting.add((one, None) for one in receipts)
    (found,) = accounting.records()
    return found


def jump(after: int, first: int, at_us: int = 1) -> Jump:
    return Jump(instance="core-0", after=after, first=first, from_us=1, to_us=at_us)


def test_an_instance_that_goes_on_makes_no_jump() -> None:
    """Nor does another one that begins elsewhere, nor the first when it has the partition again."""
    assert outcomes(receipt((0, 4), (5, 9)), receipt((10, 12))).jumps == ()
    assert outcomes(receipt((0, 4)), receipt((2, 9), instance="core-1"), receipt((10, 12))).jumps == ()


def test_jumps_ahead_and_back() -> None:
    """Back to what it had; going on from the highest afterwards is none."""
    assert outcomes(receipt((0, 4)), receipt((7, 9))).jumps == (jump(4, 7),)
    assert outcomes(receipt((0, 9)), receipt((7, 9)), receipt((10, 12))).jumps == (jump(9, 7),)


def test_a_receipt_that_was_sent_again_is_late_and_no_jump_back() -> None:
    """It was made before the one that came first."""
    found = outcomes(
        receipt((0, 4)), receipt((7, 9), sent_us=3), receipt((5, 6), sent_us=2), receipt((10, 11), sent_us=4)
    )

    assert found.jumps == (jump(4, 7, 3),)
    assert found.late == IntervalSet([(5, 6)])


@pytest.mark.parametrize(("appended_us", "early"), [(150_000, 0), (150_001, 10), (None, None)])
def test_ends_that_lie_too_long_before_the_append_of_their_receipt_are_counted(
    appended_us: int | None, early: int | None
) -> None:
    """Combat's tick is 100 ms, and 50 ms are allowed for the way to the broker."""
    accounting = ReceiptAccounting()
    accounting.add([(receipt((0, 9), sent_us=0), appended_us)])
    (found,) = accounting.records()
    assert found.ended_early == early


def test_what_ends_with_its_transaction_is_never_early() -> None:
    accounting = ReceiptAccounting()
    accounting.add([(msgspec.structs.replace(receipt((0, 9), sent_us=0), transactional=True), 10**9)])
    assert accounting.records()[0].ended_early == 0


def test_totals_are_summed_over_receipts_and_keys() -> None:
    """Damage comes by match; other totals are numbers."""
    accounting = ReceiptAccounting()
    both = receipt((0, 1), damage={"m1": 5, "m2": 6}, hits=2), receipt((2, 3), damage={"m1": 1}, hits=1)
    accounting.add((one, None) for one in both)

    assert accounting.totals == {"combat": {"damage": 12, "hits": 3}}


def test_epochs_that_decrease_are_counted() -> None:
    """By partition; a record without an epoch says nothing."""
    accounting = EpochAccounting()
    for epoch in (3, 3, -1, 4, 3, 4):
        accounting.saw("t", 0, epoch)
    accounting.saw("t", 1, 1)

    assert accounting.records() == (
        EpochRead(topic="t", partition=0, highest=4, decreases=1),
        EpochRead(topic="t", partition=1, highest=1, decreases=0),
    )
