"""Reads the whole audit trail after a run, from outside, and does to its keys and to copies of it what must show."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from necp_validate.clients.reader import READER_CONFIG, topic_watermarks
from necp_validate.clients.topic_settings import topic_settings
from necp_validate.core import SuiteError, UsageError
from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode
from necp_validate.events.system import AuditV2
from necp_validate.events.topics import AUDIT_TOPIC, VERIFIER_PRINCIPAL, Domain
from necp_validate.record.audit import AuditDrill, AuditRecord, Covered, TrailSighting
from necp_validate.security.keys import KeyFile, Keys
from necp_validate.security.trail import Entry, StoredRecord, Trail, read_trail, tamperings
from necp_validate.security.violations import covered
from necp_validate.stack import Stack
from necp_validate.stack.keyring import erase_person
from necp_validate.stack.protocol import ADMIN
from necp_validate.stack.provision import admin_client

_TIMEOUT_S = 120.0
_EXAMPLES = 10
_SETTINGS = ("retention.ms", "retention.bytes", "cleanup.policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A rotation of the key during the run.

    Args:
        before: id of the key before.
        after: id of the key after.
    """

    before: int
    after: int


def audit_trail(
    stack: Stack,
    *,
    begin: Mapping[str, Sequence[int]],
    lines: Sequence[str],
    provoked: Iterable[str],
    servers: Sequence[str],
    rotation: Rotation | None,
) -> AuditRecord:
    """Read the trail and judge nothing: count. Erases one person in the end.

    Args:
        stack: a target that is up; the event core has ended.
        begin: offsets of ``game.system.events`` at which the run began.
        lines: what the brokers have logged while the collector ran.
        provoked: the lines on this suite's own attempts.
        servers: keys of the collectors' events.
        rotation: what was done to the keys during the run.

    Raises:
        SuiteError: a topic could not be read to its end.
    """
    keyring = stack.audit_keyring()
    keys = KeyFile(keyring)
    config = stack.client_config(VERIFIER_PRINCIPAL)
    records = _read(config, AUDIT_TOPIC, ())
    trail = read_trail(records, keys)
    entries = {entry.id: entry for entry, _, _ in trail.entries}
    retention = _topic_settings(stack)
    record = AuditRecord(
        trail=trail.summary(),
        events=events_covered(_read(config, Domain.SYSTEM.topic, begin.get(Domain.SYSTEM.topic, ())), entries),
        violations=covered(lines, entries.values(), servers=servers),
        provoked=covered(set(provoked), entries.values(), servers=servers),
        retention_ms=_number(retention.get("retention.ms")),
        retention_bytes=_number(retention.get("retention.bytes")),
        cleanup_policy=retention.get("cleanup.policy", ""),
        keyring_mode=keys.mode,
        rotation=None if rotation is None else judge_rotation(trail, rotation),
        tampering=tuple(tampering_drills(records, keys, trail)),
    )
    return replace(record, erasure=_erase_one(keyring, records, trail))


def events_covered(records: Iterable[StoredRecord], entries: Mapping[str, Entry]) -> Covered:
    """Whether each audit event that a domain's service may handle has an entry that says the same."""
    due, missing = 0, 0
    examples: list[TrailSighting] = []
    for record in records:
        try:
            event = decode(record.value)
        except InvalidEvent:
            continue
        data = event.data
        if not isinstance(data, AuditV2) or event.key.encode() != record.key:
            continue
        due += 1
        said = (data.actor, data.action, data.resource, data.decision, data.severity, data.source)
        if entries.get(event.id) == Entry(event.id, event.key, event.ts, *said):
            continue
        missing += 1
        where = f"partition {record.partition}, offset {record.offset}"
        what = "its entry says something else" if event.id in entries else "it has no entry"
        if len(examples) < _EXAMPLES:
            examples.append(TrailSighting(kind="event", where=where, detail=f"{event.id}: {what}"))
    return Covered(due=due, missing=missing, examples=tuple(examples))


