"""The check and the claim of the audit trail: complete, sealed, not to be tampered with unseen, kept long enough."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Finding, Verdict
from necp_validate.record import REFUSED, History
from necp_validate.record.audit import AuditDrill, AuditRecord

RETENTION_DAYS = 2_555
_DAY_MS = 24 * 60 * 60 * 1000
_ENOUGH_TAMPERINGS = 5
_PRIVATE = 0o600


def need_audit(history: History) -> AuditRecord:
    """What was read of the trail.

    Raises:
        NoEvidence: nothing was.
    """
    if history.audit is None:
        raise NoEvidence("the audit trail was not read: the scenario has no [security] with audit = true")
    if history.audit.needs:
        raise NoEvidence(f"the audit trail was not read: {history.audit.needs}")
    return history.audit


@check("audit-trail")
def audit_trail(history: History) -> Finding:
    """Records in clear, shut, altered or gone, nonces that came back, and security events without an entry."""
    security = history.run.config.get("security")
    if history.audit is None and not (isinstance(security, dict) and security.get("audit")):
        return Finding(
            name="audit-trail", verdict=Verdict.PASS, count=0, summary="the scenario does not read the audit trail"
        )
    record = need_audit(history)
    trail, anomalies = record.trail, Anomalies("audit-trail", history)
    for kind, count in (
        ("clear", trail.clear),
        ("unopened", trail.unopened),
        ("nonce", trail.nonces_repeated),
        ("chain", trail.chain_breaks),
    ):
        first = next((one for one in trail.examples if one.kind == kind), None)
        anomalies.add(count, first.where if first else kind, first.detail if first else "")
    for covered in (record.events, record.violations, record.provoked):
        first = next(iter(covered.examples), None)
        anomalies.add(covered.missing, first.where if first else "", f"no entry: {first.detail if first else ''}")
    return anomalies.finding(
        clean=f"{trail.opened:,} records in {trail.chains:,} chains are sealed, in order and open; "
        f"each of {record.events.due:,} audit events and {record.violations.due:,} refusals in brokers' logs has one",
        found="{count} records or events are not as they must be",
        needs_all_workers=False,
    )


@judges("SEC-AUDIT", f"every security event, kept {RETENTION_DAYS:,} days, AES-256-GCM; tampering detected")
def audit(evidence: Evidence) -> Ruling:
    """The trail, its topic and its keys, and what was done to them."""
    history = evidence.history
    record = need_audit(history)
    finding = evidence.finding("audit-trail")
    gaps = _gaps(history, record)
    wrong = [finding.summary] if finding.count else []
    wrong += _wrong_settings(record)
    wrong += [f"{one.name}: {one.evidence}" for one in _drills(record) if not one.held]
    days = "unknown" if record.retention_ms is None else f"{record.retention_ms / _DAY_MS:,.0f}"
    detected = sum(one.held for one in record.tampering)
    measured = (
        f"{record.trail.records:,} records, {record.provoked.due - record.provoked.missing:,} of "
        f"{record.provoked.due:,} provoked violations, {days} days, {detected} of {len(record.tampering)} tamperings"
    )
    told = "; ".join([*wrong, *gaps] or [finding.summary, *(one.evidence for one in _drills(record)[:2])])
    if record.trail.unnoted:
        told += f"; the removal of {record.trail.unnoted:,} records of cores that were killed would not show"
    verdict = Verdict.FAIL if wrong else Verdict.UNKNOWN if gaps else Verdict.PASS
    return Ruling(verdict=verdict, measured=measured, evidence=told)


def _drills(record: AuditRecord) -> list[AuditDrill]:
    return [*(one for one in (record.rotation, record.erasure) if one is not None), *record.tampering]


def _wrong_settings(record: AuditRecord) -> list[str]:
    """What is not as claimed of the topic and of the keys' file."""
    wrong = []
    if record.retention_ms is not None and 0 <= record.retention_ms < RETENTION_DAYS * _DAY_MS:
        wrong.append(f"kept {record.retention_ms / _DAY_MS:,.1f} days instead of {RETENTION_DAYS:,}")
    if record.retention_bytes is not None and record.retention_bytes >= 0:
        wrong.append(f"older records are removed beyond {record.retention_bytes:,} bytes")
    if record.cleanup_policy and record.cleanup_policy != "delete":
        wrong.append(f"cleanup.policy is {record.cleanup_policy}: records with a key that comes again are removed")
    if record.keyring_mode & ~_PRIVATE:
        wrong.append(f"the keyring is open to others (mode {record.keyring_mode:o})")
    return wrong


def _gaps(history: History, record: AuditRecord) -> list[str]:
    """What the evidence lacks."""
    gaps = []
    refused: set[str] = set()
    for one in history.security:
        refused.update(probe.log_line for probe in one.listeners if probe.outcome == REFUSED)
        refused.update(probe.log_line for probe in one.access if probe.outcome == REFUSED)
    refused.discard("")
    if not refused:
        gaps.append("no attempt was refused that a broker has logged")
    elif record.provoked.due < len(refused):
        gaps.append(f"{len(refused) - record.provoked.due:,} lines on refused attempts were not looked for")
    if not record.trail.opened:
        gaps.append("there is no record in the trail")
    if record.retention_ms is None:
        gaps.append("the brokers did not tell how long the topic is kept")
    gaps += [
        f"no drill: {name}"
        for name, drill in (("rotation of the key", record.rotation), ("erasure of a person", record.erasure))
        if drill is None
    ]
    if len(record.tampering) < _ENOUGH_TAMPERINGS:
        gaps.append("too few records lie one after the other to tamper with copies of them")
    return gaps
