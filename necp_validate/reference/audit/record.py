"""One sealed record of the audit trail, version 1: a header in clear, the entry encrypted, a tag over both.

Offsets in bytes, numbers big-endian::

      0  magic "NCPA"              4
      4  version, 1                1
      5  id of the key-encryption key that the data key is wrapped with   4
      9  pseudonym of the person   16
     25  writer, random            16   one for each run of an event core
     41  partition                 4    writer and partition together name the chain
     45  sequence in the chain     8    from 0, without holes
     53  nonce                     12   partition and sequence
     65  tag of the record before  32   zeros in the first of a chain
     97  ciphertext and GCM's tag  n    AES-256-GCM; the header is its associated data
    -32  tag                       32   HMAC-SHA256 with the chain's key over everything before

**Nonces.** A data key never encrypts anything itself. Each writer derives a key of its own from it (HKDF-SHA256, the
writer's 128 random bits as salt) and counts: under one derived key a nonce could come back only if a chain counted a
number twice, and a process that starts again is another writer. So nothing has to be remembered over a crash.

**Tags.** The chain's key comes from a secret of the keyring, not from a person's key: a chain verifies to the end after
a person was erased. Without that secret nobody can make, alter or reorder a record; what is gone from the middle shows
in the sequence. What is gone from the end shows in the keyring, which notes how far each chain is acknowledged.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"NCPA"
VERSION: Final = 1
KEY_BYTES: Final = 32
PSEUDONYM_BYTES: Final = 16
WRITER_BYTES: Final = 16
TAG_BYTES: Final = 32
FIRST: Final = bytes(TAG_BYTES)
"""What the first record of a chain has in the place of the tag before."""

_HEADER: Final = struct.Struct(">4sBI16s16sIQ12s32s")
_NONCE: Final = struct.Struct(">IQ")
_GCM_TAG_BYTES: Final = 16
_INFO: Final = b"necp audit record 1"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says, once it is opened.

    Args:
        id: id of the event.
        server: who reported it.
        at_us: when, microseconds since the epoch.
        actor, action, resource, decision, severity, source: as reported.
    """

    id: str
    server: str
    at_us: int
    actor: str
    action: str
    resource: str
    decision: str
    severity: str
    source: str | None


class Header(NamedTuple):
    """What a record says to everybody."""

    key_id: int
    pseudonym: bytes
    writer: bytes
    partition: int
    seq: int
    nonce: bytes
    before: bytes


class NotOpened(Exception):
    """A record is damaged, was altered, or is of another format or key."""


ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(AuditEntry).decode


def writer_key(data_key: bytes, writer: bytes) -> AESGCM:
    """Derive the key with which one writer encrypts for one person."""
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=writer, info=_INFO).derive(data_key))


def seal(
    key: AESGCM,
    chain_key: bytes,
    entry: bytes,
    *,
    key_id: int,
    pseudonym: bytes,
    writer: bytes,
    partition: int,
    seq: int,
    before: bytes,
) -> bytes:
    """Seal one entry.

    Args:
        key: the writer's, of :func:`writer_key`.
        chain_key: the chain's.
        entry: an encoded :class:`AuditEntry`.
        key_id: of the key-encryption key.
        pseudonym: of the person.
        writer: the writer.
        partition: the partition it goes to.
        seq: its number in the chain; never twice.
        before: tag of the record before, or :data:`FIRST`.

    Returns:
        The record; its last 32 bytes are its tag.
    """
    nonce = _NONCE.pack(partition, seq)
    header = _HEADER.pack(MAGIC, VERSION, key_id, pseudonym, writer, partition, seq, nonce, before)
    body = header + key.encrypt(nonce, entry, header)
    return body + hmac.digest(chain_key, body, sha256)


def split(value: bytes) -> tuple[Header, bytes, bytes]:
    """Take a record apart: header, ciphertext, tag.

    Raises:
        NotOpened: it does not have the format.
    """
    if len(value) < _HEADER.size + _GCM_TAG_BYTES + TAG_BYTES:
        raise NotOpened(f"{len(value)} bytes are no sealed record")
    magic, version, *fields = _HEADER.unpack_from(value)
    if magic != MAGIC or version != VERSION:
        raise NotOpened("it does not begin as a sealed record of version 1 does")
    return Header(*fields), value[_HEADER.size : -TAG_BYTES], value[-TAG_BYTES:]


def open_record(value: bytes, data_key: bytes, chain_key: bytes) -> AuditEntry:
    """Open a record.

    Args:
        value: the record.
        data_key: the person's.
        chain_key: the chain's.

    Raises:
        NotOpened: it was altered, or the keys are not its own.
    """
    header, ciphertext, tag = split(value)
    if not hmac.compare_digest(tag, hmac.digest(chain_key, value[:-TAG_BYTES], sha256)):
        raise NotOpened("its tag is not that of its chain")
    try:
        plain = writer_key(data_key, header.writer).decrypt(header.nonce, ciphertext, value[: _HEADER.size])
    except InvalidTag:
        raise NotOpened("it does not decrypt with this key") from None
    return _DECODE(plain)