def judge_rotation(trail: Trail, rotation: Rotation) -> AuditDrill:
    """Whether one and the same writer has sealed under both keys, and all of it opens."""
    by_writer: dict[bytes, set[int]] = {}
    for _, key_id, writer in trail.entries:
        by_writer.setdefault(writer, set()).add(key_id)
    both = sum({rotation.before, rotation.after} <= used for used in by_writer.values())
    counts = trail.by_key()
    before, after = counts.get(str(rotation.before), 0), counts.get(str(rotation.after), 0)
    return AuditDrill(
        name=f"key {rotation.before} replaced by key {rotation.after} while the event core ran",
        held=bool(both and before and after) and not trail.faults["unopened"],
        evidence=f"{before:,} records open under key {rotation.before}, {after:,} under key {rotation.after}; "
        f"{both} event core(s) wrote under both without a restart",
    )


def tampering_drills(records: Sequence[StoredRecord], keys: Keys, sound: Trail) -> list[AuditDrill]:
    """Tamper with copies of the records; each must show more than the records themselves do."""
    drills = []
    for name, copy in tamperings(records, keys).items():
        found = read_trail(copy, keys)
        more = found.faults - sound.faults
        new = [one.detail for one in found.examples if one not in sound.examples]
        said = f": {new[0]}" if new else ""
        drills.append(AuditDrill(name=name, held=bool(more), evidence=f"{more.total()} signs of it{said}"))
    return drills


def _erase_one(keyring: Path, records: Sequence[StoredRecord], before: Trail) -> AuditDrill | None:
    """Erase somebody, and open everything again."""
    persons = [entry.actor for entry, _, _ in before.entries]
    if not persons:
        return None
    # Somebody with a record in the middle of the trail: there are others before and after.
    person = persons[len(persons) // 2]
    destroyed = erase_person(keyring, person)
    return judge_erasure(person, destroyed, before, read_trail(records, KeyFile(keyring)))


def judge_erasure(person: str, destroyed: int, before: Trail, after: Trail) -> AuditDrill:
    """Whether exactly one person's records are shut, and the chains hold as before."""
    theirs = sum(entry.actor == person for entry, _, _ in before.entries)
    still = sum(entry.actor == person for entry, _, _ in after.entries)
    others_before, others = len(before.entries) - theirs, len(after.entries) - still
    return AuditDrill(
        name="the keys of one person destroyed",
        held=bool(theirs and destroyed)
        and still == 0
        and others == others_before
        and after.erased == before.erased + theirs
        and after.faults == before.faults,
        evidence=f"{theirs - still:,} of their {theirs:,} records are shut, {others:,} of {others_before:,} others "
        f"open, {after.tampered - before.tampered} chain breaks more",
    )


def _topic_settings(stack: Stack) -> dict[str, str]:
    """What the brokers say of the audit topic; nothing if they cannot be asked."""
    try:
        admin = admin_client(stack.client_config(ADMIN))
        return topic_settings(admin, [AUDIT_TOPIC], _SETTINGS).get(AUDIT_TOPIC, {})
    except (KafkaException, TimeoutError, UsageError):
        return {}


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _read(config: Mapping[str, str], topic: str, begin: Sequence[int]) -> list[StoredRecord]:
    """Read a topic to its present end; from ``begin`` by partition, else from where it begins.

    Raises:
        SuiteError: it took too long, or may not be read.
    """
    left, places = {}, []
    for (_, number), (low, high) in sorted(topic_watermarks(config, [topic]).items()):
        start = max(low, begin[number]) if number < len(begin) else low
        if high > start:
            left[number] = high
            places.append(TopicPartition(topic, number, start))
    if not places:
        return []
    consumer = Consumer({**config, **READER_CONFIG, "log_level": "0"})
    records: list[StoredRecord] = []
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        consumer.assign(places)
        while left:
            if time.monotonic() > deadline:
                raise SuiteError(f"{topic}: the end of {len(left)} partitions was not reached in {_TIMEOUT_S:g} s")
            for message in consumer.consume(1_000, 0.2):
                number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                if error is None:
                    records.append(StoredRecord(number, offset, message.key() or b"", message.value() or b""))
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise SuiteError(f"{topic} cannot be read: {error.str()}")
                elif offset >= left.get(number, 0):
                    left.pop(number, None)
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))
