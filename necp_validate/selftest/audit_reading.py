"""Reads the simulated audit trail with the code that reads real ones."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode
from necp_validate.events.system import AuditV2
from necp_validate.events.topics import Domain
from necp_validate.record.audit import AuditRecord
from necp_validate.security.audit import Rotation, events_covered, judge_erasure, judge_rotation, tampering_drills
from necp_validate.security.trail import Entry, StoredRecord, read_trail
from necp_validate.security.violations import covered, violation_of
from necp_validate.selftest.auditing import AFTER, BEFORE, COLLECTOR, MemoryKeys, pseudonym_of, seal_all
from necp_validate.selftest.simulation import Simulation


def audit_record(simulation: Simulation) -> AuditRecord:
    """What a reader finds of the run's audit trail."""
    audited = simulation.audited
    if audited.needs:
        return AuditRecord(needs=audited.needs)
    lines = [probe.log_line for probe in simulation.attempts.listeners if probe.log_line]
    collected = [entry for entry in map(_collected, range(len(lines)), lines) if entry is not None]
    entries = [*_reported(simulation), *collected[audited.left_out :]]
    records, ends = seal_all(entries, key_after=audited.key_after, nonce_again=audited.nonce_again)
    audited.change(records)
    keys = MemoryKeys(ends=ends if audited.ends_noted else [])
    trail = read_trail(records, keys)
    opened = {entry.id: entry for entry, _, _ in trail.entries}
    person = entries[0].actor
    after = MemoryKeys(ends=keys.ends, erased={pseudonym_of(person)} if audited.erasing_works else set())
    return AuditRecord(
        trail=trail.summary(),
        events=events_covered(_log(simulation), opened),
        violations=covered(lines, opened.values(), servers=[COLLECTOR]),
        provoked=covered(set(lines), opened.values(), servers=[COLLECTOR]),
        retention_ms=audited.retention_ms,
        retention_bytes=-1,
        cleanup_policy="delete",
        keyring_mode=audited.keyring_mode,
        rotation=judge_rotation(trail, Rotation(before=BEFORE, after=AFTER)),
        erasure=judge_erasure(person, 1, trail, read_trail(records, after)),
        tampering=tuple(tampering_drills(records, keys, trail)),
    )


def _log(simulation: Simulation) -> list[StoredRecord]:
    return [
        StoredRecord(record.partition, record.offset, record.key, record.value)
        for record in simulation.records()
        if record.sent.domain is Domain.SYSTEM
    ]


def _reported(simulation: Simulation) -> Iterator[Entry]:
    """The audit events that game servers sent, as the event core enters them."""
    for record in _log(simulation):
        try:
            event = decode(record.value)
        except InvalidEvent:
            continue
        data = event.data
        if isinstance(data, AuditV2):
            said = (data.actor, data.action, data.resource, data.decision, data.severity, data.source)
            yield Entry(event.id, event.key, event.ts, *said)


def _collected(number: int, line: str) -> Entry | None:
    """What the collector makes of a broker's line."""
    violation = violation_of(line)
    if violation is None:
        return None
    _, at_ms, broker, peer = violation
    return Entry(
        f"c011ec70-{number:012d}",
        COLLECTOR,
        int(at_ms) * 1000,
        "unauthenticated",
        "AUTHENTICATE: SSL handshake failed",
        f"{broker}:INTERNAL",
        "denied",
        "warning",
        peer,
    )
