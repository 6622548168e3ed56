"""Silences of a partition, and offsets that went back, from nothing but acks."""

from necp_validate.ledger.unavailability import PartitionWatch
from necp_validate.record import PartitionGap

S = 1_000_000


def _gap(from_us: int, to_us: int | None, partition: int = 0) -> PartitionGap:
    return PartitionGap(domain="combat", partition=partition, from_us=from_us, to_us=to_us)


def test_a_silence_counts_from_the_last_ack_or_from_when_the_next_event_was_due() -> None:
    """Events every 100 ms; nothing is acked for 3 s. Afterwards nothing is due for 10 s, which is no silence."""
    watch = PartitionWatch("combat")
    watch.acked(0, 1 * S, 1 * S + 5_000, 0, 9)
    watch.acked(0, 1 * S + 100_000, 4 * S, 10, 19)
    watch.acked(0, 14 * S, 14 * S + 5_000, 20, 29)
    watch.close()

    assert [_gap(1 * S + 100_000, 4 * S)] == watch.gaps


def test_acks_that_are_late_but_come_all_the_time_are_no_silence() -> None:
    """Every event waits for 2 s, but one is acked every 100 ms."""
    watch = PartitionWatch("combat")
    for i in range(50):
        watch.acked(0, 10 * S + i * 100_000, 12 * S + i * 100_000, i, i)
    watch.close()

    assert [_gap(10 * S, 12 * S)] == watch.gaps


def test_a_silence_with_events_that_failed_counts_from_the_first_of_them() -> None:
    """The events of 30 s time out; those of the 31st second are acked."""
    watch = PartitionWatch("combat")
    watch.acked(3, 1 * S, 1 * S, 0, 0)
    watch.failed(3, 2 * S)
    watch.failed(3, 3 * S)
    watch.acked(3, 31 * S, 31 * S + 9_000, 1, 1)

    assert [_gap(2 * S, 31 * S + 9_000, partition=3)] == watch.gaps


def test_a_silence_that_never_ended_has_no_end() -> None:
    """The last thing heard of a partition is a failure; events without a partition count for none."""
    watch = PartitionWatch("combat")
    watch.acked(1, 1 * S, 1 * S, 0, 0)
    watch.failed(1, 5 * S)
    watch.failed(-1, 5 * S)
    watch.close()

    assert [_gap(5 * S, None, partition=1)] == watch.gaps


def test_partitions_do_not_cover_for_each_other() -> None:
    """One partition is silent while the other is not."""
    watch = PartitionWatch("combat")
    for i in range(40):
        watch.acked(0, i * 100_000, i * 100_000 + 3_000, i, i)
    watch.acked(1, 0, 1_000, 0, 0)
    watch.acked(1, 1 * S, 3 * S, 1, 1)

    assert [_gap(1 * S, 3 * S, partition=1)] == watch.gaps


def test_an_ack_below_what_was_known_before_the_event_was_due_is_counted() -> None:
    """The log was cut from 1000 back to 900: events due a second later land below what was acked."""
    watch = PartitionWatch("combat")
    watch.acked(0, 1 * S, 1 * S + 3_000, 990, 1_000)
    watch.acked(0, 2 * S, 2 * S + 3_000, 900, 910)

    assert watch.acked_below_known == 1


def test_acks_that_only_come_in_another_order_are_not_counted() -> None:
    """Two flushes were under way together; the later one's ack came first."""
    watch = PartitionWatch("combat")
    watch.acked(0, 1 * S + 50_000, 1 * S + 53_000, 10, 19)
    watch.acked(0, 1 * S, 1 * S + 54_000, 0, 9)

    assert watch.acked_below_known == 0
