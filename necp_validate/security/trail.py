"""Reads sealed audit records as an outsider with the keys: what opens, what is in clear, what was tampered with.

The format is written down in ``reference/audit/record.py``; nothing of that code is used here.
"""

from __future__ import annotations

import hmac
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from necp_validate.record.audit import TrailRead, TrailSighting
from necp_validate.security.keys import Keys

_HEADER = struct.Struct(">4sBI16s16sIQ12s32s")
_TAG_BYTES, _GCM_BYTES = 32, 16
_BEGINNING = (b"NCPA", 1)
_CLEAR_FIELDS = {"actor", "action", "decision"}
_MOST_EXAMPLES = 20


class StoredRecord(NamedTuple):
    """A record as it lies in the topic."""

    partition: int
    offset: int
    key: bytes
    value: bytes


class Entry(msgspec.Struct, frozen=True):
    """What a record says once it is open; whatever else it has is left out."""

    id: str
    server: str
    at_us: int
    actor: str
    action: str
    resource: str
    decision: str
    severity: str
    source: str | None


class _Header(NamedTuple):
    key_id: int
    pseudonym: bytes
    writer: bytes
    partition: int
    seq: int
    nonce: bytes
    before: bytes


_Chain = tuple[bytes, int]
_DECODE = msgspec.json.Decoder(Entry).decode


@dataclass(slots=True)
class Trail:
    """What was found.

    Args:
        entries: what could be opened, with its key id and its writer, in the order it was read.
    """

    entries: list[tuple[Entry, int, bytes]] = field(default_factory=list)
    records: int = 0
    repeated: int = 0
    erased: int = 0
    chains: int = 0
    unnoted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[TrailSighting] = field(default_factory=list)

    def note(self, kind: str, where: str, detail: str, count: int = 1) -> None:
        """Count something that must not be."""
        self.faults[kind] += count
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(TrailSighting(kind=kind, where=where, detail=detail))

    @property
    def tampered(self) -> int:
        """Signs of tampering."""
        return sum(self.faults.values())

    def by_key(self) -> dict[str, int]:
        """Opened records by the id of the key-encryption key."""
        counts = Counter(key_id for _, key_id, _ in self.entries)
        return {str(key_id): counts[key_id] for key_id in sorted(counts)}

    def summary(self) -> TrailRead:
        """The same for the history."""
        return TrailRead(
            records=self.records,
            opened=len(self.entries),
            erased=self.erased,
            repeated=self.repeated,
            chains=self.chains,
            clear=self.faults["clear"],
            unopened=self.faults["unopened"],
            nonces_repeated=self.faults["nonce"],
            chain_breaks=self.faults["chain"],
            unnoted=self.unnoted,
            by_key=self.by_key(),
            examples=tuple(self.examples),
        )


def read_trail(records: Iterable[StoredRecord], keys: Keys) -> Trail:
    """Open every record, and follow every chain.

    Args:
        records: of the whole topic, those of a partition in the order of their offsets.
        keys: the keys.
    """
    reading = _Reading(keys)
    for record in records:
        reading.take(record)
    reading.finish()
    return reading.found


