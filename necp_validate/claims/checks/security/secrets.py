"""Secrets that are changed while the system works: passwords and certificates."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.faults import not_in_effect, seconds
from necp_validate.claims.metrics.recovery import longest_silence_s, longest_unhandled_s, span_of
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import CERTIFICATES, FAULTS, PASSWORDS, SENDERS, TIMELINE
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import CertificateSwap, FaultRecord, PasswordChange, Record, parts

_NOT_RELOADED = "what controllers show each other as clients changes with a broker's next start only"

PASSWORD_KIND = "password-rotation"
CERTIFICATE_KINDS = ("certificate-reload", "certificate-expiring", "ca-rollover")
_DAY_US = 86_400 * 1_000_000
_AROUND_US = 10_000_000


@check("password-rotation", FAULTS_SUBJECT, SENDERS, TIMELINE, FAULTS, PASSWORDS, limits=("downtime_s",))
def password_rotation(history: Record) -> Finding:
    """Passwords that were changed under load: an old one that still works, a new one that is not used, a silence."""
    name = "password-rotation"
    faults = [fault for fault in faults_for(history, "SEC-SECRETS") if fault.kind == PASSWORD_KIND]
    if not faults:
        return not_applicable(name, "no password was changed in this run")
    changes = {change.fault: change for change in history.password_changes}
    anomalies = Anomalies(name, history)
    notes = []
    for fault in faults:
        change = changes.get(fault.id)
        if fault.needs or change is None:
            anomalies.doubt(fault.id, fault.needs or "its clients were not watched until their logins had ended")
            continue
        _judge_password(anomalies, history, change)
        _downtime(anomalies, history, fault, recorded(change.watched_us, "watched_us", parts.PASSWORD_CHANGES))
        notes.append(_password_note(history, change))
    gaps = [change.gap_ms for change in changes.values() if change.gap_ms is not None]
    window = f", known to every client within {max(gaps):,.0f} ms" if gaps else ""
    measured = f"{len(faults)} passwords changed{window}"
    return anomalies.finding(
        clean="; ".join([measured, *notes]),
        found="; ".join([f"{{count}} things wrong with {measured}", *notes]),
        measured=measured,
        sees=f"1 login with an old password, or {limit(history, 'downtime_s'):g} s without success",
    )


def _judge_password(anomalies: Anomalies, history: Record, change: PasswordChange) -> None:
    who = change.principal
    anomalies.add(int(change.refused_us is None), who, "a broker did not refuse the old password")
    if change.let_in_later:
        of = f"{change.let_in_later} of {change.tried_later}"
        anomalies.add(change.let_in_later, who, f"{of} logins with the old password were let in afterwards")
    elif not change.tried_later:
        anomalies.doubt(who, "no broker answered who tried the old password afterwards")
    anomalies.add(int(change.accepted_us is None), who, "a broker did not accept the new password")
    without = [client for client, at in change.taken_us.items() if at is None]
    anomalies.add(len(without), who, f"{', '.join(without)} never had the new password")
    if not change.taken_us:
        anomalies.doubt(who, "no client was at work")
    elif not change.session_ms:
        anomalies.doubt(who, "logins hold for ever: nobody had to use the new password")
    elif not without and change.renewed_us is None:
        anomalies.doubt(who, "the watching ended before every login from before")
    elif change.renewed_us is not None:
        tried, done = _work_after(history, change, change.renewed_us)
        why = f"of {tried:,} events after the last login from before had ended, none was done"
        if not done and tried:
            anomalies.add(1, who, why)
        elif not done:
            anomalies.doubt(who, why)


def _work_after(history: Record, change: PasswordChange, from_us: int) -> tuple[int, int]:
    """Events that were sent and acknowledged after a time; of the event core, acknowledged and handled."""
    tried = done = 0
    for row in history.timeline:
        if row.domain not in change.domains or row.t * 1e6 <= from_us:
            continue
        ended = row.ended
        of_core = len(change.domains) > 1
        tried += row.acked if of_core else row.sent
        done += ended if of_core else row.acked
    return tried, done


def _password_note(history: Record, change: PasswordChange) -> str:
    parts = [f"{change.principal}: {len(change.taken_us)} clients"]
    if change.gap_ms is not None:
        parts.append(f"who connects anew may be refused for {change.gap_ms:,.0f} ms")
    if change.renewed_us is not None:
        _, done = _work_after(history, change, change.renewed_us)
        parts.append(f"logins renewed within {change.session_ms / 1000:g} s, {done:,} events after that")
    others = [domain for domain in history.domains if len(change.domains) > 1 or domain not in change.domains]
    parts.append(_latency_words(history, others, change.asked_us, change.watched_us or change.asked_us))
    return ", ".join(filter(None, parts))


@check(
    "certificate-swap",
    FAULTS_SUBJECT,
    *(SENDERS, TIMELINE, FAULTS, CERTIFICATES),
    limits=("downtime_s", "certificate_days"),
)
def certificate_swap(history: Record) -> Finding:
    """Certificates that were changed under load: one that is not served, or not for long; a restart; a silence."""
    name = "certificate-swap"
    faults = [fault for fault in faults_for(history, "SEC-CERTS") if fault.kind in CERTIFICATE_KINDS]
    if not faults:
        return not_applicable(name, "no certificate was changed in this run")
    anomalies = Anomalies(name, history)
    swaps = history.certificate_swaps
    for fault in faults:
        mine = [swap for swap in swaps if swap.fault == fault.id]
        if fault.needs or not mine:
            anomalies.doubt(fault.id, fault.needs or "what is served was not recorded")
            continue
        for swap in mine:
            _judge_swap(anomalies, history, swap)
        if reason := not_in_effect(fault):
            anomalies.doubt(fault.id, reason)
        _downtime(anomalies, history, fault, span_of(history, fault)[1])
    renewed = [swap for swap in swaps if swap.how == "renewal" and swap.served_us is not None]
    schedule = "renewed by itself when due" if renewed else "only the swap was shown, not the schedule"
    others = [
        _latency_words(history, history.domains, fault.begin_us, span_of(history, fault)[1]) for fault in faults[:1]
    ]
    notes = [*filter(None, [schedule, _NOT_RELOADED, *(f"{f.id}: {f.evidence}" for f in faults), *others])]
    measured = f"{len(swaps)} certificates swapped on {len({swap.broker for swap in swaps})} brokers"
    return anomalies.finding(
        clean="; ".join([measured, *notes]),
        found="; ".join([f"{{count}} things wrong with {measured}", *notes]),
        measured=measured,
        sees=f"1 listener with another certificate, or {limit(history, 'downtime_s'):g} s without success",
    )


def _judge_swap(anomalies: Anomalies, history: Record, swap: CertificateSwap) -> None:
    where = f"listener {swap.listener} of broker {swap.broker}"
    if not swap.served:
        anomalies.doubt(where, "it showed no certificate")
        return
    if swap.served in (swap.before, "") or swap.served != swap.issued:
        anomalies.add(1, where, f"it serves {swap.served} and not the new {swap.issued or 'one'} ({swap.how})")
        return
    if not swap.pid_before or not swap.pid_after:
        anomalies.doubt(where, "whether the broker was restarted cannot be seen")
    elif swap.pid_before != swap.pid_after:
        anomalies.add(1, where, f"the broker was restarted: process {swap.pid_before}, then {swap.pid_after}")
    left_days = (swap.valid_until_us - (swap.served_us or swap.asked_us)) / _DAY_US
    if left_days < limit(history, "certificate_days"):
        anomalies.add(1, where, f"it serves a certificate that is valid for {left_days:.1f} days")


def _downtime(anomalies: Anomalies, history: Record, fault: FaultRecord, until_us: int) -> None:
    """Silences from when a change was asked for until it is in use.

    Raises:
        NoEvidence: the load workers did not record silences by partition.
    """
    if not history.loads or any(load.gaps is None for load in history.loads):
        raise NoEvidence("the load workers did not record the silences of single partitions")
    if history.sees_ends(history.domains) and any(load.outcome_gaps is None for load in history.loads):
        raise NoEvidence("the load workers did not record in which times no event ended")
    silences = {
        "a partition": longest_silence_s(history, fault.begin_us, until_us),
        **{
            f"the event core, {domain}": longest_unhandled_s(history, domain, fault.begin_us, until_us)
            for domain in history.domains
        },
    }
    for who, took_s in silences.items():
        if took_s >= limit(history, "downtime_s"):
            anomalies.add(1, fault.id, f"{who} was without success for {seconds(took_s)}")


def _latency_words(history: Record, domains: Iterable[str], from_us: int, until_us: int) -> str:
    """What the domains' latency was before, during and after, as the median of each second's P99."""
    wanted = set(domains)
    spans = {
        "before": (from_us - _AROUND_US, from_us),
        "during": (from_us, until_us),
        "after": (until_us, until_us + _AROUND_US),
    }
    parts = []
    for when, (begin, end) in spans.items():
        values = [
            row.e2e_p99_ms
            for row in history.timeline
            if row.domain in wanted and row.e2e_p99_ms is not None and begin < row.t * 1e6 <= end
        ]
        parts.append(f"{median(values):,.0f} ms {when}" if values else f"none {when}")
    return f"P99 of {', '.join(sorted(wanted))}: {', '.join(parts)}" if wanted else ""
