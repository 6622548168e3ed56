"""Metrics of a run as a whole: loss, duplicates, order, the backlog, and how faults were got over."""

from __future__ import annotations

import math
from functools import partial

from necp_validate.claims.checks.anomalies import need_readback, need_senders
from necp_validate.claims.checks.faults.faults import FaultFigures, figures, not_in_effect
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.metrics.measures import Measure, Measurement, Question, Scope, add
from necp_validate.claims.metrics.units import EVENTS, TIME
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import FaultRecord, History, IntervalSet


def _need_all_workers(history: History) -> None:
    if missing := missing_workers(history):
        raise NoEvidence(f"{missing} of the load workers left no record")


def _lost(asked: Question) -> Measurement:
    """Acked events that a fresh reader did not find."""
    readback, senders = need_readback(asked.history), need_senders(asked.history)
    acked = lost = 0
    for sender in senders:
        for stream in sender.streams:
            if stream.domain in asked.domains:
                read = readback.streams.get(stream.stream)
                acked += stream.acked.count
                lost += stream.acked.difference(read.read if read else IntervalSet()).count
    if not lost:
        _need_all_workers(asked.history)
    return Measurement.exact(lost, acked, "acked events")


def _of_streams(field: str, asked: Question) -> Measurement:
    """What the reader counted by stream."""
    readback, senders = need_readback(asked.history), need_senders(asked.history)
    reads = [
        readback.streams[stream.stream]
        for sender in senders
        for stream in sender.streams
        if stream.domain in asked.domains and stream.stream in readback.streams
    ]
    count = sum(getattr(read, field) for read in reads)
    if not count:
        _need_all_workers(asked.history)
    return Measurement.exact(count, sum(read.read.count for read in reads), "events read back")


def _dead_letters(asked: Question) -> Measurement:
    readback = need_readback(asked.history)
    domain_of = asked.history.domain_of_topic
    receipts = [one for one in readback.receipts if domain_of.get(one.topic) in asked.domains]
    if not receipts:
        raise NoEvidence("nothing was recorded of what the event core did with the events")
    return Measurement.exact(
        sum(one.dead_lettered for one in receipts), sum(one.accounted.count for one in receipts), "outcomes"
    )


def _drain(asked: Question) -> Measurement:
    drain = asked.history.drain
    if drain is None:
        raise NoEvidence("how the backlog drained was not recorded")
    if not asked.history.sees_backlog(asked.history.domains):
        raise NoEvidence("it is not known which consumer group reads each topic of the run")
    if asked.history.own_topics and (asked.history.readback is None or asked.history.readback.others):
        raise NoEvidence("others write to the topics, too, or may do: the backlog is not this run's alone")
    value = math.inf if drain.drain_s is None else 1000 * drain.drain_s
    note = f"{drain.lag_at_end:,} events were waiting when the busiest phase ended"
    return Measurement.exact(value, 1, "backlogs", notes=(note,))


def _faults(asked: Question) -> list[tuple[FaultRecord, FaultFigures]]:
    """The faults that began in the phase, or all; each must have been seen to work."""
    history, phase = asked.history, asked.phase
    within = [fault for fault in history.faults if phase is None or phase.start_us <= fault.begin_us < phase.end_us]
    if not within:
        raise NoEvidence(f"there was no fault in {phase.name if phase else 'this run'}")
    for fault in within:
        if reason := not_in_effect(fault):
            raise NoEvidence(reason)
    return [(fault, figures(history, fault)) for fault in within]


def _recovery(asked: Question) -> Measurement:
    found = _faults(asked)
    times = [(one.recovery_s, fault.id) for fault, one in found if one.recovery_s is not None]
    if len(times) < len(found):
        raise NoEvidence("the load workers did not record the silences of single partitions")
    worst_s, which = max(times)
    return Measurement.exact(1000 * worst_s, len(times), "faults", notes=(f"the slowest: {which}",))


def _rebalance(asked: Question) -> Measurement:
    found = _faults(asked)
    if any(one.rebalances is None for _, one in found):
        raise NoEvidence("the consumer groups were not watched")
    times = [(one.rebalance_s, fault.id) for fault, one in found if one.rebalance_s is not None]
    if not times:
        raise NoEvidence("no group rebalanced")
    worst_s, which = max(times)
    return Measurement.exact(1000 * worst_s, len(times), "rebalances", notes=(f"the slowest: {which}",))


add(
    Measure(
        name="lost",
        about="acknowledged events that a fresh reader did not find",
        dimension=EVENTS,
        scope=Scope.RUN,
        measure=_lost,
    )
)
add(
    Measure(
        name="duplicates",
        about="records that repeat an event",
        dimension=EVENTS,
        scope=Scope.RUN,
        measure=partial(_of_streams, "duplicates"),
    )
)
add(
    Measure(
        name="out_of_order",
        about="times that an event comes after a later one of its stream",
        dimension=EVENTS,
        scope=Scope.RUN,
        measure=partial(_of_streams, "out_of_order"),
    )
)
add(
    Measure(
        name="dead_lettered",
        about="events that ended in a dead-letter topic, planted ones included",
        dimension=EVENTS,
        scope=Scope.RUN,
        measure=_dead_letters,
    )
)
add(
    Measure(
        name="drain_time",
        about="from the end of the busiest phase until its last event had ended",
        dimension=TIME,
        scope=Scope.RUN,
        by_domain=False,
        measure=_drain,
    )
)
add(
    Measure(
        name="recovery_time",
        about="from a fault to sustained success, of the slowest partition or client",
        dimension=TIME,
        scope=Scope.EITHER,
        by_domain=False,
        measure=_recovery,
    )
)
add(
    Measure(
        name="rebalance_time",
        about="from a fault until the slowest consumer group was stable for good",
        dimension=TIME,
        scope=Scope.EITHER,
        by_domain=False,
        measure=_rebalance,
    )
)