class _Reading:
    """One pass over the topic."""

    def __init__(self, keys: Keys) -> None:
        self.found = Trail()
        self._keys = keys
        self._chain_keys: dict[bytes, bytes] = {}
        self._ciphers: dict[tuple[bytes, int, bytes], AESGCM | None] = {}
        self._links: dict[_Chain, dict[int, tuple[bytes, bytes]]] = {}  # by sequence: tag before, own tag
        self._nonces: dict[tuple[bytes, int, bytes, bytes], bytes] = {}

    def take(self, record: StoredRecord) -> None:
        """Account for the next record."""
        found, where = self.found, f"partition {record.partition}, offset {record.offset}"
        found.records += 1
        header = _header(record.value)
        if header is None:
            found.note("clear", where, _what_is_clear(record.value))
            return
        chain_key = self._chain_keys.get(header.writer)
        if chain_key is None:
            chain_key = self._chain_keys[header.writer] = self._keys.chain_key(header.writer)
        tag = record.value[-_TAG_BYTES:]
        if not hmac.compare_digest(tag, hmac.digest(chain_key, record.value[:-_TAG_BYTES], sha256)):
            found.note("chain", where, "its tag is not its own: it was altered, or somebody else's")
            return
        if not self._follow(header, tag, record.partition, where):
            return
        self._check_nonce(header, tag, where)
        self._open(record.value, header, where)

    def _follow(self, header: _Header, tag: bytes, partition: int, where: str) -> bool:
        """Find the record's place in its chain; False if the very same record was there already."""
        if header.partition != partition:
            self.found.note("chain", where, f"it belongs into partition {header.partition}")
        links = self._links.setdefault((header.writer, header.partition), {})
        if links and links.get(header.seq, (b"", b""))[1] == tag:
            self.found.repeated += 1  # sent again because its acknowledgement got lost: it says nothing new
            return False
        if header.seq in links:
            self.found.note("chain", where, f"number {header.seq} of its chain is there twice")
        elif links and header.seq < max(links):
            self.found.note("chain", where, f"number {header.seq} of its chain comes after a later one")
        links[header.seq] = (header.before, tag)
        return True

    def _check_nonce(self, header: _Header, tag: bytes, where: str) -> None:
        used = (header.pseudonym, header.key_id, header.writer, header.nonce)
        if self._nonces.setdefault(used, tag) != tag:
            self.found.note("nonce", where, f"nonce {header.nonce.hex()} was used before under the same key")

    def _open(self, value: bytes, header: _Header, where: str) -> None:
        cipher = self._cipher(header)
        if cipher is None:
            if self._keys.is_erased(header.pseudonym):
                self.found.erased += 1
            else:
                self.found.note("unopened", where, f"there is no data key under key {header.key_id}")
            return
        try:
            plain = cipher.decrypt(header.nonce, value[_HEADER.size : -_TAG_BYTES], value[: _HEADER.size])
            self.found.entries.append((_DECODE(plain), header.key_id, header.writer))
        except (InvalidTag, msgspec.MsgspecError) as error:
            self.found.note("unopened", where, f"it does not open: {type(error).__name__}")

    def _cipher(self, header: _Header) -> AESGCM | None:
        place = (header.pseudonym, header.key_id, header.writer)
        if place not in self._ciphers:
            key = self._keys.data_key(header.pseudonym, header.key_id)
            self._ciphers[place] = None if key is None else AESGCM(_writer_key(key, header.writer))
        return self._ciphers[place]

    def finish(self) -> None:
        """Look at the chains as wholes: holes, links that do not fit, and ends that are not where they must be."""
        self.found.chains = len(self._links)
        for (writer, partition), links in self._links.items():
            where = f"chain {writer.hex()[:8]} in partition {partition}"
            holes = max(links) + 1 - len(links)
            if holes:
                self.found.note("chain", where, f"{holes} of {max(links) + 1} records are gone", holes)
            first = links.get(0)
            if first is not None and first[0] != bytes(_TAG_BYTES):
                self.found.note("chain", where, "its first record follows another")
            for seq, (before, _) in links.items():
                if seq - 1 in links and links[seq - 1][1] != before:
                    self.found.note("chain", where, f"number {seq} does not follow number {seq - 1}")
        noted = {(end.writer, end.partition): end.seq for end in self._keys.chain_ends()}
        self.found.unnoted = sum(max(max(links) - noted.get(chain, -1), 0) for chain, links in self._links.items())
        for end in self._keys.chain_ends():
            links = self._links.get((end.writer, end.partition), {})
            where = f"chain {end.writer.hex()[:8]} ({end.instance}) in partition {end.partition}"
            last = max(links, default=-1)
            if last < end.seq:
                gone = end.seq - last
                self.found.note("chain", where, f"its end is gone: {gone} records that were acknowledged", gone)
            elif end.seq in links and links[end.seq][1] != end.tag:
                self.found.note("chain", where, f"number {end.seq} is not what was acknowledged")
            elif end.closed and last > end.seq:
                self.found.note("chain", where, f"{last - end.seq} records follow its end")


def _header(value: bytes) -> _Header | None:
    if len(value) < _HEADER.size + _GCM_BYTES + _TAG_BYTES:
        return None
    magic, version, *fields = _HEADER.unpack_from(value)
    return _Header(*fields) if (magic, version) == _BEGINNING else None


def _writer_key(data_key: bytes, writer: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=writer, info=b"necp audit record 1").derive(data_key)


def _what_is_clear(value: bytes) -> str:
    """Say what a record is that does not have the sealed format; never what it says."""
    try:
        content = msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return f"{len(value)} bytes that are no sealed record"
    known = _CLEAR_FIELDS & set(content) if isinstance(content, dict) else set()
    return f"JSON in clear, with the fields {', '.join(sorted(known))}" if known else "JSON in clear"


def tamperings(records: Sequence[StoredRecord], keys: Keys) -> dict[str, list[StoredRecord]]:
    """Make copies of what was read, each tampered with in one way: in the middle of the longest chain.

    Args:
        records: as they were read.
        keys: the keys; of the chain's end, what they note is cut off, and whatever follows that.

    Returns:
        By what was done; nothing if no chain has three records that lie one after the other.
    """
    chains: dict[_Chain, list[int]] = {}
    noted = {(end.writer, end.partition): end.seq for end in keys.chain_ends()}
    for at, record in enumerate(records):
        if (header := _header(record.value)) is not None:
            chains.setdefault((header.writer, header.partition), []).append(at)
    chain, longest = max(chains.items(), key=lambda one: len(one[1]), default=((b"", 0), []))
    if len(longest) < 3:
        return {}
    middle = longest[len(longest) // 2]
    end = set(longest[noted.get(chain, len(longest) - 1) :])
    after = longest[len(longest) // 2 + 1]
    made = {
        f"one byte of the {part} altered": _replaced(records, middle, _flipped(records[middle].value, at))
        for part, at in (
            ("header", _HEADER.size // 2),
            ("ciphertext", _HEADER.size),
            ("tag", len(records[middle].value) - 1),
        )
    }
    swapped = _replaced(records, middle, records[after].value)
    made["two records swapped"] = _replaced(swapped, after, records[middle].value)
    made["one record removed"] = [*records[:middle], *records[middle + 1 :]]
    made["the end of a chain removed"] = [record for at, record in enumerate(records) if at not in end]
    made["a whole chain removed"] = [record for at, record in enumerate(records) if at not in set(longest)]
    return made


def _flipped(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def _replaced(records: Sequence[StoredRecord], at: int, value: bytes) -> list[StoredRecord]:
    return [*records[:at], records[at]._replace(value=value), *records[at + 1 :]]
