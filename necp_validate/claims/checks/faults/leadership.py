"""Checks of leadership: epochs only grow, and a new leader never takes back what was acknowledged."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_loads, need_readback
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EPOCHS, EVENTS_READ, EXPLAINING_FAULTS, LEADERS, SENDERS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import EVENT_CORE
from necp_validate.record import LeaderSample, Record

_STALE_S = 10.0


@check("leader-epoch", EVENT_CORE, EVENTS_READ, EPOCHS, LEADERS, EXPLAINING_FAULTS)
def leader_epoch(history: Record) -> Finding:
    """Leader epochs that decreased: in the log, or in what the brokers said while no fault was on.

    A broker that is cut off may still answer with what it knew; that it does so under a fault proves nothing.
    """
    readback = need_readback(history)
    if readback.epochs is None and not history.leaders:
        raise NoEvidence("leader epochs were not recorded")
    anomalies = Anomalies("leader-epoch", history)
    elections = 0
    for part in readback.epochs or ():
        detail = f"{part.decreases} times, a record of an older leader lies behind one of a newer leader"
        anomalies.add(part.decreases, f"{part.topic}[{part.partition}]", detail)
    newest: dict[tuple[str, int], int] = {}
    for sample in sorted(history.leaders, key=lambda sample: sample.t):
        if sample.epoch is None:
            continue
        place = (sample.topic, sample.partition)
        known = newest.get(place)
        if known is not None and sample.epoch < known and not _under_fault(history, sample):
            detail = f"the epoch was {known}, and {sample.epoch} later (leader {sample.leader})"
            anomalies.add(1, f"{sample.topic}[{sample.partition}]", detail)
        elections += known is not None and sample.epoch > known
        newest[place] = max(sample.epoch, known or 0)
    return anomalies.finding(
        clean=f"leader epochs never decreased; {elections} elections seen",
        found="{count} times, a leader epoch decreased",
        sees="1 record behind one of a newer leader",
    )


def _under_fault(history: Record, sample: LeaderSample) -> bool:
    at_us = sample.t * 1e6
    return any(
        fault.upsets and fault.begin_us <= at_us and (fault.end_us is None or at_us <= fault.end_us + _STALE_S * 1e6)
        for fault in history.faults
    )


@check("acked-below-known", EVENT_CORE, SENDERS)
def acked_below_known(history: Record) -> Finding:
    """Acks at an offset that was acknowledged before the event was even due: the log had been cut back."""
    loads = need_loads(history)
    anomalies = Anomalies("acked-below-known", history)
    for load in loads:
        detail = f"{load.acked_below_known} acks at or below an offset known before the event was due"
        anomalies.add(load.acked_below_known, f"worker {load.worker}", detail)
    return anomalies.finding(
        clean="every ack lay above all offsets of its partition known before",
        found="{count} acks lay at or below an offset of their partition that was known before",
        sees="1 ack below an offset that was known before its event was due",
    )
