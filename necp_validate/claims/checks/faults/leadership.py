"""Checks of leadership: epochs only grow, and a new leader never takes back what was acknowledged."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.faults import LEADERLESS, broker_of, not_in_effect
from necp_validate.claims.metrics.recovery import span_of
from necp_validate.claims.needs import need_loads, need_readback
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EPOCHS, EVENTS_READ, EXPLAINING_FAULTS, FAULTS, LEADERS, REPLICAS, SENDERS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import EVENT_CORE
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
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


_FENCED_S = 10.0
"""A broker that does not answer is fenced after its session of 9 s: before that, nobody else has to lead."""
_SAMPLED_S = 3.0
"""Under a fault, leaders and replicas are sampled no more rarely than this."""


@check("leader-moved", FAULTS_SUBJECT, FAULTS, LEADERS, REPLICAS, limits=("failover_s",))
def leader_moved(history: Record) -> Finding:
    """Partitions that had no other leader, or too late, while theirs was gone: they waited, and did not fail over."""
    name = "leader-moved"
    faults = [one for one in faults_for(history, "FT-BROKER") if one.kind in LEADERLESS and not not_in_effect(one)]
    if not faults:
        return not_applicable(name, "no broker was stopped, paused or killed in this run")
    anomalies = Anomalies(name, history)
    limit_s = limit(history, "failover_s")
    fenced_s = min(_FENCED_S, limit_s)
    moved, notes = 0, []
    for fault in faults:
        broker = broker_of(fault)
        begin_s, end_s = fault.begin_us / 1e6, span_of(history, fault)[1] / 1e6
        if broker is None:
            anomalies.doubt(fault.id, f"which broker it was is not recorded ({fault.target})")
            continue
        after_s = _moves(history, broker, begin_s, end_s + _SAMPLED_S)
        left = [place for place, took_s in after_s.items() if took_s is None]
        looked = [one for one in history.isr if begin_s + fenced_s <= one.t <= end_s]
        if not after_s:
            notes.append(f"{fault.target} led no partition")
        elif left and end_s - begin_s < fenced_s:
            notes.append(f"{fault.id} was over before {len(left)} of {len(after_s)} partitions had to move")
        elif left and not looked:
            anomalies.doubt(fault.id, "nobody could look at the partitions while it lasted")
        else:
            late = [place for place, took_s in after_s.items() if took_s is not None and took_s > limit_s + _SAMPLED_S]
            moved += len(after_s) - len(left)
            of = f"of {len(after_s)} partitions"
            anomalies.add(len(left), fault.id, f"{of} {len(left)} had no other leader: {', '.join(left[:3])}")
            anomalies.add(len(late), fault.id, f"{of} {len(late)} had one after more than {limit_s:g} s: {late[:3]}")
        offline = [round(one.offline or 0) for one in looked if one.t >= begin_s + fenced_s + _SAMPLED_S]
        least = min(offline, default=0)  # of any topic: those of the coordinators, too
        anomalies.add(least, fault.id, f"{least} partitions of the cluster had no leader until it was back")
    if len(notes) == len(faults):
        return not_applicable(name, "; ".join(notes))
    return anomalies.finding(
        clean="; ".join([f"each of {moved} partitions had another leader while its own was gone", *notes]),
        found="{count} partitions had no other leader in time while their own was gone",
        measured="1 leader moved" if moved == 1 else f"{moved} leaders moved",
        sees="1 partition that waits for its broker",
    )


def _moves(history: Record, broker: int, begin_s: float, until_s: float) -> dict[str, float | None]:
    """Of the partitions that a broker led when it was taken away: after how long another led them; None if none did.

    Leadership returns much later than a broker: who leads just after it is back has led while it was gone.
    """
    leader: dict[str, int] = {}
    took_s: dict[str, float] = {}
    for sample in sorted(history.leaders, key=lambda one: one.t):
        place = f"{sample.topic}-{sample.partition}"
        if sample.t <= begin_s:
            leader[place] = sample.leader
        elif sample.t <= until_s and sample.leader not in (broker, -1):
            took_s.setdefault(place, sample.t - begin_s)
    return {place: took_s.get(place) for place, who in sorted(leader.items()) if who == broker}
