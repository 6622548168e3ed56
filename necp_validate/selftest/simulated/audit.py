"""The simulated audit trail: sealed as the event core does it, by code of its own, and read by that of real runs."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from necp_validate.events.system import AuditV2
from necp_validate.events.topics import Domain
from necp_validate.record.audit import AuditRecord
from necp_validate.security.audit import Rotation, events_covered, judge_erasure, judge_rotation, tampering_drills
from necp_validate.security.keys import ChainEnd, chain_key
from necp_validate.security.trail import Entry, StoredRecord, read_trail
from necp_validate.security.violations import covered, violation_of
from necp_validate.selftest.simulated.log import decoded

if TYPE_CHECKING:
    from necp_validate.selftest.simulated.simulation import Simulation

COLLECTOR = "collector-0"
WRITER = b"simulated-writer"
PARTITIONS = 2
BEFORE, AFTER = 1, 2
"""Ids of the keys before and after the rotation."""

_SECRET = bytes(32)
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(slots=True)
class MemoryKeys:
    """What the keyring has.

    Args:
        ends: how far the chains are acknowledged.
        erased: pseudonyms of persons whose keys were destroyed.
    """

    ends: list[ChainEnd] = field(default_factory=list)
    erased: set[bytes] = field(default_factory=set)

    def data_key(self, pseudonym: bytes, key_id: int) -> bytes | None:
        """A person's key."""
        return None if pseudonym in self.erased else _data_key(pseudonym, key_id)

    def is_erased(self, pseudonym: bytes) -> bool:
        """Whether it was destroyed."""
        return pseudonym in self.erased

    def chain_key(self, writer: bytes) -> bytes:
        """The key of a writer's tags."""
        return _chain_key(writer)

    def chain_ends(self) -> list[ChainEnd]:
        """How far each chain is acknowledged."""
        return self.ends


Change = Callable[[list[StoredRecord]], None]


@dataclass(slots=True)
class Audited:
    """What is peculiar to the audit trail of a simulated run; a defect changes it.

    Args:
        change: done to the records that were written.
        left_out: how many of the collector's events get no entry.
        key_after: id of the key that the event core uses after the rotation.
        nonce_again: whether one nonce is used twice.
        ends_noted: whether the keyring knows how far the chains are acknowledged.
        erasing_works: whether an erased person's key is gone.
        retention_ms: of the topic.
        keyring_mode: access rights of the keyring's file.
        needs: why nothing was read, if so.
    """

    change: Change = lambda _: None
    left_out: int = 0
    key_after: int = AFTER
    nonce_again: bool = False
    ends_noted: bool = True
    erasing_works: bool = True
    retention_ms: int = 2555 * _DAY_MS
    keyring_mode: int = 0o600
    needs: str = ""


def pseudonym_of(person: str) -> bytes:
    """The pseudonym of a simulated person."""
    return sha256(person.encode()).digest()[:16]


def seal_all(
    entries: Iterable[Entry], *, key_after: int, nonce_again: bool
) -> tuple[list[StoredRecord], list[ChainEnd]]:
    """Seal entries, the second half of them after a rotation, in one chain for each partition."""
    entries, records = list(entries), []
    state = {partition: (0, bytes(32)) for partition in range(PARTITIONS)}
    for number, entry in enumerate(entries):
        partition = number % PARTITIONS
        seq, before = state[partition]
        key_id = BEFORE if number < len(entries) // 2 else key_after
        # Of the collector's entries, which are all of one person, the last but one in its partition.
        nonce_of = seq - 1 if nonce_again and number == len(entries) - 1 else seq
        value = _seal(entry, key_id, partition, seq, nonce_of, before)
        records.append(StoredRecord(partition, seq, entry.server.encode(), value))
        state[partition] = (seq + 1, value[-32:])
    ends = [ChainEnd(WRITER, partition, "core-0", seq - 1, tag, True) for partition, (seq, tag) in state.items() if seq]
    return records, ends


def _seal(entry: Entry, key_id: int, partition: int, seq: int, nonce_of: int, before: bytes) -> bytes:
    pseudonym = pseudonym_of(entry.actor)
    nonce = struct.pack(">IQ", partition, nonce_of)
    header = b"NCPA\x01" + struct.pack(">I16s16sIQ12s32s", key_id, pseudonym, WRITER, partition, seq, nonce, before)
    body = header + _cipher(pseudonym, key_id).encrypt(nonce, msgspec.json.encode(entry), header)
    return body + hmac.digest(_chain_key(WRITER), body, sha256)


def _data_key(pseudonym: bytes, key_id: int) -> bytes:
    return sha256(b"%d" % key_id + pseudonym).digest()


@lru_cache
def _chain_key(writer: bytes) -> bytes:
    return chain_key(_SECRET, writer)


@lru_cache(maxsize=1024)
def _cipher(pseudonym: bytes, key_id: int) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=WRITER, info=b"necp audit record 1")
    return AESGCM(derive.derive(_data_key(pseudonym, key_id)))


def audit_record(simulation: Simulation) -> AuditRecord:
    """What a reader finds of the run's audit trail."""
    audited = simulation.audited
    if audited.needs:
        return AuditRecord(needs=audited.needs)
    probes = (probe for one in simulation.rounds for probe in one.listeners)
    lines = list(dict.fromkeys(probe.log_line for probe in probes if probe.log_line))
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
        events=events_covered(audit_log(simulation), opened),
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


def audit_log(simulation: Simulation) -> list[StoredRecord]:
    """The records of the system events' topic, which has the audit events."""
    return [
        StoredRecord(record.partition, record.offset, record.key, record.value)
        for (domain, _), records in simulation.log.items()
        for record in records
        if domain is Domain.SYSTEM
    ]


def _reported(simulation: Simulation) -> Iterator[Entry]:
    """The audit events that game servers sent, as the event core enters them."""
    for record in audit_log(simulation):
        event = decoded(record.value)
        data = None if event is None else event.data
        if event is not None and isinstance(data, AuditV2):
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
