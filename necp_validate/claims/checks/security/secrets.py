"""Claims about secrets that are changed while the system works: passwords and certificates."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from necp_validate.claims.checks.faults.failover import Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import faults_for, not_in_effect, seconds
from necp_validate.claims.checks.faults.recovery import longest_silence_s, longest_unhandled_s, span_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import CertificateSwap, FaultRecord, History, PasswordChange

DOWNTIME_S = 5.0
"""So long may no partition and no client be without success, from when a secret is changed until it is in use."""

LEAST_VALID_DAYS = 30
"""A certificate that ends sooner is one that should have been renewed."""

_NOT_RELOADED = "what controllers show each other as clients changes with a broker's next start only"

PASSWORD_KIND = "password-rotation"
CERTIFICATE_KINDS = ("certificate-reload", "certificate-expiring", "ca-rollover")
_DAY_US = 86_400 * 1_000_000
_AROUND_US = 10_000_000


@judges(
    "SEC-SECRETS",
    "changed under load: the old one refused, the new one in use by every client, 0 acked lost, < 5 s without success",
)
def passwords(evidence: Evidence) -> Ruling:
    """Every password that was changed in the run."""
    history = evidence.history
    faults = [fault for fault in faults_for(history, "SEC-SECRETS") if fault.kind == PASSWORD_KIND]
    if not faults:
        raise NoEvidence("no password was changed in this run")
    changes = {change.fault: change for change in history.drills.passwords}
    _, problems, lost = losses(evidence)
    notes = []
    for fault in faults:
        change = changes.get(fault.id)
        if fault.needs or change is None:
            reason = fault.needs or "its clients were not watched until their logins had ended"
            problems.append((Verdict.UNKNOWN, f"{fault.id}: {reason}"))
            continue
        problems += _password_problems(history, change)
        problems += _downtime(history, fault, change.watched_us)
        notes.append(_password_note(history, change))
    gaps = [change.gap_ms for change in changes.values() if change.gap_ms is not None]
    window = f", known to every client within {max(gaps):,.0f} ms" if gaps else ""
    return ruling(problems, f"{len(faults)} passwords changed{window}; {lost}", "; ".join(notes))


def _password_problems(history: History, change: PasswordChange) -> Iterable[Problem]:
    who = change.principal
    if change.refused_us is None:
        yield Verdict.FAIL, f"a broker did not refuse the old password of {who}"
    if change.let_in_later:
        of = f"{change.let_in_later} of {change.tried_later}"
        yield Verdict.FAIL, f"{of} logins of {who} with the old password were let in afterwards"
    elif not change.tried_later:
        yield Verdict.UNKNOWN, f"no broker answered who tried the old password of {who} afterwards"
    if change.accepted_us is None:
        yield Verdict.FAIL, f"a broker did not accept the new password of {who}"
    without = [client for client, at in change.taken_us.items() if at is None]
    if without:
        yield Verdict.FAIL, f"{', '.join(without)} never had the new password of {who}"
    if not change.taken_us:
        yield Verdict.UNKNOWN, f"no client of {who} was at work"
    elif not change.session_ms:
        yield Verdict.UNKNOWN, f"logins of {who} hold for ever: nobody had to use the new password"
    elif not without and change.renewed_us is None:
        yield Verdict.UNKNOWN, f"{who}: the watching ended before every login from before"
    elif change.renewed_us is not None:
        tried, done = _work_after(history, change, change.renewed_us)
        if not done:
            why = f"{who}: of {tried:,} events after the last login from before had ended, none was done"
            yield (Verdict.FAIL if tried else Verdict.UNKNOWN), why


def _work_after(history: History, change: PasswordChange, from_us: int) -> tuple[int, int]:
    """Events that were sent and acknowledged after a time; of the event core, acknowledged and handled."""
    tried = done = 0
    for row in history.timeline:
        if row.domain not in change.domains or row.t * 1e6 <= from_us:
            continue
        ended = (row.processed or 0) + (row.rejected or 0) + (row.dead_lettered or 0)
        of_core = len(change.domains) > 1
        tried += row.acked if of_core else row.sent
        done += ended if of_core else row.acked
    return tried, done


def _password_note(history: History, change: PasswordChange) -> str:
    parts = [f"{change.principal}: {len(change.taken_us)} clients"]
    if change.gap_ms is not None:
        parts.append(f"who connects anew may be refused for {change.gap_ms:,.0f} ms")
    if change.renewed_us is not None:
        _, done = _work_after(history, change, change.renewed_us)
        parts.append(f"logins renewed within {change.session_ms / 1000:g} s, {done:,} events after that")
    others = [domain for domain in history.domains if len(change.domains) > 1 or domain not in change.domains]
    parts.append(_latency_words(history, others, change.asked_us, change.watched_us))
    return ", ".join(filter(None, parts))


@judges(
    "SEC-CERTS",
    "swapped under load without a restart: the new one served at every listener, valid for ≥ 30 days, 0 acked lost, "
    "< 5 s without success",
)
def certificates(evidence: Evidence) -> Ruling:
    """Every certificate that was changed in the run."""
    history = evidence.history
    faults = [fault for fault in faults_for(history, "SEC-CERTS") if fault.kind in CERTIFICATE_KINDS]
    if not faults:
        raise NoEvidence("no certificate was changed in this run")
    _, problems, lost = losses(evidence)
    swaps = history.drills.certificates
    for fault in faults:
        mine = [swap for swap in swaps if swap.fault == fault.id]
        if fault.needs or not mine:
            problems.append((Verdict.UNKNOWN, f"{fault.id}: {fault.needs or 'what is served was not recorded'}"))
            continue
        for swap in mine:
            problems += _swap_problems(swap)
        if reason := not_in_effect(fault):
            problems.append((Verdict.UNKNOWN, reason))
        problems += _downtime(history, fault, span_of(history, fault)[1])
    renewed = [swap for swap in swaps if swap.how == "renewal" and swap.served_us is not None]
    schedule = "renewed by itself when due" if renewed else "only the swap was shown, not the schedule"
    others = [
        _latency_words(history, history.domains, fault.begin_us, span_of(history, fault)[1]) for fault in faults[:1]
    ]
    note = "; ".join(filter(None, [schedule, _NOT_RELOADED, *(f"{f.id}: {f.evidence}" for f in faults), *others]))
    brokers = {swap.broker for swap in swaps}
    return ruling(problems, f"{len(swaps)} certificates swapped on {len(brokers)} brokers; {lost}", note)


def _swap_problems(swap: CertificateSwap) -> Iterable[Problem]:
    where = f"listener {swap.listener} of broker {swap.broker}"
    if not swap.served:
        yield Verdict.UNKNOWN, f"{where} showed no certificate"
        return
    if swap.served in (swap.before, "") or swap.served != swap.issued:
        yield Verdict.FAIL, f"{where} serves {swap.served} and not the new {swap.issued or 'one'} ({swap.how})"
        return
    if not swap.pid_before or not swap.pid_after:
        yield Verdict.UNKNOWN, f"whether broker {swap.broker} was restarted cannot be seen"
    elif swap.pid_before != swap.pid_after:
        yield Verdict.FAIL, f"broker {swap.broker} was restarted: process {swap.pid_before}, then {swap.pid_after}"
    left_days = (swap.valid_until_us - (swap.served_us or swap.asked_us)) / _DAY_US
    if left_days < LEAST_VALID_DAYS:
        yield Verdict.FAIL, f"{where} serves a certificate that is valid for {left_days:.1f} days"


def _downtime(history: History, fault: FaultRecord, until_us: int) -> list[Problem]:
    """Silences from when a change was asked for until it is in use.

    Raises:
        NoEvidence: the load workers did not record silences by partition.
    """
    if not history.loads or any(load.gaps is None for load in history.loads):
        raise NoEvidence("the load workers did not record the silences of single partitions")
    silences = {
        "a partition": longest_silence_s(history, fault.begin_us, until_us),
        **{
            f"the event core, {domain}": longest_unhandled_s(history, domain, fault.begin_us, until_us)
            for domain in history.domains
        },
    }
    return [
        (Verdict.FAIL, f"{fault.id}: {who} was without success for {seconds(took_s)}")
        for who, took_s in silences.items()
        if took_s >= DOWNTIME_S
    ]


def _latency_words(history: History, domains: Iterable[str], from_us: int, until_us: int) -> str:
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
