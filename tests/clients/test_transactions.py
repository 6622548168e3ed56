"""What a client that reads committed records only is shown of transactions."""

from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.ledger.transactions import TransactionWatch
from necp_validate.record import IntervalSet, OutcomesSeen

TOPIC = "game.economy.events"


def _receipt(*runs: tuple[int, int, int], transactional: bool = True) -> Receipt:
    return Receipt(
        instance="core-0",
        domain="economy",
        topic=TOPIC,
        sent_us=1,
        transactional=transactional,
        runs=[(partition, first, last, Outcome.PROCESSED, 1) for partition, first, last in runs],
    )


def test_outcomes_are_kept_as_intervals_by_partition() -> None:
    """Consecutive batches of a partition make one interval."""
    watch = TransactionWatch()
    watch.saw(_receipt((0, 0, 9), (1, 0, 4)), 0, 5)
    watch.saw(_receipt((0, 10, 19)), 2, 5)

    assert watch.precommitted_reads == 0
    assert watch.outcomes_seen() == (
        OutcomesSeen(topic=TOPIC, partition=0, seen=IntervalSet([(0, 19)])),
        OutcomesSeen(topic=TOPIC, partition=1, seen=IntervalSet([(0, 4)])),
    )


def test_a_receipt_at_the_very_end_of_its_partition_was_shown_before_its_commit() -> None:
    """The mark of the commit would lie behind it; a client that does not know the end accuses nobody."""
    watch = TransactionWatch()
    watch.saw(_receipt((0, 0, 9)), 6, 7)
    watch.saw(_receipt((0, 10, 19)), 8, 10)
    watch.saw(_receipt((0, 20, 29)), 10, -1001)

    assert watch.precommitted_reads == 1


def test_receipts_outside_of_transactions_are_left_out() -> None:
    """They are visible as soon as they are written, as they should be."""
    watch = TransactionWatch()
    watch.saw(_receipt((0, 0, 9), transactional=False), 6, 7)

    assert (watch.precommitted_reads, watch.outcomes_seen()) == (0, ())
