"""Does the record add up? Every figure that is recorded twice must be the same in both places.

An event is counted by stream, by the phase that it was due in, by the second in which it was reported, and in
histograms; the brokers' positions, the consumers' lag and the leaders' epochs say the same again, in their own way. Two
copies that differ name both sides and both files: what rests on them is unknown, since one of the two is wrong. What
only a target explains that does not do what it says is a violation of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from necp_validate.evidence.inventory import (
    ACK_LATENCY,
    COMMIT_TIMES,
    DRAIN,
    END_TO_END,
    EVENTS_READ,
    FAULTS,
    LAG,
    LATENESS,
    LEADERS,
    PLAYERS,
    PLAYERS_TIMELINE,
    RECEIPTS,
    SENDERS,
    TIMELINE,
    WITNESS,
    Evidence,
)
from necp_validate.evidence.reconcile.discrepancy import Discrepancy
from necp_validate.evidence.reconcile.elections import elections_have_causes
from necp_validate.evidence.reconcile.events import (
    drain_is_last_end,
    ends_are_appended,
    errors_are_failures,
    outcomes_are_latencies,
    phases_are_histograms,
    phases_are_timeline,
    reading_adds_up,
    streams_add_up,
    streams_are_phases,
)
from necp_validate.evidence.reconcile.faults import faults_have_experiments
from necp_validate.evidence.reconcile.lag import lag_is_latency
from necp_validate.evidence.reconcile.players import players_add_up
from necp_validate.evidence.reconcile.silences import silences_are_in_rows
from necp_validate.evidence.subjects import BACKLOG, COMMIT_TIME_KNOWN, EVENT_CORE, LOAD, OUTCOMES, Subject
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.evidence.subjects import PLAYERS as PLAYERS_SUBJECT
from necp_validate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """One comparison.

    Args:
        compare: yields what differs.
        subject: without it in the scenario there is nothing to compare.
        evidence: without which nothing that differs proves nothing.
    """

    compare: Callable[[Record], Iterator[Discrepancy]]
    subject: Subject = LOAD
    evidence: tuple[Evidence, ...] = ()


RECONCILERS: Mapping[str, Reconciler] = {
    "stream-account": Reconciler(compare=streams_add_up, evidence=(SENDERS,)),
    "phase-account": Reconciler(compare=streams_are_phases, evidence=(SENDERS,)),
    "error-account": Reconciler(compare=errors_are_failures, evidence=(SENDERS,)),
    "drain-account": Reconciler(compare=drain_is_last_end, subject=BACKLOG, evidence=(SENDERS, DRAIN)),
    "timeline-account": Reconciler(compare=phases_are_timeline, evidence=(SENDERS, TIMELINE)),
    "histogram-account": Reconciler(compare=phases_are_histograms, evidence=(SENDERS, ACK_LATENCY, LATENESS)),
    "outcome-account": Reconciler(compare=outcomes_are_latencies, subject=OUTCOMES, evidence=(TIMELINE, END_TO_END)),
    "end-account": Reconciler(compare=ends_are_appended, subject=OUTCOMES, evidence=(SENDERS, RECEIPTS, WITNESS)),
    "position-account": Reconciler(compare=reading_adds_up, evidence=(EVENTS_READ,)),
    "silence-account": Reconciler(compare=silences_are_in_rows, evidence=(SENDERS, TIMELINE)),
    "fault-account": Reconciler(compare=faults_have_experiments, subject=FAULTS_SUBJECT, evidence=(FAULTS,)),
    "unexplained-election": Reconciler(compare=elections_have_causes, subject=EVENT_CORE, evidence=(LEADERS,)),
    "players-account": Reconciler(
        compare=players_add_up, subject=PLAYERS_SUBJECT, evidence=(PLAYERS, PLAYERS_TIMELINE)
    ),
    "implausible-latency": Reconciler(
        compare=lag_is_latency, subject=COMMIT_TIME_KNOWN, evidence=(LAG, END_TO_END, COMMIT_TIMES)
    ),
}
"""By the name of the check that reports it."""


def distrusted(found: Iterable[Discrepancy]) -> dict[str, str]:
    """Parts of the record that do not add up, with the first reason for each."""
    reasons: dict[str, str] = {}
    for one in found:
        for part in one.parts:
            reasons.setdefault(part, f"{one.where}: {one.detail}")
    return reasons
