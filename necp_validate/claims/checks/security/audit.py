"""The audit trail: complete, sealed, not to be tampered with unseen, kept long enough."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import AUDIT, ROUNDS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import AUDIT as AUDIT_SUBJECT
from necp_validate.record import REFUSED, Record, parts
from necp_validate.record.audit import AuditRecord, Covered, TrailRead

_DAY_MS = 24 * 60 * 60 * 1000
_ENOUGH_TAMPERINGS = 5
_PRIVATE = 0o600


def need_audit(history: Record) -> AuditRecord:
    """What was read of the trail.

    Raises:
        NoEvidence: nothing was.
    """
    if history.audit is None:
        raise NoEvidence("the audit trail was not read: the scenario has no [security] with audit = true")
    if history.audit.needs:
        raise NoEvidence(f"the audit trail was not read: {history.audit.needs}")
    return history.audit


@check("audit-trail", AUDIT_SUBJECT, AUDIT, ROUNDS)
def audit_trail(history: Record) -> Finding:
    """Records in clear, shut, altered or gone, nonces that came back, and security events without an entry."""
    record = need_audit(history)
    trail, anomalies = recorded(record.trail, "trail", parts.AUDIT), Anomalies("audit-trail", history)
    events, violations, provoked = (
        recorded(getattr(record, name), name, parts.AUDIT) for name in ("events", "violations", "provoked")
    )
    for kind, count in (
        ("clear", trail.clear),
        ("unopened", trail.unopened),
        ("nonce", trail.nonces_repeated),
        ("chain", trail.chain_breaks),
    ):
        first = next((one for one in trail.examples if one.kind == kind), None)
        anomalies.add(count, first.where if first else kind, first.detail if first else "")
    for covered in (events, violations, provoked):
        first = next(iter(covered.examples), None)
        anomalies.add(covered.missing, first.where if first else "", f"no entry: {first.detail if first else ''}")
    _doubts(anomalies, history, trail, events=events, violations=violations, provoked=provoked)
    lost = (
        f"; the removal of {trail.unnoted:,} records of cores that were killed would not show" if trail.unnoted else ""
    )
    return anomalies.finding(
        clean=f"{trail.opened:,} records in {trail.chains:,} chains are sealed, in order and open; "
        f"each of {events.due:,} audit events and {violations.due:,} refusals in brokers' logs has one"
        f"{lost}",
        found="{count} records or events are not as they must be",
        measured=f"{trail.records:,} records, {provoked.due - provoked.missing:,} of "
        f"{provoked.due:,} provoked violations",
        sees="1 record that is altered, removed or in clear, or 1 security event without one",
    )


def _doubts(
    anomalies: Anomalies, history: Record, trail: TrailRead, *, events: Covered, violations: Covered, provoked: Covered
) -> None:
    """What the evidence lacks."""
    refused: set[str] = set()
    for one in history.security:
        refused.update(probe.log_line for probe in one.listeners if probe.outcome == REFUSED)
        refused.update(probe.log_line for probe in one.access if probe.outcome == REFUSED)
    refused.discard("")
    if not refused:
        anomalies.doubt("brokers' logs", "no attempt was refused that a broker has logged")
    elif provoked.due < len(refused):
        missed = len(refused) - provoked.due
        anomalies.doubt("brokers' logs", f"{missed:,} lines on refused attempts were not looked for")
    if violations.due < provoked.due:
        words = f"{violations.due:,} refusals were looked for, and {provoked.due:,} provoked"
        anomalies.doubt("brokers' logs", words)
    if trail.records < events.due - events.missing:
        words = f"{trail.records:,} records cannot hold {events.due - events.missing:,} events"
        anomalies.doubt("audit trail", words)
    if not trail.opened or not trail.chains:
        anomalies.doubt("audit trail", "there is no record in it, or no chain")
    known = trail.opened + trail.erased + trail.repeated + trail.clear + trail.unopened
    if known != trail.records and not trail.chain_breaks:
        words = f"it has {trail.records:,} records, {known:,} of them opened, erased, repeated or wrong"
        anomalies.doubt("audit trail", words)


@check("audit-retention", AUDIT_SUBJECT, AUDIT, limits=("audit_days",))
def audit_retention(history: Record) -> Finding:
    """An audit topic that does not keep its records for long enough, or a keyring that is open to others."""
    record, anomalies = need_audit(history), Anomalies("audit-retention", history)
    days = limit(history, "audit_days")
    where = "topic of the audit trail"
    kept = "unknown"
    if record.retention_ms is None:
        anomalies.doubt(where, "the brokers did not say how long it is kept")
    elif record.retention_ms >= 0:
        kept = f"{record.retention_ms / _DAY_MS:,.0f} days"
        anomalies.add(int(record.retention_ms < days * _DAY_MS), where, f"kept {kept} instead of {days:,.0f}")
    else:
        kept = "for ever"
    if record.retention_bytes is None:
        anomalies.doubt(where, "the brokers did not say by which size it is cut")
    elif record.retention_bytes >= 0:
        anomalies.add(1, where, f"older records are removed beyond {record.retention_bytes:,} bytes")
    if not record.cleanup_policy:
        anomalies.doubt(where, "the brokers did not say what its cleanup.policy is")
    elif record.cleanup_policy != "delete":
        words = f"cleanup.policy is {record.cleanup_policy}: records with a key that comes again are removed"
        anomalies.add(1, where, words)
    if record.keyring_mode is None:
        anomalies.doubt("keyring", "who may read it was not recorded")
    elif record.keyring_mode & ~_PRIVATE:
        anomalies.add(1, "keyring", f"open to others (mode {record.keyring_mode:o})")
    return anomalies.finding(
        clean=f"kept {kept}, the keyring is private",
        found="{count} settings of the audit trail are not as claimed",
        measured=f"kept {kept}",
        sees="1 day less",
    )


@check("audit-tampering", AUDIT_SUBJECT, AUDIT)
def audit_tampering(history: Record) -> Finding:
    """Drills on copies of the records: a tampering that is not seen, a rotation or an erasure that does not hold."""
    record, anomalies = need_audit(history), Anomalies("audit-tampering", history)
    for name, drill in (("rotation of the key", record.rotation), ("erasure of a person", record.erasure)):
        if drill is None:
            anomalies.doubt(name, "no drill")
    tampering = recorded(record.tampering, "tampering", parts.AUDIT)
    drills = [*(one for one in (record.rotation, record.erasure) if one is not None), *tampering]
    for one in drills:
        anomalies.add(int(not one.held), one.name, one.evidence)
    if len({one.name for one in tampering}) < _ENOUGH_TAMPERINGS:
        anomalies.doubt("tampering", "too few records lie one after the other to tamper with copies of them")
    detected = sum(one.held for one in tampering)
    return anomalies.finding(
        clean="; ".join(one.evidence for one in drills),
        found="{count} drills did not hold",
        measured=f"{detected} of {len(tampering)} tamperings seen",
        sees="1 record that is changed, left out, added or moved",
    )
