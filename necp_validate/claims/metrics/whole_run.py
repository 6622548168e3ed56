"""Metrics of a run as a whole: loss, duplicates, order, the backlog, and how faults were got over."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.faults import FaultFigures, figures, never_handled, not_in_effect
from necp_validate.claims.metrics.measures import Measure, Measurement, Measurer, Question, Scope, add
from necp_validate.claims.metrics.units import EVENTS, SHARE, TIME, Dimension
from necp_validate.claims.needs import need_readback, need_receipts, need_senders
from necp_validate.evidence.guarantees import Setting, allowance_for
from necp_validate.evidence.inventory import (
    DRAIN,
    EVENTS_READ,
    FAULTS,
    GROUPS,
    PHASES,
    RECEIPTS,
    SENDERS,
    TIMELINE,
    Evidence,
)
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FaultRecord, IntervalSet

BEYOND_CLAIM = frozenset({"double-kill", "producer-flood"})
"""Faults under which nothing is claimed to be available: fewer brokers than min.insync.replicas, more than the peak."""


def _lost(asked: Question) -> Measurement:
    """Acked events that a fresh reader did not find."""
    readback, senders = need_readback(asked.history), need_senders(asked.history)
    acked = lost = 0
    permitted: dict[str, None] = {}
    for sender in senders:
        for stream in sender.streams:
            if stream.domain in asked.domains:
                read = readback.streams.get(stream.stream)
                missing = stream.acked.difference(read.read if read else IntervalSet()).count
                acked, lost = acked + stream.acked.count, lost + missing
                setting = Setting(domain=stream.domain, producer=sender.guarantees.get(stream.domain, {}))
                if missing and (allowance := allowance_for("lost-write", setting)):
                    permitted[f"the configuration permits it, and it is lost all the same: {allowance.reason}"] = None
    return Measurement.exact(
        lost, acked, "acked events", notes=tuple(permitted), sees=f"1 lost of {acked:,} acked events"
    )


def _unhandled(asked: Question) -> Measurement:
    """Records in the log that the event core never gave an outcome."""
    topics = _topics(asked)
    records = sum(part.read for part in need_receipts(asked.history).partitions if part.topic in topics)
    missing = never_handled(asked.history, topics)
    return Measurement.exact(missing, records, "records", sees=f"1 of {records:,} records without an outcome")


def _topics(asked: Question) -> frozenset[str]:
    return frozenset(t for t, domain in asked.history.domain_of_topic.items() if domain in asked.domains)


def _of_streams(field: str, asked: Question) -> Measurement:
    """What the reader counted by stream."""
    readback, senders = need_readback(asked.history), need_senders(asked.history)
    reads = [
        readback.streams[stream.stream]
        for sender in senders
        for stream in sender.streams
        if stream.domain in asked.domains and stream.stream in readback.streams
    ]
    counts = [getattr(read, field) for read in reads]
    if any(count is None for count in counts):
        raise NoEvidence(f"{field} was not recorded (history/readback.json: streams)")
    events = sum(read.read.count for read in reads)
    return Measurement.exact(sum(counts), events, "events read back", sees=f"1 of {events:,} events")


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
    among = history.faults if asked.faults is None else asked.faults
    within = [fault for fault in among if phase is None or phase.start_us <= fault.begin_us < phase.end_us]
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
    for fault, one in found:
        if one.lasted_s >= 2.0 and (one.during is None or one.during.good is None):
            raise NoEvidence(f"{fault.id}: nothing was due while it lasted")
    worst_s, which = max(times)
    # Of a fault that was still in force at the end, too early, nobody knows how it would have gone on.
    least_s = limit(asked.history, "recovery_s")
    open_s = [(math.inf, fault.id) for fault, one in found if fault.end_us is None and one.lasted_s < least_s]
    high_s, _ = max([(worst_s, which), *open_s])
    who = next((one.recovery.slowest[0] for fault, one in found if fault.id == which and one.recovery), "")
    notes = [f"the slowest: {who or 'no silence longer than 0.5 s'} after {which}"]
    notes += [_of_fault(fault, one) for fault, one in found[:3]]
    return Measurement(
        low=1000 * worst_s,
        high=1000 * high_s,
        samples=len(times),
        of="faults",
        notes=tuple(notes),
        sees="a silence of 0.5 s of one partition, and of 1 s of the event core",
    )


def _of_fault(fault: FaultRecord, one: FaultFigures) -> str:
    parts = [f"{fault.id} of {fault.target}: {fault.evidence or 'seen to take effect'}"]
    parts += [f"{one.during.least_eps:,.0f} EPS in the worst second"] if one.during is not None else []
    parts += [f"{one.before.acked_eps:,.0f} EPS before"] if one.before is not None else []
    return ", ".join(parts)


def _rebalance(asked: Question) -> Measurement:
    found = _faults(asked)
    if any(one.rebalances is None for _, one in found):
        raise NoEvidence("the consumer groups were not watched")
    times = []
    notes = []
    for fault, one in found:
        groups = one.rebalances or {}
        if not any(of.noticed_s <= one.lasted_s for of in groups.values()):
            raise NoEvidence(f"{fault.id}: no consumer group was seen to rebalance while it lasted")
        if all(of.members[0] < 2 and math.isinf(of.settled_s) for of in groups.values()):
            raise NoEvidence(f"{fault.id}: the groups had no second member that could have taken over")
        times += [(of.settled_s, f"{group} after {fault.id}") for group, of in groups.items()]
        before, after = next(iter(groups.values())).members
        noticed = max(of.noticed_s for of in groups.values())
        notes.append(f"{fault.id} of {fault.target}: noticed within {noticed:.1f} s, {before} → {after} members")
    worst_s, which = max(times)
    return Measurement.exact(
        1000 * worst_s,
        len(times),
        "rebalances",
        notes=(f"the slowest: {which}", *notes[:3]),
        sees="a group that is not stable for one sample, to the end of its recovery",
    )


def _good_share(asked: Question) -> Measurement:
    """Events acknowledged and accounted for, of those due in phases in which no more was asked for than is claimed."""
    history = asked.history
    beyond = [fault for fault in history.faults if fault.kind in BEYOND_CLAIM]
    phases = [
        phase
        for phase in history.phases
        if not any(f.begin_us < phase.end_us and (f.end_us is None or f.end_us > phase.start_us) for f in beyond)
    ]
    due = good = 0
    lowest: tuple[float, str] = (math.inf, "")
    for domain in asked.domains:
        counts = [history.counts(phase.name, [domain]) for phase in phases]
        scheduled, acked = sum(one.scheduled for one in counts), sum(one.acked for one in counts)
        due, good = due + scheduled, good + acked
        if scheduled:
            lowest = min(lowest, (acked / scheduled, domain))
    if not due:
        raise NoEvidence("no event was due in a phase that counts")
    lost = round(_lost(asked).high) + never_handled(history, _topics(asked))
    good -= min(lost, good)
    left_out = [phase.name for phase in history.phases if phase not in phases]
    notes = [f"{due - good:,} of {due:,} events were not served", f"lowest in {lowest[1]}: {lowest[0]:.3%}"]
    notes += [f"without {', '.join(left_out)}, where more was asked for than is claimed"] if left_out else []
    return Measurement.exact(good / due, due, "events due", notes=tuple(notes), sees=f"1 of {due:,} events")


def _time_with_faults(asked: Question) -> Measurement:
    """Length of a run in which a fault took effect: uptime without trouble proves nothing."""
    history = asked.history
    effective = [fault for fault in history.faults if not not_in_effect(fault)]
    if not effective:
        raise NoEvidence("no fault was in effect: uptime without trouble proves nothing")
    length_s = sum(phase.duration_s for phase in history.phases)
    return Measurement.exact(1000 * length_s, len(effective), "faults")


def _metric(name: str, about: str, dimension: Dimension, measure: Measurer, *evidence: Evidence, **more: Any) -> None:
    more = {"scope": Scope.RUN, **more}
    add(Measure(name=name, about=about, dimension=dimension, measure=measure, evidence=evidence, **more))


_READ = (SENDERS, EVENTS_READ)
_BROKEN = (PHASES, SENDERS, TIMELINE, FAULTS)
_metric("lost", "acknowledged events that a fresh reader did not find", EVENTS, _lost, *_READ, label="lost:")
_metric(
    "unhandled",
    "records in the log that the event core never gave an outcome",
    EVENTS,
    _unhandled,
    *(*_READ, RECEIPTS),
    label="never handled:",
)
_metric("duplicates", "records that repeat an event", EVENTS, partial(_of_streams, "duplicates"), *_READ)
_metric(
    "out_of_order",
    "times that an event comes after a later one of its stream",
    EVENTS,
    partial(_of_streams, "out_of_order"),
    *_READ,
)
_metric(
    "dead_lettered",
    "events that ended in a dead-letter topic, planted ones included",
    EVENTS,
    _dead_letters,
    *(*_READ, RECEIPTS),
)
_metric(
    "drain_time",
    "from the end of the busiest phase until its last event had ended",
    TIME,
    _drain,
    *(PHASES, SENDERS, DRAIN),
    by_domain=False,
)
_metric(
    "recovery_time",
    "from a fault to sustained success, of the slowest partition or client",
    TIME,
    _recovery,
    *_BROKEN,
    scope=Scope.EITHER,
    by_domain=False,
    label="recovery within",
)
_metric(
    "rebalance_time",
    "from a fault until the slowest consumer group was stable for good",
    TIME,
    _rebalance,
    *(PHASES, FAULTS, GROUPS),
    scope=Scope.EITHER,
    by_domain=False,
    label="stable within",
)
_metric(
    "good_share",
    "events acknowledged and accounted for, of those that were due",
    SHARE,
    _good_share,
    *(PHASES, *_READ, RECEIPTS, FAULTS),
    higher_is_better=True,
    by_domain=False,
)
_metric(
    "time_with_faults",
    "length of a run in which a fault took effect",
    TIME,
    _time_with_faults,
    *(PHASES, FAULTS),
    higher_is_better=True,
    by_domain=False,
)
